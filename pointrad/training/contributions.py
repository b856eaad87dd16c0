"""What points contribute to the training images, and which of them stay for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pointrad.cloud import BASE, Cloud
from pointrad.config import PruneUnsupportedConfig, ReplenishConfig
from pointrad.evidence import BACKGROUND_TOLERANCE
from pointrad.render import Renderer
from pointrad.scene.types import View


def prune_unsupported(cloud: Cloud, config: PruneUnsupportedConfig, views: Sequence[View], renderer: Renderer) -> Cloud:
    """Keep the points that paint something which the images of `views` show to be there.

    Of all that a point contributes to the images, `config.share` must fall on pixels that show anything but the
    background. Points that no view sees go; so do those that only paint background, or pixels that are unknown (NaN).
    """
    supported, everywhere = contributions(cloud, views, renderer)
    return cloud.select((everywhere > 0) & (supported >= config.share * everywhere))


def replenish(cloud: Cloud, config: ReplenishConfig, views: Sequence[View], renderer: Renderer) -> Cloud:
    """Without the points that hardly show, and with copies of those that show most, behind all that are kept.

    A splat of r pixels that nothing hides has weights that sum to pi r^2 / 2 (the integral of 1 - d^2 / r^2). Copies
    are equal to their originals and part as they train, as the published refinement's do.
    """
    shown = contributions(cloud, views, renderer)[1]
    unhidden = sum(math.pi * renderer.settings.radius_in_pixels(view.camera) ** 2 / 2 for view in views)
    enough = shown >= config.least * unhidden
    kept = cloud.select(enough)
    copies = round((config.growth - 1) * len(kept))
    order = torch.argsort(shown[enough], descending=True, stable=True)
    copied = order[torch.arange(copies, device=order.device) % max(len(kept), 1)]
    return Cloud(torch.cat([kept.parameters, kept.parameters[:, copied]], dim=1))


def contributions(cloud: Cloud, views: Sequence[View], renderer: Renderer) -> tuple[Tensor, Tensor]:
    """How much of the images each point makes up, in pixels: [N] float32 sums of its compositing weights.

    The first counts pixels whose target is known and is not the background, the second counts all.
    """
    # Of a grey cloud without harmonics, whose colours never clamp, a point's colour has its weights for a gradient.
    parameters = cloud.parameters.clone()
    parameters[BASE] = 0.5
    total = torch.zeros_like(parameters[BASE])
    background = torch.tensor(renderer.settings.background, device=parameters.device)
    for view in views:
        target = torch.from_numpy(view.image).to(parameters.device)
        shown = ((target - background).abs().amax(dim=-1) > BACKGROUND_TOLERANCE).float()  # NaN is not
        image = renderer.render(parameters.requires_grad_(), view.camera, harmonics=False)
        (gradient,) = torch.autograd.grad((image[..., 0] * shown).sum() + image[..., 1].sum(), parameters)
        total += gradient[BASE]
    return total[0], total[1]
