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
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from pointrad.status import TRACEBACK_FILE, RunState, RunStatus, read_status, read_summary
from pointrad.study.plan import Plan, PlannedRun

_COLOURS = {RunState.DONE: "green", RunState.FAILED: "red", RunState.BROKEN: "red", RunState.RUNNING: "cyan"}
_ENDED = (RunState.DONE, RunState.FAILED, RunState.BROKEN)
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class QueueState:
    """What SLURM says of a job, such as PENDING or TIMEOUT, and where its log is."""

    state: str
    log: str

    @property
    def in_queue(self) -> bool:
        return self.state in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED")


class StudyBar:
    """A live bar over the epochs of `runs`, and a line for each run that ends.

    It watches the run folders, so it serves every launcher. Prints to the standard error of its creation.
    """

    def __init__(self, plan: Plan, runs: list[PlannedRun]) -> None:
        self._plan, self._runs = plan, runs
        self._epochs = {
            run.identity: sum(s.epochs for s in run.config.schedule.enabled_stages.values()) for run in runs
        }
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
        states = {run.identity: read_status(self._plan.run_dir(run)) for run in self._runs}
        for run in self._runs:
            status = states[run.identity]
            if status.state in _ENDED and run.identity not in self._reported:
                self._reported.add(run.identity)
                self._report(run, status)
        counts = Counter(status.state for status in states.values())
        shown = [
            f"{counts[state]} {state}" for state in (RunState.DONE, RunState.RUNNING, RunState.FAILED) if counts[state]
        ]
        done = sum(self._epochs_done(run, states[run.identity]) for run in self._runs)
        self._progress.update(self._task, completed=done, description=f"{self._plan.study.name}: {', '.join(shown)}")

    def _report(self, run: PlannedRun, status: RunStatus) -> None:
        run_dir = self._plan.run_dir(run)
        place = f"{len(self._reported)}/{len(self._runs)}  {run.variant.title}"
        if status.state is RunState.DONE:
            summary = read_summary(run_dir)
            found = f"{summary['psnr_db']:.2f} dB, {summary['model_mb']:.2f} MB, {summary['train_seconds']:.0f} s"
            self._console.print(f"{place}: {found}", markup=False, soft_wrap=True)
        else:
            self._console.print(f"{place}: {_trouble(run_dir, status, None)}", markup=False, soft_wrap=True)

    def _epochs_done(self, run: PlannedRun, status: RunStatus) -> int:
        if status.state in _ENDED:
            return self._epochs[run.identity]
        path = self._plan.run_dir(run) / "metrics.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0


def print_states(plan: Plan, jobs: Mapping[str, QueueState]) -> None:
    """Print a table of the plan's runs and their states to standard output.

    jobs: what a cluster says of the jobs of run folders, where there are any.
    """
    table = Table(title=f"{plan.study.name}: {plan.study.question}", title_justify="left")
    for column in ("run", "state", "PSNR (dB)", "size (MB)", "folder"):
        table.add_column(column, justify="right" if column.endswith(")") else "left", overflow="fold")
    troubles: dict[str, str] = {}
    states: dict[str, RunState] = {}
    for run in plan.runs:
        run_dir = plan.run_dir(run)
        status = read_status(run_dir)
        states[run.identity] = status.state
        job = jobs.get(run.folder)
        state = _described(status, job)
        if trouble := _trouble(run_dir, status, job):
            troubles[run.variant.title] = trouble
        table.add_row(run.variant.title, _coloured(state, status.state), *_scores(run_dir, status.state), run.folder)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for title, trouble in troubles.items():
        console.print(f"{title}: {trouble}", markup=False, soft_wrap=True)  # whole paths, to copy
    console.print(f"{len(plan.runs)} runs, {len(states)} of them distinct: {_counted(states.values())}")
    console.print(f"Folder: {plan.study.dir}", soft_wrap=True)


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
    escaped = text.replace("[", r"\[")
    return f"[{_COLOURS[state]}]{escaped}[/]" if state in _COLOURS else escaped


def _scores(run_dir: Path, state: RunState) -> tuple[str, str]:
    if state is not RunState.DONE:
        return "", ""
    summary = read_summary(run_dir)
    return f"{summary['psnr_db']:.2f}", f"{summary['model_mb']:.2f}"
