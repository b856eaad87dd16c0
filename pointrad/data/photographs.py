"""From listed photographs to views: pixels read, undistorted, composited by masks, and averaged to the size asked for.

Every layout and every source of masks ends here, so a mask goes through all that its photograph does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pointrad.camera import Camera
from pointrad.data.layout import Layout
from pointrad.data.photo import IgnoreMask, Lens, Photo
from pointrad.data.picture_files import Picture, check_headers, read_picture, resized
from pointrad.data.scene import Background, Float32Array, Split, View
from pointrad.masks.base import Masks
from pointrad.masks.files import mask_of

if TYPE_CHECKING:
    from pointrad.data.undistort import Undistortion

T = TypeVar("T", np.uint8, np.uint32)
_AT_ONCE = 2**26  # pixels of photographs that are read at the same time, at some 30 bytes each


@dataclass(frozen=True)
class Reader:
    """Reads photographs of one scene.

    reference: the masks known to be right; None where the given ones are. enough: pixels along the longer side of a
    photograph that will do (`read_picture`); None for all.
    """

    dataset: Layout
    given: Masks
    reference: Masks | None
    enough: int | None = None

    def views(self, photos: Sequence[Photo], split: Split) -> tuple[View, ...]:
        """The views of photographs, in order. Masks are soft. Raises UserError naming the file that is wrong."""
        if not photos:  # none is held out of a scene's instant
            return ()
        headers = check_headers([photo.path for photo in photos])
        largest = max(header.width * header.height for header in headers)
        with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, _AT_ONCE // largest))) as pool:
            views = pool.map(lambda photo: self.view(photo, split), photos)
            return tuple(tqdm(views, f"{split} images", len(photos), unit="image", leave=False, disable=None))

    def view(self, photo: Photo, split: Split) -> View:
        """One of `views`, the picture's header not checked. Training is on what the given mask leaves of a photograph,
        evaluation on what the right one does."""
        picture = read_picture(photo.path, self.enough)
        height, width = picture.rgb.shape[:2]
        lens = photo.lens(*picture.size).resized(width, height)
        given = self.given.of(photo, picture)
        reference = None if self.reference is None else self.reference.of(photo, picture)
        of_object = any(masks.are_what_to_ignore(photo) for masks in (self.given, self.reference) if masks is not None)
        ignored = None if photo.ignore is None or of_object else _ignored(photo.ignore, photo, picture)
        rgb = picture.rgb
        if not lens.is_pinhole:
            undistorted = _undistortion(lens)
            lens, rgb, given = undistorted.lens, undistorted.pixels(rgb), undistorted.mask(given)
            reference = None if reference is None else undistorted.mask(reference)
            ignored = None if ignored is None else undistorted.mask(ignored)
        if reference is not None and split != Split.TRAIN:
            given, reference = reference, None
        size = view_size(self.dataset, width, height)
        return View(
            name=photo.name,
            split=split,
            camera=_camera(photo, lens.resized(*size)),
            image=_on_background(rgb, given, size, self.dataset.background),
            mask=_averaged(given, size, 255),
            weight=None if ignored is None else (_averaged(ignored, size, 255) == 0).astype(np.float32),
            reference=None if reference is None else _averaged(reference, size, 255),
        )


def uncut(rgb: NDArray[np.uint8], lens: Lens, width: int, height: int) -> Float32Array:
    """[height, width, 3] float32 in [0, 1]: a photograph's pixels [H, W, 3] as a view has them that no mask composites,
    undistorted and averaged."""
    return _averaged(rgb if lens.is_pinhole else _undistortion(lens).pixels(rgb), (width, height), 255)


def mask_of_view(mask: NDArray[np.uint8], lens: Lens, width: int, height: int) -> Float32Array:
    """[height, width] float32 in [0, 1]: a photograph's mask [H, W] as a view has it."""
    return _averaged(mask if lens.is_pinhole else _undistortion(lens).mask(mask), (width, height), 255)


def _undistortion(lens: Lens) -> Undistortion:
    from pointrad.data.undistort import Undistortion  # not above: OpenCV takes a tenth of a second to import

    return Undistortion.of(lens)


def view_size(dataset: Layout, width: int, height: int) -> tuple[int, int]:
    """Width and height of a view of a photograph of width x height pixels."""
    factor = dataset.downscale
    if dataset.max_size is not None:
        factor = max(factor, max(width, height) / dataset.max_size)
    return max(1, round(width / factor)), max(1, round(height / factor))


def _camera(photo: Photo, lens: Lens) -> Camera:
    return Camera(photo.camera_to_world, lens.fx, lens.fy, lens.cx, lens.cy, lens.width, lens.height)


def _ignored(ignore: IgnoreMask, photo: Photo, picture: Picture) -> NDArray[np.uint8]:
    """[H, W] uint8, 255 on the pixels that are not to be used. Nor is a view's pixel that has one of them in it."""
    mask = mask_of(ignore.path, photo, picture)
    return np.where((mask == 0) == ignore.ignores_black, np.uint8(255), np.uint8(0))


def _on_background(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], size: tuple[int, int], background: Background
) -> Float32Array:
    """[H, W, 3] float32 in [0, 1]. Pixels are composited before they are averaged, so that what lies outside the mask
    counts nowhere; "published" takes the RGB as it is stored."""
    if background == "published":
        return _averaged(rgb, size, 255)
    composited = np.multiply(rgb, mask[..., None], dtype=np.uint32)
    if background == "white":
        composited += np.uint32(255) * (255 - mask[..., None])
    return _averaged(composited, size, 255**2)


def _averaged(values: NDArray[T], size: tuple[int, int], most: int) -> Float32Array:
    """[height, width, ...] float32 in [0, 1]: the mean over the area of each new pixel, over `most`.

    Where whole pixels make up a new one, sums are whole numbers, and exact.
    """
    (width, height), (rows, columns) = size, values.shape[:2]
    if rows % height or columns % width:
        return resized(np.divide(values, most, dtype=np.float32), width, height)
    down, across = rows // height, columns // width
    sums: NDArray[np.unsignedinteger] = values
    if down * across > 1:
        blocks = values.reshape(height, down, width, across, *values.shape[2:])
        sums = blocks.sum(axis=(1, 3), dtype=np.uint64)
    means: Float32Array = np.divide(sums, most * down * across, dtype=np.float64).astype(np.float32)
    return means
