"""What a study has found so far, read from its run folders."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pointrad import __version__
from pointrad.run.status import RunState, read_summary
from pointrad.study.config import StudyConfig
from pointrad.study.plan import Plan, PlannedRun

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class StudyResults:
    """A study's table, one row per planned run, whatever has become of it.

    Columns: `scene`, every axis of the study by its name (the labels), `repeat`, `state` (of `RunState`), `error`,
    `attempts`, `folder` (relative to the study's), `identity`, then the keys of `summary.json` that are not among these
    (prefixed `run_` where an axis has the same name), NaN where a run is not done.

    made_from: `Findings.digest` of what the table was made from.
    """

    study: StudyConfig
    table: pd.DataFrame
    made_from: str


@dataclass(frozen=True)
class Findings:
    """The states and summaries of all runs of `plan`, as they were when they were read."""

    plan: Plan
    rows: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, plan: Plan) -> Findings:
        """Read every run folder; also while runs are being computed."""
        return cls(plan, tuple(_row(plan, run) for run in plan.runs))

    @property
    def digest(self) -> str:
        """16 hex digits that name what a report is made from, and nothing of when or where that is: the question, the
        runs with their states, errors and summaries, and the version of the program that draws them."""
        study = self.plan.study.model_dump(mode="json", exclude={"dir"})
        told = json.dumps([__version__, study, self.plan.command, self.rows], sort_keys=True, default=str)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def results(self) -> StudyResults:
        import pandas as pd  # takes as long as reading hundreds of runs

        return StudyResults(self.plan.study, pd.DataFrame(list(self.rows)), self.digest)


def collect(plan: Plan) -> StudyResults:
    """Read the state and the summary of every run of `plan`; also while runs are being computed."""
    return Findings.read(plan).results()


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
