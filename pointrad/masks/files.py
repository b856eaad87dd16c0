"""Mask files in a folder of their own: which one belongs to which photograph, and its pixels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from pointrad.data.photo import Photo
from pointrad.data.picture_files import SUFFIXES, Picture, resized
from pointrad.data.scene import Split
from pointrad.errors import UserError
from pointrad.masks.base import Masks, SoftMask

_SMALL = (*SUFFIXES, ".bmp", ".tif", ".tiff", ".gif")
_MASK_SUFFIXES = (*_SMALL, *(suffix.upper() for suffix in _SMALL))
_Convention = Callable[[PurePosixPath], Iterator[str]]


def _ending(ending: str, name: Callable[[PurePosixPath], str]) -> _Convention:
    return lambda photo: (str(photo.with_name(name(photo) + ending + suffix)) for suffix in _MASK_SUFFIXES)


# How tools call the mask of NAME.jpg. Of a folder in which several have one for every photograph, the first counts.
_CONVENTIONS: dict[str, _Convention] = {
    "NAME.jpg.png": _ending("", lambda photo: photo.name),  # COLMAP
    "NAME.png": _ending("", lambda photo: photo.stem),
    "NAME_mask.png": _ending("_mask", lambda photo: photo.stem),  # Metashape
    "NAME.mask.png": _ending(".mask", lambda photo: photo.stem),
    "NAME.jpg.mask.png": _ending(".mask", lambda photo: photo.name),
    "mask_NAME.png": lambda photo: (str(photo.with_name(f"mask_{photo.stem}{end}")) for end in _MASK_SUFFIXES),
}
_BY_NUMBER = "012.png for 000012.jpg"  # IDR, NeuS


@dataclass(frozen=True)
class FolderMasks(Masks):
    """Masks in a folder, by the photographs' names; some of those that need none have none. inverted: black on the
    object."""

    folder: Path
    by_name: dict[str, Path]
    said: str
    inverted: bool = False

    def file(self, photo: Photo) -> Path | None:
        return self.by_name.get(photo.name)

    def lacks(self, photo: Photo) -> bool:
        return photo.name not in self.by_name

    def of(self, photo: Photo, picture: Picture) -> SoftMask:
        file = self.file(photo)
        if file is None:
            return np.full(picture.rgb.shape[:2], 255, np.uint8)
        mask = mask_of(file, photo, picture)
        return 255 - mask if self.inverted else mask


def find_masks(key: str, given: str, photos: Sequence[Photo], folder: Path, inverted: bool = False) -> FolderMasks:
    """The masks of `photos`, as `mask_files` finds them; those that need none may lack one."""
    where = _mask_folder(key, given, folder)
    found, said = _matched_best(where, [photo.path for photo in photos], folder)
    needed = [(photo.path, file) for photo, file in zip(photos, found, strict=True) if photo.needs_mask]
    _check_all_found(key, where, said, [picture for picture, _ in needed], [file for _, file in needed])
    by_name = {photo.name: where / file for photo, file in zip(photos, found, strict=True) if file is not None}
    without = len(photos) - len(by_name)
    lacking = f"; {without} photographs have none, and are cut out by the hull of the others" if without else ""
    masks = FolderMasks(where, by_name, f"{where.name}/{said}{lacking}", inverted)
    if not any(masks.are_what_to_ignore(photo) for photo in photos):
        return masks
    also = "; mask_path names them as well, so what is not the object is background, and no pixel is left out"
    return replace(masks, said=masks.said + also)


def mask_files(key: str, given: str, pictures: Sequence[Path], folder: Path) -> tuple[tuple[Path, ...], str]:
    """The mask of each picture in the folder `given`, one in `folder` or any other, and how they are called.

    key: what errors name. Raises UserError, listing what was looked for, unless every picture has its mask.
    """
    where = _mask_folder(key, given, folder)
    found, said = _matched_best(where, pictures, folder)
    _check_all_found(key, where, said, pictures, found)
    return tuple(where / path for path in found if path is not None), f"{where.name}/{said}"


def _matched_best(where: Path, pictures: Sequence[Path], folder: Path) -> tuple[list[str | None], str]:
    """The path in `where` of each picture's mask by the convention that finds most, and that convention."""
    files = (path for path in where.rglob("*") if path.suffix in _MASK_SUFFIXES and not path.name.startswith("."))
    there = {path.relative_to(where).as_posix() for path in files}
    names = [_names(picture, folder) for picture in pictures]
    matches = {said: _matched(names, there, candidates) for said, candidates in _CONVENTIONS.items()}
    around, found = _matched_within(names, there)
    matches |= {around: found, _BY_NUMBER: _matched_by_number(names, there)}
    said, found = max(matches.items(), key=lambda match: sum(path is not None for path in match[1]))
    first = next((path for path in found if path is not None), None)
    if first is not None and said in _CONVENTIONS:
        said = said.removesuffix(".png") + PurePosixPath(first).suffix
    return found, said


def _check_all_found(
    key: str, where: Path, said: str, pictures: Sequence[Path], found: Sequence[str | None]
) -> None:  # fmt: skip
    missing = [picture.name for picture, path in zip(pictures, found, strict=True) if path is None]
    if missing:
        looked_for = f"looked for {', '.join(_CONVENTIONS)}, the same around each NAME, and {_BY_NUMBER}"
        best = f", as {said}" if len(missing) < len(pictures) else ""
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise UserError(
            f"{key}: found masks of {len(pictures) - len(missing)} of {len(pictures)} photographs in {where}{best}; "
            f"expected one of each, but none is there of {', '.join(missing[:3])}{more} ({looked_for})"
        )


