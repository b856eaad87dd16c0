"""Repaired masks of a capture, and what they say of the given ones: a folder of masks, a table and a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from pointrad.data.photo import Lens
from pointrad.data.picture_files import resized
from pointrad.data.scene import Float32Array
from pointrad.files import replacing
from pointrad.masks.base import Masks, SoftMask
from pointrad.masks.files import replacing_name
from pointrad.masks.iou import Mask, iou
from pointrad.repair.comparison import compare
from pointrad.repair.decision import Repaired
from pointrad.repair.page import Tile, html, tile
from pointrad.repair.put_right import ByCloud, PutRight, Source, each_put_right
from pointrad.repair.rounds import Rounds
from pointrad.repair.table import Ranking, Row, write_csv

MASKS, TABLE, PAGE = "masks_repaired", "masks.csv", "masks.html"


def write_repaired_masks(folder: Path, name: str, by_clouds: Iterable[ByCloud], rounds: Rounds) -> Ranking:
    """Write `masks_repaired/`, `masks.csv` and `masks.html` to a folder; returns what the table says.

    name: of the scene. by_clouds: its photographs; those of each frame, where it moves. rounds: of which the cloud is
    one. Masks of photographs that were held out are written too, so that the folder has all masks of the capture, and
    are not ranked.
    """
    unfinished = folder / f".{MASKS}"
    shutil.rmtree(unfinished, ignore_errors=True)
    repaired = (each_put_right(these, partial(_written, unfinished, these.source)) for these in by_clouds)
    done = [found for found in chain.from_iterable(repaired) if found is not None]
    shutil.rmtree(folder / MASKS, ignore_errors=True)
    unfinished.rename(folder / MASKS)
    ranking = Ranking.of([row for row, _ in done])
    write_csv(folder / TABLE, ranking)
    tiles = {row.view: drawn for row, drawn in done}
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(html(name, ranking, tiles, rounds), encoding="utf-8")
    return ranking


def _written(folder: Path, source: Source, found: PutRight) -> tuple[Row, Tile] | None:
    """Writes a mask; returns what there is to say of it, None of what was held out."""
    subject, repaired = found.subject, found.repaired
    kept = None if found.given is None or subject.spoilt else found.stored
    mask = _of_photograph(repaired, kept, found.lens)
    _write(folder / replacing_name(source.masks, subject.photo, source.folder), mask, source.masks)
    if subject.held_out:
        return None
    comparison = compare(found.given, repaired.mask).enlarged(found.lens.width / subject.camera.width)
    row = Row(subject.photo.name, comparison, *_against(subject.reference, found.given, repaired.mask))
    return row, tile(found.photograph, found.given, repaired.mask)


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
