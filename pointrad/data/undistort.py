"""Photographs without the distortion of their lens, by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from pointrad.data.photo import Lens
from pointrad.data.scene import Float32Array

T = TypeVar("T", np.uint8, np.float32)


@dataclass(frozen=True)
class Undistortion:
    """What makes a pinhole's photograph of one that was taken through a lens.

    lens: the pinhole's, for as many pixels. It sees a little less, so that every pixel of it is one of the photograph.
    across, down: [H, W] float32, where each pixel lies in the photograph, pixel centres at whole numbers (OpenCV).
    """

    lens: Lens
    across: Float32Array
    down: Float32Array

    @classmethod
    def of(cls, lens: Lens) -> Undistortion:
        return _undistortion(lens)

    def pixels(self, pixels: NDArray[T]) -> NDArray[T]:
        """[H, W, ...] of a photograph's pixels, or of its mask's."""
        return cast(
            NDArray[T], cv2.remap(pixels, self.across, self.down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )


@lru_cache(maxsize=4)  # photographs of one camera, in most captures all
def _undistortion(lens: Lens) -> Undistortion:
    size = lens.width, lens.height
    matrix = np.array([[lens.fx, 0, lens.cx - 0.5], [0, lens.fy, lens.cy - 0.5], [0, 0, 1]])
    given = 4 if lens.fisheye else 8
    coefficients = np.array([*lens.distortion, *[0.0] * (given - len(lens.distortion))])
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
    return Undistortion(straight, across, down)
