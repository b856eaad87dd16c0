"""Differences to the baseline of a study, each between two runs of the same seeds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pointrad.run.status import RunState
from pointrad.study.config import StudyConfig
from pointrad.study.report.cells import Axis, Run


@dataclass(frozen=True)
class Baseline:
    """The step of an axis that the others are compared with, and its text."""

    axis: Axis
    text: str

    @property
    def name(self) -> str:
        return self.axis.named(self.text) if self.axis.numeric else self.text

    def has(self, run: Run) -> bool:
        return run.labels[self.axis.name] == self.text

    def setting(self, run: Run) -> tuple[object, ...]:
        """What `run` and the baseline's run that it is compared with have in common."""
        others = (text for name, text in run.labels.items() if name != self.axis.name)
        return (run.scene, run.repeat, *others)


def read_baseline(study: StudyConfig, axes: Mapping[str, Axis]) -> Baseline | None:
    """What the study names, else the first step of the axis to compare along; None where there is no such axis."""
    if study.compared_axis is None:
        return None
    axis = axes[study.compared_axis]
    return Baseline(axis, axis.texts[0] if study.baseline is None else axis.text(study.baseline))


def subtract(baseline: Baseline, runs: Sequence[Run], keys: Collection[str]) -> tuple[Run, ...]:
    """Each run but the baseline's, with the differences to it in place of its numbers of `keys`.

    A difference is done where both runs are, and lacks the numbers that either lacks.
    """
    bases = {baseline.setting(run): run for run in runs if baseline.has(run)}
    return tuple(_difference(run, bases[baseline.setting(run)], keys) for run in runs if not baseline.has(run))


def _difference(run: Run, base: Run, keys: Collection[str]) -> Run:
    differences = {
        key: run.numbers[key] - base.numbers[key] for key in keys if key in run.numbers and key in base.numbers
    }
    others = {key: value for key, value in run.numbers.items() if key not in keys}
    state = base.state if run.state is RunState.DONE else run.state
    return replace(run, state=state, numbers=others | differences)
