"""Photographs as a camera wrote them: which there are, and copies that are upright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image
from tqdm import tqdm

from pointrad.data.picture_files import CONVERSION, SUFFIXES, check_headers, pictures_in, read_picture
from pointrad.errors import UserError
from pointrad.progress import announce

FEWEST = 3  # photographs that structure can be had from
_OTHER_PICTURES = (".heic", ".heif", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3",
                   ".nef", ".arw", ".orf", ".rw2", ".raf")  # fmt: skip
_FILM = 36.0  # mm, the longer side that focal lengths "in 35 mm" are for


@dataclass(frozen=True)
class Photograph:
    """One picture of a capture.

    path: the file that it comes from. name: its file's in images/. width, height: upright, pixels. orientation: EXIF's,
    1 where the file was upright. focal: what EXIF says, pixels; None where it says nothing.
    """

    path: Path
    name: str
    width: int
    height: int
    orientation: int = 1
    focal: float | None = None


def photographs_in(folder: Path) -> tuple[Path, ...]:
    """The photographs that lie in a folder, sorted by name.

    Raises UserError for a folder without, and naming files that look like photographs and cannot be used.
    """
    if not folder.is_dir():
        raise UserError(f"photos: found {folder}; expected a folder of photographs, or the file of a video")
    found = pictures_in(folder)
    visible = (path for path in folder.iterdir() if not path.name.startswith(".") and path not in found)
    others = sorted(path.name for path in visible if path.suffix.lower() in _OTHER_PICTURES)
    if others:
        raise UserError(
            f"photos: found {_listed(others)} in {folder}; expected {', '.join(SUFFIXES)} alone ({CONVERSION}, or put "
            "them elsewhere)"
        )
    below = sorted(path.name for path in folder.iterdir() if path.is_dir() and pictures_in(path))
    if below:
        announce(f"photos: pictures in sub-folders are left out: {_listed(below)}")
    stems = [path.stem for path in found]
    twice = sorted(path.name for path in found if stems.count(path.stem) > 1)
    if twice:
        raise UserError(f"photos: found {_listed(twice)} in {folder}; expected names that differ before the suffix")
    check_enough(len(found), folder)
    return found


def check_enough(count: int, where: Path) -> None:
    if count < FEWEST:
        raise UserError(
            f"photos: found {count} photographs in {where}; expected {FEWEST} at least, and better some dozens from "
            "all sides"
        )


def write_upright(paths: Sequence[Path], folder: Path, jpeg_quality: int) -> tuple[Photograph, ...]:
    """Copy photographs to a new folder. Those that EXIF turns are turned, and lose this part of EXIF; alpha is dropped.

    Raises UserError naming every file that cannot be read.
    """
    folder.mkdir(parents=True)

    def copied(path: Path) -> Photograph | UserError:
        try:
            check_headers([path])
            return _copied(path, folder, jpeg_quality)
        except UserError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(tqdm(pool.map(copied, paths), "reading", len(paths), unit="photo", leave=False, disable=None))
    if broken := [str(one) for one in done if isinstance(one, UserError)]:
        raise UserError("\n".join(broken))
    return tuple(one for one in done if isinstance(one, Photograph))


def write_jpeg(image: Image.Image, to: Path, quality: int, exif: Image.Exif | None = None) -> None:
    image.save(to, quality=quality, subsampling=0, exif=(exif or Image.Exif()).tobytes())


def _copied(path: Path, folder: Path, jpeg_quality: int) -> Photograph:
    rgb = read_picture(path).rgb
    height, width = rgb.shape[:2]
    with Image.open(path) as image:
        exif, form, mode = image.getexif(), image.format, image.mode
    orientation = int(exif.pop(ExifTags.Base.Orientation, 1))
    usable = (form, path.suffix.lower()) in {("JPEG", ".jpg"), ("JPEG", ".jpeg"), ("PNG", ".png")}
    to = folder / (path.name if path.suffix.lower() != ".webp" else f"{path.stem}.png")
    if usable and orientation <= 1 and mode in ("RGB", "L"):
        shutil.copyfile(path, to)
    else:
        write_jpeg(Image.fromarray(rgb), to, jpeg_quality, exif)
    return Photograph(path, to.name, width, height, orientation, _focal(exif, max(width, height)))


def _focal(exif: Image.Exif, longer_side: int) -> float | None:
    """Pixels."""
    of_film = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm)
    return longer_side * float(of_film) / _FILM if isinstance(of_film, int | float) and of_film > 0 else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more}"
