"""The picture files of a dataset: which one a frame means, whether it may be opened, and its pixels, upright."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from pydantic import AfterValidator

from pointrad.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")  # in small letters, capitals or both
_TRIED = (*SUFFIXES, *(suffix.upper() for suffix in SUFFIXES))  # where a path has none
CONVERSION = "convert others first, for example with `magick mogrify -format jpg`"
T = TypeVar("T", np.uint8, np.float32)
_NOT_CONVERTED = ("I;16", "I", "F")  # grey of 16 bits and more, which Pillow cuts off instead of scaling
_QUARTERS = 5  # from this orientation of EXIF on, pictures are turned by a quarter
_LARGE = 2**26  # bytes of RGBA; smaller pictures are cheap to try
_COMPRESSION = 1032  # bytes that a byte of a PNG holds at most (deflate)

_LONGEST_PATH, _LONGEST_NAME = 1024, 250  # bytes; systems allow 4096 with the folder's, and 255 with a suffix


def _can_name_a_file(path: str) -> str:
    names = [len(name.encode()) for name in path.split("/")]
    if "\0" in path or max(names) > _LONGEST_NAME or sum(names) > _LONGEST_PATH:
        raise ValueError(f"the path of an image, of at most {_LONGEST_PATH} bytes, and {_LONGEST_NAME} between slashes")
    return path


PicturePath = Annotated[str, AfterValidator(_can_name_a_file)]


def without_suffix(file_path: str) -> str:
    """A frame's path without "./" and a picture's suffix, with slashes as on every system but Windows."""
    name = file_path.replace("\\", "/").removeprefix("./")
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name


def view_name(folder: Path, picture: Path) -> str:
    """What the view of a picture is called: its path below the capture's folder, without its suffix."""
    return without_suffix((picture.relative_to(folder) if picture.is_relative_to(folder) else picture).as_posix())


def said_of_missing(folder: Path, file_paths: Sequence[str]) -> str:
    """What to say of frames that have no picture."""
    path = _meant(folder, file_paths[0])
    shown = path if path.suffix.lower() in SUFFIXES else path.with_name(path.name + SUFFIXES[0])
    more = f" (nor are those of {len(file_paths) - 1} other frames)" if len(file_paths) > 1 else ""
    return f"{shown}: no such file; expected the picture of frame {file_paths[0]!r}{more}"


def picture_or_none(folder: Path, file_path: str) -> Path | None:
    """The file that a frame means, given with or without its suffix; None if there is none."""
    path = _meant(folder, file_path)
    candidates = (path, *(path.with_name(path.name + suffix) for suffix in _TRIED))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def pictures_of(folder: Path, file_paths: Sequence[str]) -> tuple[list[Path | None], tuple[str, ...]]:
    """The file that each frame means, None where there is none; and what is worth saying of it.

    Paths may have been written on another machine, or before photographs were cut out and stored in another format.
    One that leads nowhere means the picture below `folder` whose path ends like it, unless another frame means that.
    """
    found = [picture_or_none(folder, file_path) for file_path in file_paths]
    moved = {n: _moved(folder, file_paths[n]) for n, picture in enumerate(found) if picture is None}
    meant = Counter(chain(found, moved.values()))
    taken = {n: picture for n, picture in moved.items() if picture is not None and meant[picture] == 1}
    if not taken:
        return found, ()
    first, picture = next(iter(taken.items()))
    said = (
        f"{len(taken)} of {len(file_paths)} pictures are not where they are said to be, the first {file_paths[first]}; "
        f"took those whose paths end like theirs, the first {picture.relative_to(folder)}"
    )
    return [taken.get(n, picture) for n, picture in enumerate(found)], (said,)


def _moved(folder: Path, file_path: str) -> Path | None:
    """The picture below a folder whose path, but for its suffix, is the longest end of a frame's; or of its name in the
    folder `images`."""
    parts = [part for part in PurePosixPath(without_suffix(file_path)).parts if part not in ("/", "..")]
    ends = [folder.joinpath(*parts[start:]) for start in range(len(parts))]
    ends += [folder / "images" / name for name in parts[-1:]]
    candidates = (end.with_name(end.name + suffix) for end in ends for suffix in _TRIED)
    return next((path for path in candidates if path.is_file()), None)


