"""What every tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pointrad.training.record import EpochRecord


class Tracker(Protocol):
    """Shows a run elsewhere while it trains. The run folder's own files are the truth; a tracker never stops a run.

    A resumed run may repeat what a killed one logged: trackers log each epoch, and each file of an epoch, once.
    """

    def log_epoch(self, record: EpochRecord) -> None: ...

    def log_image(self, name: str, path: Path, epoch: int) -> None: ...

    def log_video(self, name: str, path: Path, epoch: int) -> None: ...

    def log_file(self, name: str, path: Path) -> None:
        """Keep a result as a versioned file, such as the learned cloud."""
        ...

    def summarise(self, summary: Mapping[str, object]) -> None:
        """The results that a run is compared by."""
        ...

    def finish(self, exit_code: int, preempted: bool = False) -> None:
        """Close the run, 0 for success; never raises, so that it can stand in a `finally`. Nothing follows it.

        preempted: the cluster takes the machine away, and the run goes on in another process.
        """
        ...


class NullTracker:
    """Tracks nothing."""

    def log_epoch(self, record: EpochRecord) -> None:
        pass

    def log_image(self, name: str, path: Path, epoch: int) -> None:
        pass

    def log_video(self, name: str, path: Path, epoch: int) -> None:
        pass

    def log_file(self, name: str, path: Path) -> None:
        pass

    def summarise(self, summary: Mapping[str, object]) -> None:
        pass

    def finish(self, exit_code: int, preempted: bool = False) -> None:
        pass
