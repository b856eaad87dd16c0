"""A posed photograph as a capture lists it, before its pixels are read.

A layout (`Layout`) lists photographs; what happens to their pixels is the same for all of them (`photographs.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pointrad.camera import Float64Array


@dataclass(frozen=True)
class Lens:
    """A camera's optics for a photograph of width x height pixels.

    fx, fy, cx, cy: focal lengths and principal point, pixels, pixel centres at + 0.5. distortion: OpenCV's coefficients
    k1 k2 p1 p2 k3 k4 k5 k6 as far as they are known, or k1 k2 k3 k4 of an equidistant fisheye. They act on slopes with
    y down.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    fisheye: bool = False

    @property
    def is_pinhole(self) -> bool:
        return not self.fisheye and not any(self.distortion)

    def resized(self, width: int, height: int) -> Lens:
        """The optics of the same photograph with another number of pixels."""
        across, down = width / self.width, height / self.height
        return replace(self, width=width, height=height, fx=self.fx * across, cx=self.cx * across,
                       fy=self.fy * down, cy=self.cy * down)  # fmt: skip


@dataclass(frozen=True)
class IgnoreMask:
    """A picture of which pixels to leave out of the loss: those that are black, or those that are not."""

    path: Path
    ignores_black: bool


@dataclass(frozen=True)
class Photo:
    """One posed photograph.

    name: what the view is called, unique in the scene: the file's path below the capture's folder, without its suffix.
    path: the file. lens: the optics for a picture of so many pixels; it raises UserError where the capture says that it
    has others. camera_to_world: [4, 4] float64 rigid transform, OpenGL axes (x right, y up, looking along -z).
    """

    name: str
    path: Path
    lens: Callable[[int, int], Lens]
    camera_to_world: Float64Array
    ignore: IgnoreMask | None = None


@dataclass(frozen=True)
class Listing:
    """The photographs of one split, in order.

    index: the files that say which there are and where their cameras stand. remarks: what is worth saying of them.
    """

    index: tuple[Path, ...]
    photos: tuple[Photo, ...]
    remarks: tuple[str, ...] = ()