def _meant(folder: Path, file_path: str) -> Path:
    return folder / file_path.replace("\\", "/")


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """The pictures that lie in a folder, sorted by name."""
    return tuple(sorted(path for path in folder.iterdir() if is_picture(path) and path.is_file()))


def is_picture(path: Path) -> bool:
    """Whether a file is one by its name; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


class Header(NamedTuple):
    """What a picture's file says before its pixels: their number as they are stored, and how EXIF turns them (1: it
    does not)."""

    width: int
    height: int
    has_alpha: bool
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height, turned as EXIF says."""
        return (self.height, self.width) if self.orientation >= _QUARTERS else (self.width, self.height)


def check_headers(paths: Sequence[Path]) -> list[Header]:
    """What each picture's file says of it, once it is sure that it may be decoded: none is larger than its file can
    hold.

    Only headers are read, so a picture that would take gigabytes costs nothing. Raises UserError naming it.
    """
    with (
        warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        return list(pool.map(_header, paths))


def _header(path: Path) -> Header:
    try:
        with Image.open(path) as image:
            width, height = image.size
            has_alpha = image.has_transparency_data
            # Pillow decodes a PNG to look for an EXIF block behind its pixels.
            exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            orientation = int(exif.get(ExifTags.Base.Orientation, 1))
            bits = 1 if image.mode in ("1", "L", "P") else 8 * len(image.getbands())  # fewest bits of a pixel
    except Exception as error:  # a decoder raises all kinds of errors on a broken file
        raise _unreadable(path, error) from None
    held = path.stat().st_size
    if 4 * width * height > _LARGE and width * height * bits / 8 > _COMPRESSION * held:
        raise UserError(
            f"{path}: found a header that promises {width}x{height} pixels, more than the file's {held:,} bytes can "
            "hold; expected a whole picture"
        )
    return Header(width, height, has_alpha, orientation)


@dataclass(frozen=True)
class Picture:
    """Pixels, upright: rgb [H, W, 3] uint8; alpha [H, W] uint8, straight, None without one; Pillow's mode.

    size: the file's width and height, upright; `rgb` has fewer pixels where that was asked for.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    mode: str
    size: tuple[int, int]


def read_picture(path: Path, enough: int | None = None) -> Picture:
    """The pixels, turned upright as EXIF says.

    enough: so many pixels along the longer side will do, which is far faster where the format allows it (JPEG); None
    for all. Raises UserError for what cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            mode = image.mode
            if mode in _NOT_CONVERTED:
                raise UserError(f"{path}: found a grey picture of 16 bits or more ({mode}); expected 8 bits, or RGB")
            width, height = image.size
            if enough is not None:
                image.draft(None, _at_least(enough, image.size))
            upright = ImageOps.exif_transpose(image)
            size = (width, height) if upright.size == image.size else (height, width)
            if not image.has_transparency_data:
                return Picture(np.asarray(upright.convert("RGB")), None, mode, size)
            pixels = np.asarray(upright.convert("RGBA"))
            return Picture(pixels[..., :3], pixels[..., 3], mode, size)
    except UserError:
        raise
    except Exception as error:  # as above
        raise _unreadable(path, error) from None


def _at_least(enough: int, size: tuple[int, int]) -> tuple[int, int]:
    width, height = (max(1, enough * side // max(size)) for side in size)
    return width, height


def resized(pixels: NDArray[T], width: int, height: int) -> NDArray[T]:
    """[height, width, ...] of pixels [H, W, ...]: their mean over the area of each new one, or between those that are
    nearest where there are fewer of them."""
    if pixels.shape[:2] == (height, width):
        return pixels
    import cv2  # not above: most pictures have the size that is asked for

    smaller = width * height < pixels.shape[0] * pixels.shape[1]
    return cast(
        NDArray[T], cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    )


def _unreadable(path: Path, error: Exception) -> UserError:
    kinds = "" if is_picture(path) else f" ({', '.join(SUFFIXES)}; {CONVERSION})"
    return UserError(f"{path}: found an image that cannot be read ({error}); expected a whole picture{kinds}")
