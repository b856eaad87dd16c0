"""Picture strips: for one view of each scene the truth, and the render of every setting along x."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml
from PIL import Image
from pydantic import BaseModel, TypeAdapter, ValidationError

from pointrad.artifacts.pictures import drawn_views, read_comparison
from pointrad.study.report.cells import Axis, Cell, Run, gather
from pointrad.study.report.charts import Layout
from pointrad.study.report.labels import quantity

_LARGEST = 360  # pixels, across a tile
_QUALITY = 82
_MOST_PICTURES = 240  # in a page: some 5 MB
_FEWEST_ALONG_X = 6  # where a line has more, and not all can be shown


@dataclass(frozen=True)
class Tile:
    """A render as a data URI, what it shows and how good it is; else a link to it, else why there is none."""

    caption: str
    score: str
    picture: str | None
    link: str
    why: str


@dataclass(frozen=True)
class Strip:
    """The tiles of one line of the charts, along x."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class SceneStrips:
    """A scene's strips, all of one view, whose truth is a data URI as well."""

    scene: str
    view: str
    truth: str
    width: int
    height: int
    strips: tuple[Strip, ...]


@dataclass(frozen=True)
class _Picture:
    view: str
    psnr_db: float
    render: Image.Image
    truth: Image.Image


class _Artifacts(BaseModel):
    views: tuple[int, ...] | None


class _RunSettings(BaseModel):
    artifacts: _Artifacts


class _ViewScore(BaseModel):
    name: str
    psnr_db: float


_SCORES = TypeAdapter(tuple[_ViewScore, ...])


def make_strips(study_dir: Path, layout: Layout, runs: Sequence[Run]) -> tuple[SceneStrips, ...]:
    """Strips of every scene that has pictures: of each setting's first finished repeat, the first view drawn.

    As many pictures are in them as keep a page small, spread evenly over lines and along x; links to the others.
    """
    cells: dict[str, list[Cell]] = {}
    for cell in gather(runs):
        cells.setdefault(cell.scene, []).append(cell)
    most = max(1, _MOST_PICTURES // max(1, len(cells)))
    scenes = [_scene(study_dir, layout, of_scene, most) for of_scene in list(cells.values())[:_MOST_PICTURES]]
    return tuple(scene for scene in scenes if scene is not None)


def _scene(study_dir: Path, layout: Layout, cells: Sequence[Cell], most: int) -> SceneStrips | None:
    lines: dict[str, list[Cell]] = {}
    for cell in cells:
        lines.setdefault(layout.line_title(cell.labels), []).append(cell)
    rows = [sorted(line, key=lambda cell: _position(cell, layout.x)) for line in lines.values()]
    chosen = _spread(rows, most)
    pictures = {id(cell): _picture(study_dir / cell.done[0].folder) for cell in chosen if cell.done}
    shown = next((picture for picture in pictures.values() if picture), None)
    if shown is None:
        return None
    strips = tuple(
        Strip(name, tuple(_tile(study_dir, cell, layout, pictures.get(id(cell)), shown) for cell in row))
        for name, row in zip(lines, rows, strict=True)
    )
    width, height = _small(shown.truth).size
    return SceneStrips(cells[0].scene, shown.view, _data_uri(shown.truth), width, height, strips)


def _spread(rows: Sequence[Sequence[Cell]], most: int) -> list[Cell]:
    """About `most` of the cells: every so many lines, and of these every so many along x."""
    across = max(map(len, rows))
    if len(rows) * across <= most:
        return [cell for row in rows for cell in row]
    columns = min(across, _FEWEST_ALONG_X, most)
    return [
        rows[line][place]
        for line in _evenly(len(rows), max(1, most // columns))
        for place in _evenly(len(rows[line]), columns)
    ]


def _evenly(count: int, wanted: int) -> list[int]:
    """At most `wanted` of 0 to count - 1, both ends among them where there are several."""
    if wanted >= count:
        return list(range(count))
    return sorted({round(index * (count - 1) / max(1, wanted - 1)) for index in range(wanted)})


def _tile(study_dir: Path, cell: Cell, layout: Layout, picture: _Picture | None, shown: _Picture) -> Tile:
    """A cell's picture, a link to it, or why there is none."""
    x = layout.x
    caption = layout.point_name(cell.labels)
    if isinstance(x, str) and cell.measure(x).values:
        caption = f"{quantity(x).name} {cell.measure(x).text(quantity(x))}" + (f" · {caption}" if caption else "")
    if not cell.done:
        return Tile(caption, "", None, "", f"no finished run ({cell.undone})")
    # A render of another view or size has nothing to do in this scene's strip.
    if picture and (picture.view, picture.truth.size) == (shown.view, shown.truth.size):
        return Tile(caption, f"{picture.psnr_db:.2f} dB", _data_uri(picture.render), "", "")
    folder = cell.done[0].folder
    sheets = _sheets(study_dir / folder)
    link = f"../{quote(f'{folder}/pictures/{sheets[-1].name}')}" if sheets and picture is None else ""
    return Tile(caption, "", None, link, "" if link else "of another view" if picture else "no picture")


def _position(cell: Cell, x: Axis | str) -> float:
    if not isinstance(x, str):
        return x.position(cell.labels[x.name])
    measured = cell.measure(x)
    return measured.mean if measured.values else 0.0


def _picture(run_dir: Path) -> _Picture | None:
    """The first view on the run's last sheet; None where the run drew none or its files cannot be read."""
    sheets = _sheets(run_dir)
    try:
        settings = _RunSettings.model_validate(yaml.safe_load((run_dir / "config.yaml").read_text()))
        scores = _SCORES.validate_json((run_dir / "evaluation.json").read_bytes())
        views = drawn_views(settings.artifacts.views, len(scores))
        if not sheets or not views:
            return None
        render, truth = read_comparison(sheets[-1], len(views))[0]
        return _Picture(scores[views[0]].name, scores[views[0]].psnr_db, render, truth)
    except (OSError, ValueError, ValidationError, yaml.YAMLError, IndexError):
        return None


def _sheets(run_dir: Path) -> list[Path]:
    """In the order of the stages that they show."""
    numbers = {path: path.name.partition("_")[0] for path in run_dir.glob("pictures/[0-9]*_*.png")}
    return sorted((path for path, number in numbers.items() if number.isdecimal()), key=lambda path: int(numbers[path]))


def _small(image: Image.Image) -> Image.Image:
    """At most `_LARGEST` across; small pictures stay sharp as they are."""
    copy = image.convert("RGB")
    copy.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return copy


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    _small(image).save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
