"""Picture strips: for one view of each scene the truth, and the render of every setting along x."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from PIL import Image
from pydantic import BaseModel, TypeAdapter, ValidationError

from pointrad.artifacts.pictures import drawn_views, read_comparison
from pointrad.study.report.cells import Axis, Cell, Run, gather
from pointrad.study.report.charts import Layout
from pointrad.study.report.labels import quantity

_LARGEST = 360  # pixels, across a tile
_QUALITY = 82


@dataclass(frozen=True)
class Tile:
    """A render as a data URI, what it shows and how good it is."""

    caption: str
    score: str
    picture: str


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
    """Strips of every scene that has pictures: of each setting's first finished repeat, the first view drawn."""
    cells = gather(runs)
    scenes = [_scene(study_dir, layout, [cell for cell in cells if cell.scene == scene])
              for scene in dict.fromkeys(cell.scene for cell in cells)]  # fmt: skip
    return tuple(scene for scene in scenes if scene is not None)


def _scene(study_dir: Path, layout: Layout, cells: Sequence[Cell]) -> SceneStrips | None:
    lines: dict[str, list[Tile]] = {}
    shown: _Picture | None = None
    for cell in sorted((cell for cell in cells if cell.done), key=lambda cell: _position(cell, layout.x)):
        picture = _picture(study_dir / cell.done[0].folder)
        # A render of another view or size has nothing to do in this scene's strip.
        if picture is None or (shown and (picture.view, picture.truth.size) != (shown.view, shown.truth.size)):
            continue
        shown = shown or picture
        lines.setdefault(layout.line_title(cell.labels), []).append(_tile(cell, layout, picture))
    if shown is None:
        return None
    order = dict.fromkeys(layout.line_title(cell.labels) for cell in cells)
    strips = tuple(Strip(name, tuple(lines[name])) for name in order if name in lines)
    width, height = _small(shown.truth).size
    return SceneStrips(cells[0].scene, shown.view, _data_uri(shown.truth), width, height, strips)


def _tile(cell: Cell, layout: Layout, picture: _Picture) -> Tile:
    x = layout.x
    caption = layout.point_name(cell.labels)
    if isinstance(x, str) and cell.measure(x).values:
        caption = f"{quantity(x).name} {cell.measure(x).text(quantity(x))}" + (f" · {caption}" if caption else "")
    return Tile(caption, f"{picture.psnr_db:.2f} dB", _data_uri(picture.render))


def _position(cell: Cell, x: Axis | str) -> float:
    if not isinstance(x, str):
        return x.position(cell.labels[x.name])
    measured = cell.measure(x)
    return measured.mean if measured.values else 0.0


def _picture(run_dir: Path) -> _Picture | None:
    """The first view on the run's last sheet; None where the run drew none or its files cannot be read."""
    sheets = sorted(run_dir.glob("pictures/[0-9]*_*.png"), key=lambda path: int(path.name.partition("_")[0]))
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


def _small(image: Image.Image) -> Image.Image:
    """At most `_LARGEST` across; small pictures stay sharp as they are."""
    copy = image.convert("RGB")
    copy.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return copy


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    _small(image).save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
