"""How much of each pixel a cloud covers, whoever renders it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer


def opacities(renderer: Renderer, cloud: Cloud, cameras: Sequence[Camera]) -> Iterator[Tensor]:
    """The opacity of each view, 1 minus the transmittance behind all splats: [H, W] float32 in [0, 1].

    All splats are rendered in one colour, black or white, whichever the background is further from: the share of a
    pixel that is not background is the splats'. So it needs nothing of a renderer but its images, and is as exact.
    """
    background = renderer.settings.background[0]
    colour = float(background < 0.5)
    plain = cloud.changed(base=colour)
    for image in renderer.render_views(plain.parameters, cameras, harmonics=False):
        yield ((image[..., 0] - background) / (colour - background)).clamp(0, 1)
