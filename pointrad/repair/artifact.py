"""Repaired masks of a capture, and what they say of the given ones: a folder of masks, a table and a page."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from PIL import Image

from pointrad.data.capture import Capture
from pointrad.data.photo import Lens
from pointrad.data.photographs import uncut
from pointrad.data.picture_files import read_picture, resized
from pointrad.data.scene import Float32Array, Split
from pointrad.evaluation import Opacity, Render
from pointrad.files import replacing
from pointrad.init.evidence import Colour
from pointrad.masks.base import Masks, SoftMask
from pointrad.masks.files import replacing_name
from pointrad.masks.iou import Mask, iou
from pointrad.repair.comparison import compare
from pointrad.repair.decision import Repaired, Seen, repair
from pointrad.repair.page import Tile, html, tile
from pointrad.repair.subjects import Subject
from pointrad.repair.table import Ranking, Row, write_csv

MASKS, TABLE, PAGE = "masks_repaired", "masks.csv", "masks.html"


@dataclass(frozen=True)
class Source:
    """Where photographs and their masks come from. threshold: of masks. background: that the cloud was trained on."""

    name: str
    folder: Path
    masks: Masks
    threshold: float
    background: Colour

    @classmethod
    def of(cls, capture: Capture, split: Split, background: Colour) -> Source:
        threshold = capture.masks.threshold_on(capture.dataset.background)
        return cls(capture.name, capture.folder, capture.given_masks(split), threshold, background)


def write_repaired_masks(
    folder: Path, source: Source, subjects: Sequence[Subject], render: Render, opacity: Opacity
) -> Ranking:
    """Write `masks_repaired/`, `masks.csv` and `masks.html` to a folder; returns what the table says.

    render, opacity: of the trained cloud. Masks of photographs that were held out are written too, so that the folder
    has all masks of the capture, and are not ranked.
    """
    unfinished = folder / f".{MASKS}"
    shutil.rmtree(unfinished, ignore_errors=True)
    repaired = _all_repaired(unfinished, source, subjects, render, opacity)
    done = [found for found in repaired if found is not None]
    shutil.rmtree(folder / MASKS, ignore_errors=True)
    unfinished.rename(folder / MASKS)
    ranking = Ranking.of([row for row, _ in done])
    write_csv(folder / TABLE, ranking)
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(html(source.name, ranking, {row.view: drawn for row, drawn in done}), encoding="utf-8")
    return ranking


def _all_repaired(
    folder: Path, source: Source, subjects: Sequence[Subject], render: Render, opacity: Opacity
) -> Iterator[tuple[Row, Tile] | None]:
    """Writes all masks, a thread each; yields what there is to say of each, None of what was held out."""
    cameras = [subject.camera for subject in subjects]
    threads = numba.get_num_threads()
    waiting = deque[Future[tuple[Row, Tile] | None]]()
    with ThreadPoolExecutor(threads) as pool:
        for subject, image, share in zip(subjects, render(cameras), opacity(cameras), strict=True):
            waiting.append(pool.submit(_repair, folder, source, subject, image, share))
            if len(waiting) > 2 * threads:  # renders wait in memory
                yield waiting.popleft().result()
        for one in waiting:
            yield one.result()


def _repair(
    folder: Path, source: Source, subject: Subject, render: Float32Array, opacity: Float32Array
) -> tuple[Row, Tile] | None:
    picture = read_picture(subject.photo.path)
    stored = source.masks.of(subject.photo, picture)
    height, width = stored.shape
    lens = subject.photo.lens(width, height)
    size = subject.camera.width, subject.camera.height
    given = subject.given
    if subject.held_out:
        given = uncut(stored, lens, *size) > source.threshold
    photograph = uncut(picture.rgb, lens, *size) if subject.image is None else subject.image
    nothing = np.zeros(opacity.shape, bool)
    repaired = repair(nothing if given is None else given, Seen(opacity, render, photograph), source.background)
    mask = _of_photograph(repaired, None if given is None or subject.spoilt else stored, lens)
    _write(folder / replacing_name(source.masks, subject.photo, source.folder), mask, source.masks)
    if subject.held_out:
        return None
    comparison = compare(given, repaired.mask).enlarged(width / size[0])
    row = Row(subject.photo.name, comparison, *_against(subject.reference, given, repaired.mask))
    return row, tile(photograph, given, repaired.mask)


def _of_photograph(repaired: Repaired, stored: SoftMask | None, lens: Lens) -> SoftMask:
    """[H, W] uint8, 255 on the object. stored: the mask that stays where nothing has changed."""
    if stored is not None and not repaired.changed.any():
        return stored
    mask = np.where(_onto_photograph(repaired.soft, lens) >= 0.5, np.uint8(255), np.uint8(0))
    if stored is None:
        return mask
    return np.where(_onto_photograph(repaired.changed.astype(np.float32), lens) >= 0.5, mask, stored)


def _onto_photograph(pixels: Float32Array, lens: Lens) -> Float32Array:
    """[H, W] of the photograph, of pixels [h, w] of a view of it."""
    if lens.is_pinhole:
        return resized(pixels, lens.width, lens.height)
    from pointrad.data.undistort import Undistortion  # not above: OpenCV takes a tenth of a second to import

    return Undistortion.of(lens).distorted(pixels)


def _write(path: Path, mask: SoftMask, masks: Masks) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(255 - mask if masks.inverted else mask).save(path, compress_level=1)


def _against(reference: Mask | None, given: Mask | None, repaired: Mask) -> tuple[float | None, float | None]:
    """The IoU of given and of repaired mask with the reference."""
    if reference is None:
        return None, None
    return 0.0 if given is None else iou(given, reference), iou(repaired, reference)
