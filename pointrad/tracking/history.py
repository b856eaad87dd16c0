"""What a run folder holds of a training so far, told to a tracker that may lack some of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pointrad.tracking.base import Tracker
from pointrad.training.config import ScheduleConfig
from pointrad.training.record import EpochRecord

INIT = "init"  # what is drawn before the first stage
STAGES_FOLDER = "stages"


def round_folder(run_dir: Path, number: int) -> Path:
    """Where a round of a run, from 1, has its checkpoint, epochs and pictures (`repair.rounds`)."""
    return run_dir if number == 1 else run_dir / "rounds" / str(number)


def picture_path(run_dir: Path, schedule: ScheduleConfig, stage: str) -> Path:
    """Where the renders at the end of `stage`, or of INIT, are drawn."""
    return run_dir / "pictures" / f"{_numbered(schedule, stage)}.png"


def cloud_path(run_dir: Path, schedule: ScheduleConfig, stage: str) -> Path:
    """Where the cloud at the end of `stage`, or of INIT, is kept, if it is."""
    return run_dir / STAGES_FOLDER / f"{_numbered(schedule, stage)}.pt"


def _numbered(schedule: ScheduleConfig, stage: str) -> str:
    return f"{[INIT, *schedule.enabled_stages].index(stage)}_{stage}"


def log_history(tracker: Tracker, run_dir: Path, schedule: ScheduleConfig, records: Sequence[EpochRecord]) -> None:
    """Log `records`, the epochs trained so far, and the pictures of the stages that end with one of them, in order."""
    drawn = {epoch: path for epoch, path in _pictures(run_dir, schedule, records).items() if path.exists()}
    if 0 in drawn:
        tracker.log_image("render", drawn[0], 0)
    for record in records:
        tracker.log_epoch(record)
        if record.epoch in drawn:
            tracker.log_image("render", drawn[record.epoch], record.epoch)


def _pictures(run_dir: Path, schedule: ScheduleConfig, records: Sequence[EpochRecord]) -> dict[int, Path]:
    """By the epoch at whose end they are drawn; of the stages up to the last whose length is known."""
    lengths = {record.stage: record.stage_epochs for record in records}
    pictures, epoch = {0: picture_path(run_dir, schedule, INIT)}, 0
    for name, stage in schedule.enabled_stages.items():
        length = stage.epochs if isinstance(stage.epochs, int) else lengths.get(name)
        if length is None:
            break
        epoch += length
        pictures[epoch] = picture_path(run_dir, schedule, name)
    return pictures
