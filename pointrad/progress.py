"""What a person watches while a run goes on."""

from __future__ import annotations

from functools import cache
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pointrad.terminal import printable
from pointrad.training.config import ScheduleConfig
from pointrad.training.record import EpochRecord

_console = Console(stderr=True, highlight=False)


def announce(message: str) -> None:
    """Say what happens next, on standard error."""
    _console.print(printable(message), markup=False, soft_wrap=True)


def warn(message: str) -> None:
    """Say on standard error what the user should look at, though the work goes on."""
    announce(f"Warning: {message}")


@cache
def tell_of_compilation() -> None:
    """Say, once in a process, why the start takes longer."""
    announce("Compiling kernels, once for this user and version: up to a minute")


class _Bar:
    """A live bar, from the start of a block to its end."""

    _progress: Progress

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class CompilationBar(_Bar):
    """A live bar over the functions of kernels that are being compiled; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("Compiling kernels"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=_console,
            transient=True,
            disable=not _console.is_terminal,
        )
        self._task = self._progress.add_task("kernels", total=None)

    def show(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


class TrainingBar(_Bar):
    """A live bar over all steps of a schedule: stage, epoch, loss, PSNR, points, time left.

    Where there is no terminal (a cluster's log), a line at the end of each stage instead.
    """

    def __init__(self, schedule: ScheduleConfig, views: int, known_share: float, epochs_done: int) -> None:
        self._epochs = {name: stage.length(views) for name, stage in schedule.enabled_stages.items()}
        steps = schedule.epoch_steps(views, known_share)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=_console,
            disable=not _console.is_terminal,
        )
        self._scores = ""
        self._task = self._progress.add_task("training", total=sum(steps), completed=sum(steps[:epochs_done]))

    def step(self, stage: str, stage_epoch: int, points: int) -> None:
        place = f"{stage} {stage_epoch}/{self._epochs[stage]}"
        self._progress.update(self._task, advance=1, description=f"{place}  {self._scores}{points:,} points")

    def epoch(self, record: EpochRecord) -> None:
        self._scores = f"loss {record.loss:.5f}  {record.psnr_db:.2f} dB  "
        if not _console.is_terminal and record.stage_epoch == self._epochs[record.stage]:
            announce(
                f"{record.stage}: {record.stage_epoch} epochs, {self._scores}{record.points:,} points, "
                f"{record.seconds:.1f} s"
            )
