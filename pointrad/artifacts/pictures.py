"""Pictures of renders beside the truth, and of clean beside corrupted masks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from pointrad.data.scene import Float32Array, Scene, Split, View
from pointrad.errors import UserError
from pointrad.evaluation import Render, psnr_db
from pointrad.files import replacing
from pointrad.masks.iou import mask_iou

Bytes = NDArray[np.uint8]

_MARGIN = 10  # pixels, around the sheet and between tiles
_PAPER, _INK, _FRAME, _MASK = (255, 255, 255), (30, 30, 30), (170, 170, 170), (70, 70, 70)
_TITLE, _HEADING, _ROW_LABEL = _MARGIN + 32, 24, 26  # heights in pixels
_FIRST_ROW = _TITLE + _HEADING
_SMALLEST_TILE = 192  # pixels; smaller images are enlarged by a whole factor
_DIFFERENCE = 4  # how many times as bright errors are drawn as they are
# What a sheet's file says of its tiles: width and height of each row's; view, IoU, width and height of each column's.
_SIZES, _MASKS = "tile sizes", "masks"

# Okabe and Ito's colours, which stay apart for every kind of colour blindness and in grey print.
_NEITHER, _BOTH, _LOST, _ADDED = (255, 255, 255), (200, 200, 200), (213, 94, 0), (0, 114, 178)


def check_views(key: str, chosen: Sequence[int] | None, scene: Scene, split: Split) -> None:
    """Raises UserError, which names the key, for a view that the split, which the scene has for evaluation, lacks."""
    count = len(scene.evaluation)
    for index in chosen or ():
        if index >= count:
            raise UserError(
                f"{key}: found {index}; the {split} split of {scene.name} has {count} views, expected 0 to {count - 1}"
            )


def drawn_views(chosen: Sequence[int] | None, count: int) -> tuple[int, ...]:
    """The indices of the views to draw of `count`: those chosen, or for None three spread over all."""
    return tuple(sorted({0, count // 3, 2 * count // 3})) if chosen is None else tuple(chosen)


def write_comparison(path: Path, render: Render, views: Sequence[View], stage: str) -> None:
    """Draw render | truth, one row per view, as a PNG titled with the stage and labelled with view and PSNR."""
    renders = render([view.camera for view in views])
    rows = [
        _Row(f"{view.name}   {psnr_db(image, view.image):.2f} dB", [as_bytes(image), as_bytes(view.image)])
        for view, image in zip(views, renders, strict=True)
    ]
    sizes = [_enlarged(row.tiles[0]).shape[1::-1] for row in rows]
    _write(path, _draw(stage, ("render", "truth"), rows), {_SIZES: json.dumps(sizes)})


def write_run_comparison(
    path: Path, names: Sequence[str], renders: Sequence[Sequence[Float32Array]], views: Sequence[View]
) -> None:
    """Draw for each view the truth and each run's render, and below how far the renders are off, as a PNG.

    names: of the runs, short. renders: of each run, [H, W, 3] in [0, 1] of each view.
    """
    rows = []
    for view, images in zip(views, zip(*renders, strict=True), strict=True):
        scores = "   ".join(
            f"{name} {psnr_db(image, view.image):.2f} dB" for name, image in zip(names, images, strict=True)
        )
        rows.append(_Row(f"{view.name}   {scores}", [as_bytes(image) for image in (view.image, *images)]))
        errors = [_DIFFERENCE * np.abs(image - view.image) for image in images]
        black = np.zeros_like(view.image)
        rows.append(_Row(f"difference x {_DIFFERENCE}", [as_bytes(error) for error in (black, *errors)]))
    _write(path, _draw("runs beside the truth", ("truth", *names), rows))


def read_comparison(path: Path, views: int) -> list[tuple[Image.Image, Image.Image]]:
    """Render and truth of each of the `views` rows of a sheet that `write_comparison` drew.

    Raises OSError or ValueError for a file that is no such sheet.
    """
    with Image.open(path) as file:
        sheet, said = file.convert("RGB"), file.info.get(_SIZES)
    sizes = json.loads(said) if said else _equal_sizes(sheet, views)
    across = max((width for width, _ in sizes), default=0)
    down = _FIRST_ROW + sum(_ROW_LABEL + height + _MARGIN for _, height in sizes)
    fits = sheet.height == down and sheet.width >= 2 * (across + _MARGIN) + _MARGIN
    if len(sizes) != views or not fits or min(map(min, sizes)) <= 0:
        raise ValueError(f"{path}: {sheet.width}x{sheet.height} pixels are no sheet of {views} views")
    pairs, top = [], _FIRST_ROW
    for width, height in sizes:
        top += _ROW_LABEL
        left, right = (
            sheet.crop((start, top, start + width, top + height)) for start in (_MARGIN, across + 2 * _MARGIN)
        )
        pairs.append((left, right))
        top += height + _MARGIN
    return pairs


def _equal_sizes(sheet: Image.Image, views: int) -> list[tuple[int, int]]:
    """Width and height of each row's tiles, on a sheet of an earlier version, whose views had one size."""
    size = (sheet.width - _MARGIN) // 2 - _MARGIN, (sheet.height - _FIRST_ROW) // views - _ROW_LABEL - _MARGIN
    return [size] * views