def _mask_folder(key: str, given: str, folder: Path) -> Path:
    inside, outside = folder / given, Path(given).expanduser()
    where = inside if inside.is_dir() else outside
    if not where.is_dir():
        raise UserError(f"{key}: found {given}; expected a folder, but there is neither {inside} nor {outside}")
    return where


def replacing_name(masks: Masks, photo: Photo, folder: Path) -> PurePosixPath:
    """Where in a folder of masks the PNG lies that takes the place of a photograph's mask: as in the folder that
    `masks` come from, else where the photograph lies. folder: the capture's."""
    if isinstance(masks, FolderMasks) and (file := masks.file(photo)) is not None:
        return PurePosixPath(file.relative_to(masks.folder).as_posix()).with_suffix(".png")
    return _names(photo.path, folder)[-1].with_suffix(".png")


def mask_of(path: Path, photo: Photo, picture: Picture) -> SoftMask:
    """`read_mask`, resized to its photograph. Raises UserError for a mask of another shape, too."""
    height, width = picture.rgb.shape[:2]
    return fitted(read_mask(path), path, photo.path.name, width, height)


def fitted(mask: SoftMask, path: Path, photograph: str, width: int, height: int) -> SoftMask:
    """A mask from the file `path`, resized to its photograph's size. Raises UserError if its shape is another."""
    if not same_shape(mask.shape[1], mask.shape[0], width, height):
        turned = same_shape(mask.shape[0], mask.shape[1], width, height)
        raise UserError(
            f"{path}: found {mask.shape[1]}x{mask.shape[0]} pixels; expected the {width}x{height} of {photograph}, or "
            "others of the same shape" + ("; EXIF turns one of them and not the other" if turned else "")
        )
    return resized(mask, width, height)


def same_shape(width: int, height: int, other_width: int, other_height: int) -> bool:
    """Whether whole pixels are all that keeps two sizes from having the same aspect ratio."""
    return abs(width * other_height - height * other_width) <= max(width, height) + max(other_width, other_height)


def read_mask(path: Path) -> SoftMask:
    """[H, W] uint8, 255 on the object: the alpha where a mask has one, else how bright it is, upright.

    Masks of 0 and 1, and numbered ones of a palette that has colours, are the object where they are not 0. Raises
    UserError for what cannot be decoded.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode == "P" and not image.has_transparency_data and _has_colours(image):
                return np.where(np.asarray(image) > 0, np.uint8(255), np.uint8(0))
            if image.mode.startswith("I"):
                grey = np.asarray(image).astype(np.int64)
                grey = grey // 257 if grey.max(initial=0) > 255 else grey
            else:
                grey = np.asarray(image.convert("RGBA").getchannel("A") if image.has_transparency_data
                                  else image.convert("L"))  # fmt: skip
    except Exception as error:  # a decoder raises all kinds of errors on a broken file
        raise UserError(f"{path}: found a mask that cannot be read ({error}); expected a whole picture") from None
    mask: SoftMask = np.clip(grey * 255 if grey.max(initial=0) == 1 else grey, 0, 255).astype(np.uint8)
    return mask


def _has_colours(image: Image.Image) -> bool:
    palette = np.array(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((palette != palette[:, :1]).any())


def _names(path: Path, folder: Path) -> list[PurePosixPath]:
    """The paths below a folder of masks that may mirror the photograph's: in full, and without what holds all
    photographs."""
    full = PurePosixPath(path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name)
    below = PurePosixPath(*full.parts[1:])
    return [full] if len(full.parts) == 1 or full.parts[0] in set(Split) else [full, below]


def _matched(
    names: Sequence[Sequence[PurePosixPath]], there: set[str], candidates: _Convention
) -> list[str | None]:  # fmt: skip
    return [next((path for name in of for path in candidates(name) if path in there), None) for of in names]


def _matched_within(names: Sequence[Sequence[PurePosixPath]], there: set[str]) -> tuple[str, list[str | None]]:
    """Masks whose names have the photographs' within, and the same around all of them: NAME-removebg-preview.png."""
    beside: dict[PurePosixPath, list[str]] = {}
    for path in map(PurePosixPath, sorted(there)):
        beside.setdefault(path.parent, []).append(path.name)

    def around(name: PurePosixPath) -> Iterator[tuple[str, str]]:
        for file in beside.get(name.parent, ()):
            before, within, after = file.partition(name.stem)
            if within and not before[-1:].isalnum() and not after[:1].isalnum():
                yield before, after

    counted = Counter(pair for of in names for pair in {pair for name in of for pair in around(name)})
    (before, after), _ = max(counted.items(), key=lambda pair: pair[1], default=(("", ".png"), 0))
    candidates = {name: str(name.with_name(before + name.stem + after)) for of in names for name in of}
    found = [next((candidates[name] for name in of if candidates[name] in there), None) for of in names]
    return f"{before}NAME{after}", found


def _matched_by_number(names: Sequence[Sequence[PurePosixPath]], there: set[str]) -> list[str | None]:
    """Nothing matches where two masks, or two photographs, have one number."""
    masks = {_number(PurePosixPath(path)): path for path in sorted(there)}
    numbers = [_number(of[-1]) for of in names]
    distinct = len(masks) == len(there) and len(set(numbers)) == len(numbers)
    return [masks.get(number) if distinct and number is not None else None for number in numbers]


def _number(path: PurePosixPath) -> int | None:
    found = re.fullmatch(r"\D*(\d+)\D*", path.stem)
    return int(found[1]) if found else None
