"""A posed photograph as a capture lists it, before its pixels are read.

A layout (`Layout`) lists photographs; what happens to their pixels is the same for all of them (`photographs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pointrad.camera import Float64Array
from pointrad.errors import UserError

COEFFICIENTS = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE_COEFFICIENTS = ("k1", "k2", "k3", "k4")
_TURNED = (
    "one of them is turned: if cameras were found in the pixels as they are stored, remove the EXIF orientation from "
    "the photographs"
)


def distortion(named: Mapping[str, float], fisheye: bool) -> tuple[float, ...]:
    """The coefficients of a lens in OpenCV's order; those that are not named are 0. () of a lens without distortion."""
    values = tuple(named.get(name, 0.0) for name in (FISHEYE_COEFFICIENTS if fisheye else COEFFICIENTS))
    return values if fisheye or any(values) else ()


@dataclass(frozen=True)
class Lens:
    """A camera's optics for a photograph of width x height pixels.

    fx, fy, cx, cy: focal lengths and principal point, pixels, pixel centres at + 0.5. distortion: OpenCV's coefficients
    (`COEFFICIENTS`), or those of an equidistant fisheye (`FISHEYE_COEFFICIENTS`); () where all are 0. They act on
    slopes with y down.
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

    def of_picture(self, width: int, height: int, where: str) -> Lens:
        """`resized`, for a picture that should be the photograph, or a smaller or larger copy of it.

        where: the file and key that say the lens's size. Raises UserError for a picture of another shape.
        """
        if self._has_shape_of(width, height):
            return self.resized(width, height)
        turned = f"; {_TURNED}" if self._has_shape_of(height, width) else ""
        raise UserError(
            f"{where}: found {self.width}x{self.height} pixels; expected the picture's {width}x{height}, or others of "
            f"this shape{turned}"
        )

    def _has_shape_of(self, width: int, height: int) -> bool:
        """Whether whole pixels are all that keeps a picture of this size from having the same aspect ratio."""
        return abs(self.width * height - self.height * width) <= max(self.width, self.height)


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
    needs_mask: files of masks must have one of it; others may, such as those that are held out of a video.
    """

    name: str
    path: Path
    lens: Callable[[int, int], Lens]
    camera_to_world: Float64Array
    ignore: IgnoreMask | None = None
    needs_mask: bool = True


@dataclass(frozen=True)
class Listing:
    """The photographs of one split, in order.

    index: the files that say which there are and where their cameras stand. remarks: what is worth saying of them.
    refusal: why nothing can be trained on it, though there are these photographs, as where some pictures are missing;
    what to do is in it.
    """

    index: tuple[Path, ...]
    photos: tuple[Photo, ...]
    remarks: tuple[str, ...] = ()
    refusal: str | None = None
