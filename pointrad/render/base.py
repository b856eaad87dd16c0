"""What every renderer is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pointrad.render.projection import AnyCamera
from pointrad.scene.types import Camera


@dataclass(frozen=True)
class SplatSettings:
    """How points become pixels (spec, section 5).

    radius: splat radius in NDC, half the image *width* being 1. points_per_pixel: K, the nearest splats composited.
    view_direction: where harmonics are evaluated, once per point or along each pixel's ray.
    background: RGB in [0, 1] behind the cloud.
    """

    radius: float
    points_per_pixel: int
    view_direction: Literal["point", "pixel"]
    background: tuple[float, float, float]

    def radius_in_pixels(self, camera: AnyCamera) -> float:
        return self.radius * camera.width / 2


class Renderer(Protocol):
    """Splats a cloud into a view; all renderers compute the same image."""

    name: str
    device: torch.device
    settings: SplatSettings

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        """[H, W, 3] float32 in [0, 1], differentiable with respect to `parameters` [33, N] float32 (see `Cloud`).

        Gradients reach positions through a splat's weights 1 - d^2 / r^2 only: which splats cover a pixel, their
        order, and the directions at which harmonics are evaluated are constants.
        """
        ...

    def render_views(self, parameters: Tensor, cameras: Sequence[Camera], harmonics: bool = True) -> Iterator[Tensor]:
        """`render` of each camera, in order, not to be differentiated; made as they are asked for or a few ahead."""
        for camera in cameras:
            with torch.no_grad():
                image = self.render(parameters, camera, harmonics)
            yield image

    def synchronise(self) -> None:
        """Wait until everything rendered so far is computed."""
        ...
