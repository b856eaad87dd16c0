"""What every renderer is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pointrad.render.projection import AnyCamera
from pointrad.scene.types import Camera

_FLOAT = 4
_TILE = 8  # pixels, as in `triton_kernels`, which cannot be imported everywhere
_PAIR_BYTES = 100  # of a pair of splat and tile: sorting keys and places, both ways of composition
_SLOT_BYTES = 20  # of a pair, for every 3 channels
_IMAGES = 16  # as large as what is composited: errors, shifted differences and gradients


class Settings(Protocol):
    """How the splats of one model become pixels; background: RGB in [0, 1] behind the cloud."""

    background: tuple[float, float, float]

    def unhidden_weight(self, parameters: Tensor, camera: Camera) -> Tensor | float:
        """What each splat's compositing weights would sum to over the pixels if nothing hid it: [N], or of all."""
        ...

    def rendering_bytes(self, points: int, camera: Camera) -> int:
        """About what a GPU takes to render a view with its gradient, besides the cloud."""
        ...


@dataclass(frozen=True)
class SplatSettings(Settings):
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

    def unhidden_weight(self, parameters: Tensor, camera: Camera) -> float:
        """Of a splat of r pixels pi r^2 / 2, the integral of 1 - d^2 / r^2."""
        return math.pi * self.radius_in_pixels(camera) ** 2 / 2

    def rendering_bytes(self, points: int, camera: Camera) -> int:
        pixels = camera.width * camera.height
        channels = 30 if self.view_direction == "pixel" else 3
        touched = (1 + 2 * self.radius_in_pixels(camera) / _TILE) ** 2
        pairs = points * min(touched, pixels / _TILE**2 + 1)
        return round(pairs * (_PAIR_BYTES + _SLOT_BYTES * channels / 3)) + pixels * channels * _FLOAT * _IMAGES


class Renderer(Protocol):
    """Splats clouds of one model into a view; all renderers of a model compute the same image."""

    name: str
    device: torch.device
    settings: Settings

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        """[H, W, 3] float32 in [0, 1], differentiable with respect to `parameters` [D, N] float32 (see `Cloud`).

        Of points, gradients reach positions through a splat's weights 1 - d^2 / r^2 only: which splats cover a pixel,
        their order, and the directions at which harmonics are evaluated are constants.
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
