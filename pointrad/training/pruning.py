"""Which points the training images speak for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pointrad.cloud import BASE, Cloud
from pointrad.config import PruneUnsupportedConfig
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
