"""How much of each pixel a cloud covers and how far away it is, whoever renders it.

Both need nothing of a renderer but its images, in which splats have other colours, and are as exact as these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer

_COVERED = 0.5  # of a pixel, from which on it has a depth


def opacities(renderer: Renderer, cloud: Cloud, cameras: Sequence[Camera]) -> Iterator[Tensor]:
    """The opacity of each view, 1 minus the transmittance behind all splats: [H, W] float32 in [0, 1].

    All splats are rendered in one colour, black or white, whichever the background is further from: the share of a
    pixel that is not background is the splats'.
    """
    background = renderer.settings.background[0]
    colour = float(background < 0.5)
    plain = cloud.changed(base=colour)
    for image in renderer.render_views(plain.parameters, cameras, harmonics=False):
        yield _share(image[..., 0], background, colour)


def weighed_opacities(
    renderer: Renderer, cloud: Cloud, weights: Tensor, cameras: Sequence[Camera]
) -> Iterator[tuple[Tensor, Tensor]]:
    """The `opacities` of each view, and the same with each splat's part in them weighed. weights: [N] in [0, 1].

    Red is the same for all splats, green says how much each weighs.
    """
    red, green, _ = renderer.settings.background
    same, full = float(red < 0.5), float(green < 0.5)
    weighed = green + weights * (full - green)
    painted = cloud.changed(base=torch.stack([torch.full_like(weighed, same), weighed, torch.zeros_like(weighed)]))
    for image in renderer.render_views(painted.parameters, cameras, harmonics=False):
        yield _share(image[..., 0], red, same), _share(image[..., 1], green, full)


def _share(pixels: Tensor, background: float, colour: float) -> Tensor:
    """How far pixels are on the way from the background to a colour."""
    return ((pixels - background) / (colour - background)).clamp(0, 1)


def depths(renderer: Renderer, cloud: Cloud, cameras: Sequence[Camera]) -> Iterator[Tensor]:
    """The depth of each view along its camera's axis: [H, W] float32 in the cameras' units, the mean of the splats'
    centres by their weights; NaN where they cover less than half of the pixel.

    Red says how far away a splat is, green is the same for all.
    """
    red, green, _ = renderer.settings.background
    colour = float(green < 0.5)
    for camera in cameras:
        rows = torch.as_tensor(camera.world_to_image, dtype=torch.float32, device=cloud.parameters.device)
        depth = (rows[2, :3] @ cloud["position"] + rows[2, 3]).clamp(min=0)
        furthest = depth.max().clamp(min=1e-12)
        painted = cloud.changed(base=torch.stack([depth / furthest, torch.full_like(depth, colour), depth * 0]))
        (image,) = renderer.render_views(painted.parameters, [camera], harmonics=False)
        opacity = (image[..., 1] - green) / (colour - green)
        weighted = image[..., 0] - red * (1 - opacity)
        yield torch.where(opacity >= _COVERED, furthest * weighted / opacity, torch.nan)
