"""W&B runs for tests: logged by the real SDK, read back from the files that `wandb sync` uploads."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pointrad.tracking.config import WandbTrackerConfig
from pointrad.tracking.wandb import WandbTracker
from pointrad.tracking.wandb_files import read_records
from pointrad.training.record import EpochRecord

CONFIG = WandbTrackerConfig(
    name="wandb", project="tests", entity=None, group="study", job_type="train", tags=("mine",), mode="auto"
)


def epochs(first: int, last: int) -> list[EpochRecord]:
    return [
        EpochRecord(n, "base", n, 0.1 / n, 20.0 + n, 100, {"position": 8e-4, "colour": 3e-3}, 1.5 * n)
        for n in range(first, last + 1)
    ]


def started(run_dir: Path, history: Sequence[EpochRecord] = (), config: WandbTrackerConfig = CONFIG) -> WandbTracker:
    tracked = {"scene": {"name": "demo"}, "identity": "0123"}
    tracker = WandbTracker(config, tracked, run_dir, "demo none 0 seed 0", ("demo", "none", "level 0"))
    for record in history:
        tracker.log_epoch(record)
    return tracker


def finish(tracker: WandbTracker, exit_code: int) -> None:
    """Finish and wait for W&B's file, which its own process closes a moment later."""
    assert tracker._run is not None
    path = Path(tracker._run.settings.sync_file)
    tracker.finish(exit_code)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not any(record.HasField("exit") for record in read_records(path)):
        time.sleep(0.02)


def records(folder: Path) -> list[Any]:
    paths = sorted(folder.glob("wandb/offline-run-*/*.wandb"))
    return [record for path in paths for record in read_records(path)]


def rows(folder: Path) -> list[dict[str, Any]]:
    return [
        {"step": record.history.step.num}
        | {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in records(folder)
        if record.HasField("history")
    ]


def exit_codes(folder: Path) -> list[int]:
    return [record.exit.exit_code for record in records(folder) if record.HasField("exit")]
