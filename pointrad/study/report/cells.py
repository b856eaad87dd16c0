"""The runs of a study as the report reads them: typed, labelled for people, and gathered into cells of repeats."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from pointrad.run.status import RunState
from pointrad.study.config import LABEL, OWN_COLUMNS, StudyConfig, Together, Value, labels_of
from pointrad.study.report.labels import Quantity, is_known, quantity
from pointrad.study.results import StudyResults
from pointrad.terminal import printable

_PREFIX = "run_"  # of summary keys that have an axis' name


@dataclass(frozen=True)
class Axis:
    """An axis of the study: what it is called, and the texts of its values in the study's order.

    besides: what changes along it too, unsaid in those texts.
    """

    name: str
    quantity: Quantity
    texts: tuple[str, ...]
    numeric: bool
    besides: tuple[Quantity, ...]

    def text(self, value: Value) -> str:
        """A value as figures and tables show it, without the unit; equal values have equal texts."""
        if value is None or (_is_number(value) and math.isnan(value)):
            return "none"
        if _is_number(value):
            return self.quantity.text(value * self.quantity.scale)
        return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)

    def position(self, text: str) -> float:
        """Where a value lies along the axis: the number that its text shows, or its rank."""
        return float(text) if self.numeric else float(self.texts.index(text))

    def with_unit(self, text: str) -> str:
        """A value such as "12 %"."""
        return f"{text} {self.quantity.unit}" if self.quantity.unit else text

    def named(self, text: str) -> str:
        """A value such as "corruption level 12 %"."""
        return f"{self.quantity.name} {self.with_unit(text)}"


@dataclass(frozen=True)
class Run:
    """One planned run: its place in the study, what has become of it and the finite numbers of its summary by key."""

    scene: str
    labels: Mapping[str, str]
    repeat: int
    state: RunState
    error: str
    folder: str
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """The values of one quantity over the repeats of a cell."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation; None for a single value."""
        return statistics.stdev(self.values) if self.n > 1 else None

    @property
    def margin(self) -> float | None:
        """Half of the mean's 95 % confidence interval, by Student's t; None for a single value."""
        if self.spread is None:
            return None
        return float(stdtrit(self.n - 1, 0.975)) * self.spread / math.sqrt(self.n)

    def text(self, of: Quantity) -> str:
        """Mean ± spread, or a dash where there are no values."""
        if not self.values:
            return "—"
        return of.text(self.mean) + (f" ± {of.text(self.spread)}" if self.spread is not None else "")

    def text_with_interval(self, of: Quantity) -> str:
        """The mean with its sign and its confidence interval, or a dash where there are no values."""
        if not self.values:
            return "—"
        sign = "+" if self.mean > 0 else ""
        ends = () if self.margin is None else (self.mean - self.margin, self.mean + self.margin)
        return f"{sign}{of.text(self.mean)}" + (f" [{', '.join(map(of.text, ends))}]" if ends else "")


@dataclass(frozen=True)
class Cell:
    """The repeats of one setting: runs that differ in their seeds alone."""

    scene: str
    labels: Mapping[str, str]
    runs: tuple[Run, ...]

    @property
    def done(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.state is RunState.DONE)

    @property
    def undone(self) -> str:
        """What has become of the repeats that are not done, such as "1 failed, 1 missing"; "" where all are."""
        states: Counter[RunState] = Counter(run.state for run in self.runs if run.state is not RunState.DONE)
        return ", ".join(f"{states[state]} {state.value}" for state in RunState if states[state])

    def measure(self, key: str) -> Measured:
        return Measured(tuple(run.numbers[key] for run in self.done if key in run.numbers))


def read_axes(study: StudyConfig) -> dict[str, Axis]:
    """The study's axes by name, in its order."""
    return {name: _axis(name, together) for name, together in study.axes.items()}


def read_runs(results: StudyResults, axes: Mapping[str, Axis]) -> tuple[Run, ...]:
    """Every row of the results' table."""
    return tuple(_run(row, axes, results.study.dir) for row in results.table.to_dict("records"))


def gather(runs: Iterable[Run]) -> tuple[Cell, ...]:
    """Runs by scene and labels, in the order they come in."""
    cells: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.scene, *run.labels.values()), []).append(run)
    return tuple(Cell(members[0].scene, members[0].labels, tuple(members)) for members in cells.values())


def average_over_scenes(runs: Sequence[Run]) -> tuple[Run, ...]:
    """A run for each setting and repeat: done where it is done in every scene, with the means of the numbers that all
    have, and else as one that is not done, for a mean over fewer scenes does not compare with the others.

    Of a single scene there is none.
    """
    scenes = {run.scene for run in runs}
    if len(scenes) < 2:
        return ()
    settings: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        settings.setdefault((run.repeat, *run.labels.values()), []).append(run)
    return tuple(_average(members, f"mean of {len(scenes)} scenes") for members in settings.values())


def _average(runs: Sequence[Run], scene: str) -> Run:
    undone = [run.state for run in runs if run.state is not RunState.DONE]
    keys = set() if undone else set.intersection(*(set(run.numbers) for run in runs))
    numbers = {key: statistics.fmean(run.numbers[key] for run in runs) for key in sorted(keys)}
    state = RunState.FAILED if RunState.FAILED in undone else undone[0] if undone else RunState.DONE
    return Run(scene, runs[0].labels, runs[0].repeat, state, "", "", numbers)


def _axis(name: str, together: Together) -> Axis:
    values = labels_of(together)
    key = name if LABEL in together else next(key for key in together if key != LABEL)
    # Labels are shown as they were written: they have no scale, whatever the axis is called.
    shown = quantity(key) if is_known(key) and LABEL not in together else Quantity(name.replace("_", " "))
    besides = () if LABEL in together else tuple(quantity(other) for other in list(together)[1:])
    untold = Axis(name, shown, (), all(_is_number(value) for value in values), besides)
    texts = tuple(dict.fromkeys(untold.text(value) for value in values))
    return replace(untold, texts=texts)


def _run(row: Mapping[Any, Any], axes: Mapping[str, Axis], study_dir: Path) -> Run:
    others = {column: value for column, value in row.items() if column not in OWN_COLUMNS and column not in axes}
    numbers = {
        str(column).removeprefix(_PREFIX) if str(column).removeprefix(_PREFIX) in axes else str(column): float(value)
        for column, value in others.items()
        if _is_number(value) and math.isfinite(value)
    }
    return Run(
        scene=str(row["scene"]),
        labels={name: axis.text(row[name]) for name, axis in axes.items()},
        repeat=int(row["repeat"]),
        state=RunState(row["state"]),
        # Errors name files: from the study's folder on, for the report travels with it.
        error=printable(row["error"].replace(f"{study_dir}/", "")) if isinstance(row["error"], str) else "",
        folder=str(row["folder"]),
        numbers=numbers,
    )


def _is_number(value: Value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)
