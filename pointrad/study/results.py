"""What a study has found so far, read from its run folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pointrad.status import RunState, read_summary
from pointrad.study.config import StudyConfig
from pointrad.study.plan import Plan, PlannedRun


@dataclass(frozen=True)
class StudyResults:
    """A study's table, one row per planned run, whatever has become of it.

    Columns: `scene`, every axis of the study by its name (the labels), `repeat`, `state` (of `RunState`), `error`,
    `folder` (relative to the study's), `identity`, then the keys of `summary.json` that are not among these (prefixed
    `run_` where an axis has the same name), NaN where a run is not done.
    """

    study: StudyConfig
    table: pd.DataFrame


def collect(plan: Plan) -> StudyResults:
    """Read the state and the summary of every run of `plan`; also while runs are being computed."""
    rows = [_row(plan, run) for run in plan.runs]
    table = pd.DataFrame(rows)
    return StudyResults(plan.study, table)


def _row(plan: Plan, run: PlannedRun) -> dict[str, Any]:
    run_dir = plan.run_dir(run)
    status = plan.status(run)
    row: dict[str, Any] = {"scene": run.variant.scene, **run.variant.labels, "repeat": run.variant.repeat}
    row |= {"state": status.state.value, "error": status.error, "attempts": status.attempts}
    row |= {"folder": run.folder, "identity": run.identity}
    summary = read_summary(run_dir) if status.state is RunState.DONE else {}
    for key, value in summary.items():
        if key in run.variant.labels:
            row[f"run_{key}"] = value
        elif key not in row and key != "status":
            row[key] = value
    return row
