"""A random affine warp of each view, as if its mask had been drawn for another pose (docs/method.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.data.scene import Float32Array, View
from pointrad.schema import NonNegative, Share

# At 90 degrees of shear or scale 0 the warp has no inverse; there the object is gone well before these limits.
_MOST_SHEAR = math.radians(89.9)
_LEAST_SCALE = 0.01
_FIXED_BITS = 20


@dataclass(frozen=True)
class Warp:
    """An affine map of the image plane (x right, y down) about the image centre: shear, then rotation, scale, shift.

    rotation, shear_x, shear_y: radians. shift_x, shift_y: whole pixels.
    """

    rotation: float
    shift_x: int
    shift_y: int
    scale: float
    shear_x: float
    shear_y: float

    def inverse(self) -> tuple[float, float, float, float]:
        """Row-major 2x2 matrix that takes an offset from the (shifted) centre in the result to one in the source."""
        cos_y = math.cos(self.shear_y)
        a = math.cos(self.rotation - self.shear_y) / cos_y
        b = -a * math.tan(self.shear_x) - math.sin(self.rotation)
        c = math.sin(self.rotation - self.shear_y) / cos_y
        d = -c * math.tan(self.shear_x) + math.cos(self.rotation)
        return d / self.scale, -b / self.scale, -c / self.scale, a / self.scale  # ad - bc = 1

    def sources(self, width: int, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every pixel of the result the nearest source (row, column), each [H, W] int64, perhaps outside the image.

        The four coefficients are rounded to 2^-20 and the rest is exact in integers, so that no machine's last bit of
        a cosine or a product decides a pixel. Offsets count half pixels from the centre, hence the one bit more.
        """
        a, b, c, d = (round(coefficient * 2**_FIXED_BITS) for coefficient in self.inverse())
        x = (2 * np.arange(width, dtype=np.int64) + 1 - width - 2 * self.shift_x)[None, :]
        y = (2 * np.arange(height, dtype=np.int64) + 1 - height - 2 * self.shift_y)[:, None]
        columns = (a * x + b * y + (width << _FIXED_BITS)) >> (_FIXED_BITS + 1)
        rows = (c * x + d * y + (height << _FIXED_BITS)) >> (_FIXED_BITS + 1)
        return rows, columns


class AffineConfig(MaskErrorConfig):
    """Warps mask and image of a view together; nearest neighbour, and empty (0) where nothing is mapped to.

    Same semantics as torchvision's RandomAffine. Each part is uniform within its jitter times the level. A seed draws
    the same six numbers whatever the jitters and the level: raising the level or silencing a part changes nothing else.

    Keys are the jitter at level 1.
    """

    name: Literal["affine"]
    rotation_degrees: NonNegative
    translation: NonNegative
    shrink: Share
    grow: NonNegative
    shear_degrees: Annotated[float, Field(ge=0, le=90)]

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask and image are warped by the same random map; camera and name stay."""
        height, width = view.mask.shape
        rows, columns = self.draw(rng, width, height).sources(width, height)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        source = np.where(inside, rows * width + columns, 0)
        image: Float32Array = view.image.reshape(-1, 3)[source] * inside[..., None]
        mask: Float32Array = view.mask.reshape(-1)[source] * inside
        return replace(view, image=image, mask=mask)

    def draw(self, rng: np.random.Generator, width: int, height: int) -> Warp:
        """A random warp for an image of this size."""
        rotation, shift_x, shift_y, shear_x, shear_y, scale = rng.random(6).tolist()
        smallest, largest = 1 - self.shrink * self.level, 1 + self.grow * self.level

        def symmetric(share: float, extent: float) -> float:
            return (2 * share - 1) * extent * self.level

        def shear(share: float) -> float:
            angle = math.radians(symmetric(share, self.shear_degrees))
            return min(max(angle, -_MOST_SHEAR), _MOST_SHEAR)

        return Warp(
            rotation=math.radians(symmetric(rotation, self.rotation_degrees)),
            shift_x=round(symmetric(shift_x, self.translation * width)),
            shift_y=round(symmetric(shift_y, self.translation * height)),
            scale=max(smallest + (largest - smallest) * scale, _LEAST_SCALE),
            shear_x=shear(shear_x),
            shear_y=shear(shear_y),
        )


class AffineCorruptionConfig(AffineConfig, CorruptionConfig):
    """Of a run."""