def write_mask_comparison(
    path: Path, clean: Sequence[View], corrupted: Sequence[View], title: str, columns: int = 8
) -> None:
    """Draw masks that are right, those that the run is given and their difference, for views spread evenly, as a PNG.

    `clean` and `corrupted` are the same views in the same order; each column is labelled with its intersection over
    union.
    """
    chosen = np.unique(np.linspace(0, len(clean) - 1, min(columns, len(clean))).round().astype(int))
    pairs = [(clean[index], corrupted[index]) for index in chosen]
    ious = [mask_iou([bad], [good]) for good, bad in pairs]
    headings = [f"{good.name}   IoU {iou:.2f}" for (good, _), iou in zip(pairs, ious, strict=True)]
    keys = (("in both", _BOTH), ("lost", _LOST), ("added", _ADDED))
    rows = [
        _Row("reference", [_mask_colours(good) for good, _ in pairs]),
        _Row("given", [_mask_colours(bad) for _, bad in pairs]),
        _Row("difference", [_difference_colours(good, bad) for good, bad in pairs], keys),
    ]
    columns_of_file = [
        (good.name, round(iou, 4), *_enlarged(_mask_colours(good)).shape[1::-1])
        for (good, _), iou in zip(pairs, ious, strict=True)
    ]
    _write(path, _draw(title, headings, rows), {_MASKS: json.dumps(columns_of_file)})


@dataclass(frozen=True)
class MaskDifference:
    """Of one view, where a mask is in both, lost or added, and its intersection over union with the right one."""

    view: str
    iou: float
    picture: Image.Image


def read_mask_comparison(path: Path) -> list[MaskDifference]:
    """The differences on a sheet that `write_mask_comparison` drew.

    Raises OSError or ValueError for a file that is no such sheet, or one of an earlier version.
    """
    with Image.open(path) as file:
        sheet, said = file.convert("RGB"), file.info.get(_MASKS)
    if said is None:
        raise ValueError(f"{path}: does not say which masks it shows")
    columns = [(str(view), float(iou), int(width), int(height)) for view, iou, width, height in json.loads(said)]
    tallest = max((height for *_, height in columns), default=0)
    top, left = _FIRST_ROW + 2 * (_ROW_LABEL + tallest + _MARGIN) + _ROW_LABEL, _MARGIN
    differences = []
    for view, iou, width, height in columns:
        differences.append(MaskDifference(view, iou, sheet.crop((left, top, left + width, top + height))))
        left += width + _MARGIN
    return differences


@dataclass(frozen=True)
class _Row:
    """A row of the sheet: its label, tiles of [H, W, 3] bytes, and the keys of its colours."""

    label: str
    tiles: Sequence[Bytes]
    keys: Sequence[tuple[str, tuple[int, int, int]]] = ()


def _draw(title: str, headings: Sequence[str], rows: Sequence[_Row]) -> Image.Image:
    """Rows of tiles under a title and a heading per column; each row has its label above it.

    A column is as wide as its widest tile, a row as high as its highest; all stand in its top left corner.
    """
    large, small = _font(20), _font(15)
    grid = [[_enlarged(tile) for tile in row.tiles] for row in rows]
    widths = [max(tile.shape[1] for tile in column) for column in zip(*grid, strict=True)]
    heights = [max(tile.shape[0] for tile in tiles) for tiles in grid]
    across = max(sum(width + _MARGIN for width in widths) + _MARGIN, int(large.getlength(title)) + 2 * _MARGIN)
    down = sum(_ROW_LABEL + height + _MARGIN for height in heights)
    sheet = Image.new("RGB", (across, _FIRST_ROW + down), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title, _INK, large)
    lefts = [_MARGIN + sum(width + _MARGIN for width in widths[:column]) for column in range(len(widths))]
    for left, heading in zip(lefts, headings, strict=False):  # there may be no row
        pen.text((left, _TITLE), heading, _INK, small)
    top = _FIRST_ROW
    for row, tiles, height in zip(rows, grid, heights, strict=True):
        pen.text((_MARGIN, top + 2), row.label, _INK, small)
        _draw_keys(pen, row, _MARGIN + small.getlength(row.label) + 24, top + 2, small)
        top += _ROW_LABEL
        for left, tile in zip(lefts, tiles, strict=True):
            sheet.paste(Image.fromarray(tile), (left, top))
            pen.rectangle((left - 1, top - 1, left + tile.shape[1], top + tile.shape[0]), outline=_FRAME)
        top += height + _MARGIN
    return sheet


def _draw_keys(pen: ImageDraw.ImageDraw, row: _Row, left: float, top: float, font: ImageFont.FreeTypeFont) -> None:
    for name, colour in row.keys:
        pen.rectangle((left, top + 2, left + 14, top + 16), fill=colour, outline=_INK)
        pen.text((left + 20, top), name, _INK, font)
        left += 20 + font.getlength(name) + 20


def _write(path: Path, sheet: Image.Image, said: Mapping[str, str] | None = None) -> None:
    """As a PNG, which says these words of the sheet."""
    info = PngInfo()
    for key, value in (said or {}).items():
        info.add_text(key, value)
    with replacing(path) as temporary:
        sheet.save(temporary, pnginfo=info)


def _font(pixels: int) -> ImageFont.FreeTypeFont:
    package = find_spec("matplotlib")  # which is slow to import, and training would wait for it
    assert package
    assert package.origin
    return ImageFont.truetype(Path(package.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf", pixels)


def _enlarged(tile: Bytes) -> Bytes:
    factor = -(-_SMALLEST_TILE // tile.shape[1])
    return tile.repeat(factor, axis=0).repeat(factor, axis=1)


def as_bytes(image: Float32Array) -> Bytes:
    """Values in [0, 1] as 8 bits; others as the nearest of these."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _mask_colours(view: View) -> Bytes:
    return np.where(view.mask[..., None] > 0, _MASK, _NEITHER).astype(np.uint8)


def _difference_colours(clean: View, corrupted: View) -> Bytes:
    colours: Bytes = np.array([_NEITHER, _LOST, _ADDED, _BOTH], np.uint8)
    return colours[(clean.mask > 0) + 2 * (corrupted.mask > 0)]
