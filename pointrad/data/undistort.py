"""Photographs without the distortion of their lens, by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pointrad.camera import Float64Array
from pointrad.data.photo import Lens
from pointrad.data.scene import Float32Array

T = TypeVar("T", np.uint8, np.float32)

_MOST_SOLVED = 512  # pixels along a side
_PRECISION = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-6)  # iterations, pixels


@dataclass(frozen=True)
class Undistortion:
    """What makes a pinhole's photograph of one that was taken through a lens.

    through: that lens. lens: the pinhole's, for as many pixels. It sees a little less, so that every pixel of it is one
    of the photograph.
    across, down: [H, W] float32, where each pixel lies in the photograph, pixel centres at whole numbers (OpenCV).
    """

    through: Lens
    lens: Lens
    across: Float32Array
    down: Float32Array

    @classmethod
    def of(cls, lens: Lens) -> Undistortion:
        return _undistortion(lens)

    def pixels(self, pixels: NDArray[T]) -> NDArray[T]:
        """[H, W, ...] of a photograph's pixels."""
        return cast(
            NDArray[T], cv2.remap(pixels, self.across, self.down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )

    def mask(self, mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """[H, W] of a photograph's mask. One of black and white alone stays so: its edge is as sharp as that of a mask
        whose photograph has no distortion, and scores do not depend on the lens."""
        if np.logical_and(mask > 0, mask < 255).any():
            return self.pixels(mask)
        nearest = cv2.remap(mask, self.across, self.down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        return cast(NDArray[np.uint8], nearest)

    def distorted(self, pixels: Float32Array) -> Float32Array:
        """[H, W] of the photograph: what the pinhole shows in its pixels [h, w], which may be fewer. Beyond its
        picture, its border goes on."""
        rows, columns = pixels.shape
        across, down = self._places
        places = (
            (across + 0.5) * np.float32(columns / self.lens.width) - 0.5,
            (down + 0.5) * np.float32(rows / self.lens.height) - 0.5,
        )
        return cast(Float32Array, cv2.remap(pixels, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))

    @cached_property
    def _places(self) -> tuple[Float32Array, Float32Array]:
        """across, down: [H, W] float32, where each pixel of the photograph lies in the pinhole's picture.

        Solved for some pixels, and interpolated between them: distortion changes slowly.
        """
        width, height = self.lens.width, self.lens.height
        columns, rows = min(width, _MOST_SOLVED), min(height, _MOST_SOLVED)
        u = ((np.arange(columns) + 0.5) * width / columns - 0.5).astype(np.float32)
        v = ((np.arange(rows) + 0.5) * height / rows - 0.5).astype(np.float32)
        own = np.stack(np.meshgrid(u, v), axis=-1)
        moved = _undistorted(self.through, self.lens, own) - own
        far = max(width, height)  # behind the pinhole: any place outside its picture will do
        offset = cv2.resize(np.where(np.isfinite(moved), moved, np.float32(far)).clip(-far, far), (width, height))
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        return x + offset[..., 0], y + offset[..., 1]


def _undistorted(through: Lens, straight: Lens, points: Float32Array) -> Float32Array:
    """[..., 2] where points of the photograph lie in the pinhole's picture, pixel centres at whole numbers."""
    matrix, coefficients = _opencv(through)
    pinhole, _ = _opencv(straight)
    rows = points.reshape(-1, 1, 2).astype(np.float64)
    if through.fisheye:
        found = cv2.fisheye.undistortPoints(rows, matrix, coefficients, P=pinhole)
    else:
        found = cv2.undistortPointsIter(rows, matrix, coefficients, np.eye(3), pinhole, _PRECISION)
    return np.asarray(found, np.float32).reshape(points.shape)


def _opencv(lens: Lens) -> tuple[Float64Array, Float64Array]:
    """Its matrix, pixel centres at whole numbers, and all coefficients of its model."""
    matrix = np.array([[lens.fx, 0, lens.cx - 0.5], [0, lens.fy, lens.cy - 0.5], [0, 0, 1]])
    given = 4 if lens.fisheye else 8
    return matrix, np.array([*lens.distortion, *[0.0] * (given - len(lens.distortion))])


@lru_cache(maxsize=4)  # photographs of one camera, in most captures all
def _undistortion(lens: Lens) -> Undistortion:
    size = lens.width, lens.height
    matrix, coefficients = _opencv(lens)
    if lens.fisheye:
        fisheye = cv2.fisheye
        pinhole = fisheye.estimateNewCameraMatrixForUndistortRectify(matrix, coefficients, size, np.eye(3), balance=0.0)
        maps = fisheye.initUndistortRectifyMap(matrix, coefficients, np.eye(3), pinhole, size, cv2.CV_32FC1)
    else:
        pinhole, _ = cv2.getOptimalNewCameraMatrix(matrix, coefficients, size, 0.0)
        maps = cv2.initUndistortRectifyMap(matrix, coefficients, None, pinhole, size, cv2.CV_32FC1)
    fx, fy = float(pinhole[0, 0]), float(pinhole[1, 1])
    cx, cy = float(pinhole[0, 2]) + 0.5, float(pinhole[1, 2]) + 0.5
    straight = replace(lens, fx=fx, fy=fy, cx=cx, cy=cy, distortion=(), fisheye=False)
    across, down = (np.asarray(places, np.float32) for places in maps)
    return Undistortion(lens, straight, across, down)
