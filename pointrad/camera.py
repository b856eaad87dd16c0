"""Pinhole cameras, and the one projection that everything uses: hull, renderers, pictures, tests.

From the world to pixels in two steps: `Camera.world_to_image` gives a point's place x, y, z on image axes
(docs/conventions.md), `to_pixels` that in the image. `to_pixels` and `to_slopes` are plain arithmetic, for numbers,
arrays, tensors, and compiled by Numba within kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]
Intrinsics = tuple[float, float, float, float]  # fx, fy, cx, cy in pixels


def to_pixels(x: Any, y: Any, z: Any, intrinsics: Any) -> tuple[Any, Any]:
    """Pixel coordinates u, v of what lies at x, y, z of image axes; z must not be 0."""
    fx, fy, cx, cy = intrinsics
    return fx * x / z + cx, fy * y / z + cy


def to_slopes(u: Any, v: Any, intrinsics: Any) -> tuple[Any, Any]:
    """x / z and y / z of image axes of the ray through pixel coordinates u, v: the inverse of `to_pixels`."""
    fx, fy, cx, cy = intrinsics
    return (u - cx) / fx, (v - cy) / fy


def mean_focal(intrinsics: Intrinsics) -> float:
    """The geometric mean of fx and fy."""
    fx, fy, _, _ = intrinsics
    return math.sqrt(fx * fy)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion. Cameras of one scene may differ in their intrinsics.

    camera_to_world: [4, 4] float64 rigid transform, OpenGL axes (x right, y up, looking down -z).
    fx, fy: focal lengths in pixels along the image's width and height; equal where pixels are square.
    cx, cy: principal point in pixels from the image's top left corner, pixel centres at + 0.5.
    width, height: image size in pixels.
    """

    camera_to_world: Float64Array
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    @classmethod
    def centred(cls, camera_to_world: Float64Array, focal: float, width: int, height: int) -> Camera:
        """A camera with square pixels and its principal point at the image's centre."""
        return cls(camera_to_world, focal, focal, width / 2, height / 2, width, height)

    @property
    def intrinsics(self) -> Intrinsics:
        """fx, fy, cx, cy in pixels."""
        return self.fx, self.fy, self.cx, self.cy

    @property
    def focal(self) -> float:
        """Focal length in pixels for what has one size on both axes."""
        return mean_focal(self.intrinsics)

    @property
    def position(self) -> Float64Array:
        """[3] float64, the camera centre in world units."""
        return self.camera_to_world[:3, 3]

    def has_ahead(self, point: Float64Array) -> bool:
        """Whether a point [3], world units, is before the camera rather than behind it."""
        return bool(self.world_to_image[2, :3] @ point + self.world_to_image[2, 3] > 0)

    @cached_property
    def world_to_image(self) -> Float64Array:
        """[3, 4] float64 rows (x, y, z): a world point's place on image axes (x right, y down, z depth > 0 ahead)."""
        rotation = np.diag([1.0, -1.0, -1.0]) @ self.camera_to_world[:3, :3].T
        return np.concatenate([rotation, -(rotation @ self.position)[:, None]], axis=1)

    def averaged(self, factor: int) -> Camera:
        """The camera of the image whose pixels are blocks of factor x factor of this one's; pixels at the right and the
        bottom that fill no block are no part of it."""
        width, height = self.width // factor, self.height // factor
        # Not value / factor, which may differ in the last bit from what clouds were trained with.
        fx, fy, cx, cy = (value * width / (width * factor) for value in self.intrinsics)
        return Camera(self.camera_to_world, fx, fy, cx, cy, width, height)
