"""What a person watches while a study's runs are computed, here or anywhere that shares the study's folder."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pointrad.run.status import TRACEBACK_FILE, RunState, RunStatus, read_summary
from pointrad.study.plan import RUNS_FOLDER, Plan, PlannedRun
from pointrad.terminal import printable

_COLOURS = {RunState.DONE: "green", RunState.FAILED: "red", RunState.BROKEN: "red", RunState.RUNNING: "cyan"}
_IN_VAIN = (RunState.FAILED, RunState.BROKEN)
_ENDED = (RunState.DONE, *_IN_VAIN)
_WAITING = RunStatus(RunState.MISSING)
_SECONDS_BETWEEN_LOOKS = 1.0
_WIDTH = 120  # columns of a table that no terminal shows


@dataclass(frozen=True)
class QueueState:
    """What SLURM says of a job, such as PENDING or TIMEOUT, and where its log is."""

    state: str
    log: str

    @property
    def in_queue(self) -> bool:
        return self.state in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED")


_USUAL_VIEWS = 100  # of a stage whose length is given in steps: only the bar's pace depends on it


class StudyBar:
    """A live bar over the epochs of `runs`, and a line for each run that ends.

    It watches the run folders, so it serves every launcher. Runs that had failed before are not over until they have
    ended anew. Prints to the standard error of its creation.
    """

    def __init__(self, plan: Plan, runs: list[PlannedRun]) -> None:
        self._plan, self._runs = plan, runs
        self._epochs = {run.identity: _epochs(run) for run in runs}
        self._failed = {run.identity: status for run in runs if (status := plan.status(run)).state in _IN_VAIN}
        self._reported: set[str] = set()
        self._console = Console(file=sys.stderr, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("epochs"),
            TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console, disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task(plan.study.name, total=sum(self._epochs.values()))
        self._ended = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> StudyBar:
        self._progress.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._look()
        self._progress.stop()

    def _watch(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            self._look()

    def _look(self) -> None:
        found = {run.identity: self._plan.status(run) for run in self._runs}
        states = {identity: status for identity, status in found.items() if self._failed.get(identity) != status}
        for run in self._runs:
            status = states.get(run.identity, _WAITING)
            if status.state in _ENDED and run.identity not in self._reported:
                self._reported.add(run.identity)
                self._report(run, status)
        counts = Counter(status.state for status in states.values())
        shown = [
            f"{counts[state]} {state}" for state in (RunState.DONE, RunState.RUNNING, RunState.FAILED) if counts[state]
        ]
        done = sum(self._epochs_done(run, states.get(run.identity, _WAITING)) for run in self._runs)
        self._progress.update(self._task, completed=done, description=f"{self._plan.study.name}: {', '.join(shown)}")

    def _report(self, run: PlannedRun, status: RunStatus) -> None:
        run_dir = self._plan.run_dir(run)
        place = f"{len(self._reported)}/{len(self._runs)}  {run.variant.title}"
        found = _found(run_dir) if status.state is RunState.DONE else _trouble(run_dir, status, None)
        self._console.print(printable(f"{place}: {found}"), markup=False, soft_wrap=True)

    def _epochs_done(self, run: PlannedRun, status: RunStatus) -> int:
        if status.state in _ENDED:
            return self._epochs[run.identity]
        path = self._plan.run_dir(run) / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0


def _epochs(run: PlannedRun) -> int:
    return sum(stage.length(_USUAL_VIEWS) for stage in run.config.schedule.enabled_stages.values())


def print_states(plan: Plan, jobs: Mapping[str, QueueState]) -> dict[str, RunState]:
    """Print a table of the plan's runs and their states to standard output; returns the states by identity.

    jobs: what a cluster says of the jobs of run folders, where there are any.
    """
    table = Table(title=_shown(f"{plan.study.name}: {plan.study.question}"), title_justify="left")
    for column in ("run", "state", "PSNR (dB)", "size (MB)", "identity"):
        table.add_column(column, justify="right" if column.endswith(")") else "left", overflow="fold")
    troubles: dict[str, str] = {}
    states: dict[str, RunState] = {}
    for run in plan.runs:
        run_dir = plan.run_dir(run)
        status = plan.status(run)
        states[run.identity] = status.state
        job = jobs.get(run.folder)
        state = _described(status, job)
        if trouble := _trouble(run_dir, status, job):
            troubles[run.variant.title] = trouble
        table.add_row(
            _shown(run.variant.title), _coloured(state, status.state), *_scores(run_dir, status.state), run.identity
        )  # fmt: skip
    console = Console(highlight=False)
    console.width = console.width if console.is_terminal else _WIDTH
    console.print(table)
    for title, trouble in troubles.items():
        console.print(printable(f"{title}: {trouble}"), markup=False, soft_wrap=True)  # whole paths, to copy
    console.print(f"{len(plan.runs)} runs, {len(states)} of them distinct: {_counted(states.values())}")
    folders = f"Folder: {plan.study.dir}, with a run in each {RUNS_FOLDER}/*_IDENTITY"
    console.print(printable(folders), markup=False, soft_wrap=True)
    return states


def _counted(states: Iterable[RunState]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))


def _described(status: RunStatus, job: QueueState | None) -> str:
    parts = [str(status.state)]
    if status.attempts > 1:
        parts.append(f"attempt {status.attempts}")
    if job and job.in_queue and status.state.is_left:
        parts.append(f"queued ({job.state.lower()})")
    return ", ".join(parts)


def _trouble(run_dir: Path, status: RunStatus, job: QueueState | None) -> str:
    """Why the run is not done and where to read on; "" if nothing went wrong."""
    if job and status.state.is_left:
        why = f"{status.error}; " if status.error else ""
        return "" if job.in_queue else f"{status.state}: {why}its job has ended: {job.state.lower()} ({job.log})"
    if not status.error:
        return ""
    where = f" ({run_dir / TRACEBACK_FILE})" if (run_dir / TRACEBACK_FILE).exists() else ""
    return f"{status.state}: {status.error}{where}"


def _coloured(text: str, state: RunState) -> str:
    return f"[{_COLOURS[state]}]{_shown(text)}[/]" if state in _COLOURS else _shown(text)


def _shown(text: str) -> str:
    """A text that others wrote, as rich is to show it: without a word for the terminal or for rich itself."""
    return escape(printable(text))


def _scores(run_dir: Path, state: RunState) -> tuple[str, str]:
    if state is not RunState.DONE:
        return "", ""
    summary = read_summary(run_dir)
    return _number(summary, "psnr_db", 2), _number(summary, "model_mb", 2)


def _found(run_dir: Path) -> str:
    summary = read_summary(run_dir)
    psnr, size, seconds = (_number(summary, *of) for of in (("psnr_db", 2), ("model_mb", 2), ("train_seconds", 0)))
    return f"{psnr} dB, {size} MB, {seconds} s"


def _number(summary: Mapping[str, object], key: str, decimals: int) -> str:
    """A dash for what the summary, which anybody may have written, does not have as a number."""
    value = summary.get(key)
    return f"{value:.{decimals}f}" if isinstance(value, int | float) else "—"
