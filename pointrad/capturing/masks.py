"""Masks of photographs that have no poses yet: files of a folder, alpha, or what a segmenter says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from pointrad.capturing.config import PhotographMasksConfig
from pointrad.capturing.photographs import Photograph
from pointrad.capturing.segmenters import grabcut, mediapipe, rembg
from pointrad.data.picture_files import read_picture
from pointrad.errors import UserError
from pointrad.masks.base import SoftMask
from pointrad.masks.files import fitted, mask_files, read_mask, same_shape
from pointrad.progress import announce

# The mask of a photograph, whose upright copy is in the folder of images. [H, W] uint8, 255 on the object.
Source = Callable[[Photograph, Path], SoftMask]


def source_of_masks(config: PhotographMasksConfig, seed: int) -> Source | None:
    """Where masks come from that need no other files; None for a folder's, and for none.

    Raises UserError, with the command that mends it, if what it takes is not installed: nothing is ever downloaded.
    """
    match config.source:
        case "alpha":
            return _alpha
        case "grabcut":
            return _of_pixels(grabcut(config, seed))
        case "rembg":
            return _of_pixels(rembg(config.model))
        case "mediapipe":
            return _of_pixels(mediapipe(Path(config.model or "").expanduser()))
        case _:
            return None


def masks_in_folder(config: PhotographMasksConfig, photographs: Sequence[Photograph], folder: Path) -> Source:
    """Where photographs of `folder` have their masks in another. Masks of the photographs' size before EXIF turned them
    are turned with them. Raises UserError unless each has its mask."""
    files, said = mask_files("masks", config.source, [photograph.path for photograph in photographs], folder)
    by_name = {photograph.name: file for photograph, file in zip(photographs, files, strict=True)}
    unturned = any(_is_unturned(photograph, by_name[photograph.name]) for photograph in photographs)
    announce(f"masks: {said}" + (", turned with their photographs as EXIF says" if unturned else ""))

    def mask(photograph: Photograph, images: Path) -> SoftMask:
        file = by_name[photograph.name]
        found = read_mask(file)
        found = _turned(found, photograph.orientation) if unturned else found
        found = fitted(found, file, photograph.path.name, photograph.width, photograph.height)
        return 255 - found if config.invert else found

    return mask


def write_masks(
    source: Source, photographs: Sequence[Photograph], images: Path, soft: Path, hard: Path, threshold: float
) -> list[str]:
    """Write each mask twice: soft for the capture, hard for COLMAP, both named as COLMAP has it. Returns the names of
    photographs whose masks are empty or full."""
    soft.mkdir(parents=True)
    hard.mkdir(parents=True)
    useless = []
    for photograph in tqdm(photographs, "masks", unit="photo", leave=False, disable=None):
        mask = source(photograph, images)
        inside = mask > 255 * threshold
        Image.fromarray(mask).save(soft / f"{photograph.name}.png")
        Image.fromarray(np.where(inside, np.uint8(255), np.uint8(0))).save(hard / f"{photograph.name}.png")
        if inside.all() or not inside.any():
            useless.append(photograph.name)
    return useless


def _alpha(photograph: Photograph, images: Path) -> SoftMask:
    alpha = read_picture(photograph.path).alpha
    if alpha is None:
        raise UserError(f"{photograph.path}: found a picture without alpha; expected RGBA, for masks=alpha")
    return alpha


def _of_pixels(segment: Callable[[SoftMask], SoftMask]) -> Source:
    return lambda photograph, images: segment(read_picture(images / photograph.name).rgb)


def _is_unturned(photograph: Photograph, mask: Path) -> bool:
    """Whether a mask has the shape that its photograph had before EXIF turned it, and not the one that it has now."""
    if photograph.orientation < 5:  # turned by a quarter from there on
        return False
    shape = read_mask(mask).shape
    upright = same_shape(shape[1], shape[0], photograph.width, photograph.height)
    return not upright and same_shape(shape[1], shape[0], photograph.height, photograph.width)


def _turned(mask: SoftMask, orientation: int) -> SoftMask:
    image = Image.fromarray(mask)
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))
