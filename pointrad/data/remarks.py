"""What is worth saying of a scene before work starts, though it is no error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import numpy as np
import psutil
from numpy.typing import NDArray

from pointrad.data.layout import Layout
from pointrad.data.photo import Photo
from pointrad.data.photographs import view_size
from pointrad.data.picture_files import Header
from pointrad.data.poses import ONE_SIDE, gap_around, nearest_to_axes
from pointrad.data.scene import Background, Float32Array, Scene
from pointrad.errors import UserError
from pointrad.progress import warn

_FEW_VIEWS = 5
_BYTES = 48  # of a view's pixel, as measured: colours and mask take 16, the rest is what a run makes of them
_MANY = 100_000_000  # pixels, 5 GB
_USUAL = 2**26  # pixels of a scene, which the size that is suggested makes of many


def remark_pictures(name: str, dataset: Layout, photos: Sequence[Photo], headers: Sequence[Header]) -> None:
    """Say what is odd about the pictures of a scene before their pixels are read.

    Raises UserError if these would take more memory than there is.
    """
    _remark_size(name, dataset, headers)
    turned = [photo.name for photo, header in zip(photos, headers, strict=True) if _may_be_turned(photo, header)]
    if turned:
        more = f" and {len(turned) - 3} more" if len(turned) > 3 else ""
        warn(
            f"{name}: EXIF turns {len(turned)} photographs ({', '.join(turned[:3])}{more}), and so they are read; if "
            "their cameras were found in the pixels as they are stored, remove the orientation from EXIF"
        )


def _remark_size(name: str, dataset: Layout, headers: Sequence[Header]) -> None:
    sizes = [view_size(dataset, *header.upright) for header in headers]
    pixels = sum(width * height for width, height in sizes)
    if pixels < _MANY:
        return
    longest = max(max(size) for size in sizes)
    smaller = max(100, math.floor(longest * math.sqrt(_USUAL / pixels) / 100) * 100)
    needed, there = _BYTES * pixels / 1e9, _memory() / 1e9
    found = f"{len(sizes)} photographs of up to {longest} pixels along a side"
    if needed > there:
        raise UserError(
            f"dataset.max_size: found {dataset.max_size or 'null'}, and {found}, which take {needed:.0f} GB of memory; "
            f"there are {there:.0f} GB; expected fewer pixels, such as dataset.max_size={smaller}"
        )
    warn(
        f"{name}: {found} take {needed:.0f} GB of memory, and long to train on; dataset.max_size={smaller} averages "
        "them to fewer"
    )


def _memory() -> float:
    """Bytes of this machine."""
    return float(psutil.virtual_memory().total)


def _may_be_turned(photo: Photo, header: Header) -> bool:
    """Whether EXIF turns a picture, and its camera would take it either way."""
    return header.orientation > 1 and all(
        _is_taken(photo, *size) for size in (header.upright, (header.width, header.height))
    )


def _is_taken(photo: Photo, width: int, height: int) -> bool:
    try:
        photo.lens(width, height)
    except UserError:
        return False
    return True


def remark(scene: Scene, background: Background) -> None:
    """Say what is odd about a scene as it was loaded, masks still soft."""
    if background == "published":
        _remark_colour_under_alpha_0(scene)
    if len(scene.train) < _FEW_VIEWS:
        count = "1 training view" if len(scene.train) == 1 else f"{len(scene.train)} training views"
        warn(f"{scene.name} has {count}: the hull of so few is far larger than the object")
        return
    cameras = [view.camera for view in scene.train]
    centre = nearest_to_axes(np.stack([camera.camera_to_world for camera in cameras]))
    gap = 0.0 if centre is None else gap_around(cameras, centre)
    if gap > ONE_SIDE:
        warn(
            f"{scene.name}: all cameras are on one side; {gap:.0f} of the 360 degrees around the object have none, and "
            "what only these would see is guessed"
        )


def _is_coloured(image: Float32Array) -> NDArray[np.bool_]:
    """[H, W], where an image [H, W, 3] is not black; several times as fast as `any` along its last axis."""
    red, green, blue = np.moveaxis(image, -1, 0)
    coloured: NDArray[np.bool_] = (red != 0) | (green != 0) | (blue != 0)
    return coloured


def _remark_colour_under_alpha_0(scene: Scene) -> None:
    views = scene.train if scene.evaluation is scene.train else tuple(chain(scene.train, scene.evaluation))
    counts = np.array([np.count_nonzero((view.mask == 0) & _is_coloured(view.image)) for view in views])
    if counts.any():
        share = counts.sum() / sum(view.mask.size for view in views)
        warn(
            f"dataset.background=published counts colour under alpha 0 as truth: {counts.sum():,} pixels "
            f"({share:.2%}) in {np.count_nonzero(counts)} of {len(views)} pictures are not black there"
        )
