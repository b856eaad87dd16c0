"""Runs of one scene beside each other: what they were told, what they scored, what they show."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pointrad.artifacts.pictures import check_views, drawn_views, write_run_comparison
from pointrad.data.scene import Split, View
from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.finished.config import CompareConfig
from pointrad.finished.evaluate import EVALUATION_FILE, load_views
from pointrad.finished.load import FinishedRun
from pointrad.method import UNDECISIVE
from pointrad.progress import warn
from pointrad.terminal import printable

_SCORES = ("psnr_db", "ssim", "lpips", "psnr_object_db", "silhouette_iou")
_SCORED_ON = ("dataset.downscale", "dataset.max_size", "dataset.background", "masks")  # these decide what pictures


@dataclass(frozen=True)
class Compared:
    """A run among others: its scores by view on the split that all have, and the keys in which they differ."""

    run: FinishedRun
    differing: dict[str, Any]
    scores: dict[str, dict[str, float | None]]  # by view

    def mean(self, score: str) -> float | None:
        values = [value for view in self.scores.values() if (value := view[score]) is not None]
        return float(np.mean(values)) if values else None

    def difference(self, baseline: Compared) -> tuple[float, float] | None:
        """Mean difference of PSNR to the baseline's, dB, over the views, and its standard error."""
        pairs = [(view["psnr_db"], baseline.scores[name]["psnr_db"]) for name, view in self.scores.items()]
        deltas = [one - other for one, other in pairs if one is not None and other is not None]
        if len(deltas) < 2:
            return None
        return float(np.mean(deltas)), float(np.std(deltas, ddof=1) / math.sqrt(len(deltas)))


def compare(runs: Sequence[FinishedRun], config: CompareConfig, folder: Path) -> list[Compared]:
    """Runs of one scene, in order; `folder` gets `comparison.csv` and, where the data is here, `comparison.png`.

    Raises UserError for runs of different splits, or without scores on the split that is asked for.
    """
    split = _common([run.config.eval.split for run in runs], config, runs)
    scores = [_scores(run, split) for run in runs]
    if any(other.keys() != scores[0].keys() for other in scores):
        raise UserError(f"runs: found scores of different views on the {split} split; expected runs of one scene")
    differing = _differing([_flat(run.config.model_dump(mode="json")) for run in runs])
    compared = [Compared(*each) for each in zip(runs, differing, scores, strict=True)]
    if deciding := _deciding_on_truth(compared):
        warn(
            f"the runs differ in {', '.join(deciding)}, and so in the pictures that they are scored on: photographs as "
            "masks cut them out, those of masks.reference where there are some"
        )
    with replacing(folder / "comparison.csv") as path:
        path.write_text(_rows(compared), encoding="utf-8")
    try:
        scene = load_views(runs[0], config.dataset.root, split)
    except UserError as error:
        warn(f"no pictures beside the truth, since the data cannot be loaded: {error}")
        return compared
    check_views("views", config.views, scene, split)
    _draw(runs, scene.evaluation, config, folder / "comparison.png")
    return compared


def _common(splits: Sequence[Split], config: CompareConfig, runs: Sequence[FinishedRun]) -> Split:
    if config.split is not None:
        return config.split
    if len(set(splits)) > 1:
        found = ", ".join(f"{run.folder} on {split}" for run, split in zip(runs, splits, strict=True))
        raise UserError(f"split: not given, and the runs were scored on different ones ({found}); expected split=NAME")
    return splits[0]


def _scores(run: FinishedRun, split: Split) -> dict[str, dict[str, float | None]]:
    own = split == run.config.eval.split
    path = run.folder / EVALUATION_FILE if own else evaluation_folder(run.folder, split) / EVALUATION_FILE
    try:
        views = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{run.folder}: has no scores on the {split} split; expected them there "
            f"(python runs.py evaluate {run.folder} eval.split={split})"
        ) from None
    except ValueError as error:
        raise UserError(f"{path}: found malformed JSON ({error}); expected scores by view") from None
    return {view["name"]: {score: view.get(score) for score in _SCORES} for view in views}


def evaluation_folder(run_dir: Path, split: Split) -> Path:
    """Where `runs.py evaluate` leaves the scores on a split, unless it is told another place."""
    return run_dir / "evaluations" / split.value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if not prefix and key in UNDECISIVE:
            continue
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _differing(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each configuration the keys whose values are not the same in all."""
    keys = dict.fromkeys(key for config in configs for key in config)
    varied = [key for key in keys if any(other.get(key) != configs[0].get(key) for other in configs)]
    return [{key: config[key] for key in varied if key in config} for config in configs]


def _deciding_on_truth(compared: Sequence[Compared]) -> list[str]:
    """The keys in which runs differ that decide which pictures they are scored on."""
    keys = list(dict.fromkeys(key for each in compared for key in each.differing if key.startswith(_SCORED_ON)))
    references = {each.run.config.masks.reference for each in compared}
    return keys if len(references) > 1 or None in references else [key for key in keys if not key.startswith("masks")]


def _rows(compared: Sequence[Compared]) -> str:
    """A row per run: where it is, what it was told otherwise than others, and its numbers."""
    keys = list(dict.fromkeys(key for each in compared for key in each.differing))
    text = io.StringIO()
    rows = csv.writer(text)
    numbers = ("train_seconds", "model_mb", "points")
    rows.writerow(["run", *keys, *_SCORES, "difference_db", "standard_error_db", *numbers])
    for each in compared:
        told = [each.differing.get(key) for key in keys]
        difference = each.difference(compared[0]) or (None, None)
        own = [each.run.summary.get(number) for number in numbers]
        rows.writerow([each.run.folder, *told, *(each.mean(score) for score in _SCORES), *difference, *own])
    return text.getvalue()


def told(compared: Sequence[Compared]) -> str:
    """The runs as a table for a terminal, and under it the values in which they differ."""
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "dB", "to the first, dB", "SSIM", "LPIPS", "object, dB", "silhouette IoU", "MB", "s"):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for number, each in enumerate(compared, 1):
        difference = each.difference(compared[0]) if number > 1 else None
        summary = each.run.summary
        table.add_row(
            str(number),
            _number(each.mean("psnr_db"), 2),
            "" if difference is None else f"{difference[0]:+.2f} +- {difference[1]:.2f}",
            *(_number(each.mean(score), 4) for score in ("ssim", "lpips")),
            _number(each.mean("psnr_object_db"), 2),
            _number(each.mean("silhouette_iou"), 4),
            *(_number(summary.get(key), 2) for key in ("model_mb", "train_seconds")),
        )
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    folders = [f"{number}  {each.run.folder}{_settings(each)}" for number, each in enumerate(compared, 1)]
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return printable("\n".join([text.rstrip(), "", *folders]))


def _settings(each: Compared) -> str:
    return "".join(f"\n     {key}={value}" for key, value in each.differing.items())


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _draw(runs: Sequence[FinishedRun], views: Sequence[View], config: CompareConfig, path: Path) -> None:
    chosen = [views[n] for n in drawn_views(config.views, len(views))]
    renders = [list(run.render([view.camera for view in chosen])) for run in runs]
    write_run_comparison(path, [f"run {number}" for number in range(1, len(runs) + 1)], renders, chosen)
