"""The pictures that a run left, as the report shows them: renders beside the truth, and how its masks are wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from PIL import Image
from pydantic import BaseModel, TypeAdapter, ValidationError

from pointrad.artifacts.pictures import drawn_views, read_comparison, read_mask_comparison

_MOST_MASKS = 3  # views of a run

Item = TypeVar("Item")


@dataclass(frozen=True)
class Picture:
    """One view of a run, and a number that says how good it is."""

    view: str
    score: str
    image: Image.Image
    truth: Image.Image | None


@dataclass(frozen=True)
class Kind:
    """A kind of pictures: `file` finds the sheet that a run's are on, `read` gives those of a sheet.

    `read` gives none where files cannot be read.
    """

    title: str
    explanation: str
    file: Callable[[Path], Path | None]
    read: Callable[[Path], list[Picture]]


class _Artifacts(BaseModel):
    views: tuple[int, ...] | None


class _RunSettings(BaseModel):
    artifacts: _Artifacts


class _ViewScore(BaseModel):
    name: str
    psnr_db: float


_SCORES = TypeAdapter(tuple[_ViewScore, ...])


def _last_sheet(run_dir: Path) -> Path | None:
    """The renders after the last stage."""
    numbers = {path: path.name.partition("_")[0] for path in run_dir.glob("pictures/[0-9]*_*.png")}
    stages = {path: int(number) for path, number in numbers.items() if number.isdecimal()}
    return max(stages, key=lambda path: stages[path], default=None)


def _read_renders(sheet: Path) -> list[Picture]:
    run_dir = sheet.parent.parent
    try:
        settings = _RunSettings.model_validate(yaml.safe_load((run_dir / "config.yaml").read_text()))
        scores = _SCORES.validate_json((run_dir / "evaluation.json").read_bytes())
        views = [scores[view] for view in drawn_views(settings.artifacts.views, len(scores))]
        return [
            Picture(view.name, f"{view.psnr_db:.2f} dB", render, truth)
            for view, (render, truth) in zip(views, read_comparison(sheet, len(views)), strict=True)
        ]
    except (OSError, ValueError, ValidationError, yaml.YAMLError, IndexError):
        return []


def _mask_sheet(run_dir: Path) -> Path | None:
    path = run_dir / "pictures" / "masks.png"
    return path if path.is_file() else None


def _read_masks(sheet: Path) -> list[Picture]:
    try:
        found = read_mask_comparison(sheet)
    except (OSError, ValueError):
        return []
    return [Picture(mask.view, f"IoU {mask.iou:.2f}", mask.picture, None) for mask in evenly(found, _MOST_MASKS)]


def evenly(items: Sequence[Item], wanted: int) -> list[Item]:
    """At most `wanted` of the items, both ends among them where there are several."""
    if wanted >= len(items):
        return list(items)
    places = {round(index * (len(items) - 1) / max(1, wanted - 1)) for index in range(wanted)}
    return [items[place] for place in sorted(places)]


MASKS = Kind("Masks", "Grey is right, orange was lost, blue was added.", _mask_sheet, _read_masks)
RENDERS = Kind(
    "Renders",
    "Drag across a picture: the render is left of the handle, the truth right of it.",
    _last_sheet,
    _read_renders,
)
