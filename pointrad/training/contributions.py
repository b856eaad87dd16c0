"""What points contribute to the training images, and which of them stay for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pointrad.data.scene import View
from pointrad.init.evidence import BACKGROUND_TOLERANCE
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.render.cpu.threads import torch_on_one_thread
from pointrad.training.config import PruneUnsupportedConfig, ReplenishConfig
from pointrad.training.lineage import STILL


def prune_unsupported(cloud: Cloud, config: PruneUnsupportedConfig, views: Sequence[View], renderer: Renderer) -> Cloud:
    """Keep the points that paint something which the images of `views` show to be there.

    Of all that a point contributes to the images, `config.share` must fall on pixels that show anything but the
    background. Points that no view sees go; so do those that only paint background, or pixels that are unknown.
    Of a thin part that wrong masks cut in most views, most is unknown: points stay as well if `config.share` of what
    they contribute to known pixels falls on such that show something, and the others leave so much of that uncovered.
    """
    supported, known, everywhere = contributions(cloud, views, renderer, lambda view: _judged(view, renderer))
    kept = (everywhere > 0) & (supported >= config.share * everywhere)
    unsure = ~kept & (supported > 0) & (supported >= config.share * known)
    if unsure.any():
        rest = _grey(cloud.select(kept)).parameters
        uncovered = contributions(cloud, views, renderer, lambda view: _uncovered(view, rest, renderer))[0]
        kept |= unsure & (uncovered >= config.share * supported)
    return cloud.select(kept)


def replenish(cloud: Cloud, config: ReplenishConfig, views: Sequence[View], renderer: Renderer) -> Cloud:
    """Without the points that hardly show, and with copies of those that show most, behind all that are kept.

    Copies are equal to their originals and part as they train, as the published refinement's do.
    """
    shown = contributions(cloud, views, renderer, lambda view: torch.ones(1, *view.mask.shape))[0]
    unhidden = sum(renderer.settings.unhidden_weight(cloud.parameters, view.camera) for view in views)
    enough = shown >= config.least * unhidden
    kept = cloud.select(enough)
    copies = round((config.growth - 1) * len(kept))
    order = torch.argsort(shown[enough], descending=True, stable=True)
    all_kept = torch.arange(len(kept), device=order.device)
    copied = order[torch.arange(copies, device=order.device) % max(len(kept), 1)]
    return kept.select(torch.cat([all_kept, copied]))


def widening(cloud: Cloud, share: float, views: Sequence[View], renderer: Renderer) -> Tensor:
    """[N] the logarithm of 1 + share / n, n being the number of views that a splat shows in; 0 of those that no view
    shows, and of what stands still."""
    with torch_on_one_thread():
        logarithm = torch.log1p(share / views_of(cloud, views, renderer))
    if STILL in cloud.state:
        logarithm[cloud.state[STILL]] = 0
    return logarithm


def views_of(cloud: Cloud, views: Sequence[View], renderer: Renderer) -> Tensor:
    """[N]: the number of views that each splat shows in; of views in which it shows unequally, as many as would make up
    the same sums of weights and of their squares in equal parts. Infinite of those that no view shows."""
    weights, squares = torch.zeros(2, len(cloud), device=cloud.parameters.device)
    for weight, _, _ in _by_view(cloud, views, renderer, lambda view: torch.ones(1, *view.mask.shape)):
        weights += weight
        squares += weight**2
    return torch.where(squares > 0, weights**2 / squares, torch.inf)


def contributions(cloud: Cloud, views: Sequence[View], renderer: Renderer, pixels: Callable[[View], Tensor]) -> Tensor:
    """How much of some pixels each point makes up: [3, N] float32 sums of its compositing weights.

    pixels: a view's [K, H, W], 1 where to count and else 0; up to three are counted at once, the other sums are 0.
    """
    total = torch.zeros_like(cloud["base"])
    for weights in _by_view(cloud, views, renderer, pixels):
        total += weights
    return total


def _by_view(
    cloud: Cloud, views: Sequence[View], renderer: Renderer, pixels: Callable[[View], Tensor]
) -> Iterator[Tensor]:
    """`contributions` to each view alone."""
    parameters, base = _grey(cloud).parameters, cloud.model.rows["base"]
    for view in views:
        counted = pixels(view).to(parameters.device).float()
        image = renderer.render(parameters.requires_grad_(), view.camera, harmonics=False)
        (gradient,) = torch.autograd.grad((image[..., : len(counted)] * counted.permute(1, 2, 0)).sum(), parameters)
        yield gradient[base]


def _grey(cloud: Cloud) -> Cloud:
    """The cloud in a colour that never clamps: without harmonics its gradient is a point's weights."""
    return cloud.changed(base=0.5)


def _judged(view: View, renderer: Renderer) -> Tensor:
    """[3, H, W] bool: pixels that show something, that are known, and all."""
    everywhere = torch.ones(view.mask.shape, dtype=torch.bool)
    known = everywhere if view.weight is None else torch.from_numpy(view.weight) == 1
    return torch.stack([shows_something(view, renderer), known, everywhere])


def shows_something(view: View, renderer: Renderer) -> Tensor:
    """[H, W] bool: pixels that are not the background, as what is unknown is."""
    background = torch.tensor(renderer.settings.background)
    return (torch.from_numpy(view.image) - background).abs().amax(dim=-1) > BACKGROUND_TOLERANCE


def _uncovered(view: View, grey: Tensor, renderer: Renderer) -> Tensor:
    """[1, H, W] bool: pixels that show something, of which a `_grey` cloud covers less than half."""
    background = renderer.settings.background[0]
    image = renderer.render(grey, view.camera, harmonics=False)[..., 0].cpu()
    return (shows_something(view, renderer) & ((image - background) / (0.5 - background) < 0.5))[None]
