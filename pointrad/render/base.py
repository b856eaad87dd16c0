"""What every renderer is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.harmonics import Y0
from pointrad.model.base import Cloud
from pointrad.model.gaussians import Gaussians
from pointrad.render.projection import AnyCamera

_OPAQUE = 0.99  # the most that a Gaussian's opacity counts
_FLOAT = 4
_TILE = 8  # pixels, as in `triton_kernels`, which cannot be imported everywhere
_INTERSECTION_BYTES = 100  # of a splat with a tile: sorting keys and places, both ways of composition
_SLOT_BYTES = 20  # of an intersection, for every 3 channels
_IMAGES = 16  # as large as what is composited: errors, shifted differences and gradients


class Settings(Protocol):
    """How the splats of one model become pixels; background: RGB in [0, 1] behind the cloud."""

    background: tuple[float, float, float]

    def unhidden_weight(self, parameters: Tensor, camera: Camera) -> Tensor | float:
        """What each splat's compositing weights would sum to over the pixels if nothing hid it: [N], or of all."""
        ...

    def as_gaussians(self, cloud: Cloud, cameras: Sequence[Camera]) -> Cloud:
        """Gaussians that look as the cloud does before these cameras, as well as they can."""
        ...

    def rendering_bytes(self, points: int, camera: Camera) -> int:
        """About what a GPU takes to render a view with its gradient, besides the cloud."""
        ...


@dataclass(frozen=True)
class SplatSettings(Settings):
    """How points become pixels (docs/method.md).

    radius: splat radius in NDC, half the image *width* being 1. points_per_pixel: K, the nearest splats composited.
    view_direction: where harmonics are evaluated, once per point or along each pixel's ray.
    background: RGB in [0, 1] behind the cloud. opening: width over focal length of the views whose NDC the radius is
    in; a disc covers the same angle in every other. None: it is in the NDC of each view.
    """

    radius: float
    points_per_pixel: int
    view_direction: Literal["point", "pixel"]
    background: tuple[float, float, float]
    opening: float | None = None

    def radius_in_pixels(self, camera: AnyCamera) -> float:
        if self.opening is None:
            return self.radius * camera.width / 2
        width = round(self.opening * camera.focal, 6)  # of a view of that opening exactly its own
        return self.radius * width / 2

    def unhidden_weight(self, parameters: Tensor, camera: Camera) -> float:
        """Of a splat of r pixels pi r^2 / 2, the integral of 1 - d^2 / r^2."""
        return math.pi * self.radius_in_pixels(camera) ** 2 / 2

    def as_gaussians(self, cloud: Cloud, cameras: Sequence[Camera]) -> Cloud:
        """Balls of the discs' weight: 2 pi s^2 o = pi r^2 / 2 for an opacity o near 1.

        Lost: that a disc has the same size at every distance (a ball has that of its mean distance from the cameras),
        its sharp edge, and that a pixel takes the nearest discs only.
        """
        model = Gaussians(degree=2, opacity=_OPAQUE, most=None)
        constant, rest = cloud["harmonics"][:3], cloud["harmonics"][3:]
        empty = Cloud(model, cloud.parameters.new_zeros(model.width, len(cloud)))
        centre = cloud["position"].new_zeros(len(cloud))
        for camera in cameras:
            rows = torch.as_tensor(camera.world_to_image, dtype=centre.dtype, device=centre.device)
            depth = (rows[2, :3] @ cloud["position"] + rows[2, 3]).clamp(min=0)
            centre += depth * self.radius_in_pixels(camera) / camera.focal / len(cameras)
        return empty.changed(
            position=cloud["position"],
            scale=(centre / (2 * math.sqrt(_OPAQUE))).clamp(min=1e-6).log(),
            rotation=torch.tensor([[1.0], [0.0], [0.0], [0.0]], device=centre.device),
            opacity=math.log(_OPAQUE / (1 - _OPAQUE)),
            base=cloud["base"] + Y0 * constant,
            harmonics=rest,
        )

    def rendering_bytes(self, points: int, camera: Camera) -> int:
        pixels = camera.width * camera.height
        channels = 30 if self.view_direction == "pixel" else 3
        touched = (1 + 2 * self.radius_in_pixels(camera) / _TILE) ** 2
        intersections = points * min(touched, pixels / _TILE**2 + 1)
        return (
            round(intersections * (_INTERSECTION_BYTES + _SLOT_BYTES * channels / 3))
            + pixels * channels * _FLOAT * _IMAGES
        )


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
