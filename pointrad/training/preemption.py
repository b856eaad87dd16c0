"""Being told to stop: a cluster's signal becomes an exception at a moment when a run can be saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_told: list[signal.Signals] = []


class Preempted(BaseException):
    """The signal `number` told the run to stop. Its checkpoint is written, and the same call goes on from there.

    Not an Exception, since it is no failure: what catches those must let it pass.
    """

    def __init__(self, number: signal.Signals = signal.SIGTERM) -> None:
        super().__init__(f"told to stop by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def heeding(*numbers: signal.Signals) -> Iterator[None]:
    """While the block runs, these signals make `raise_if_told` raise in whichever training runs; then they mean what
    they meant before. Does nothing outside the main thread, where Python has no signal handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.signal(number, _tell) for number in numbers}
    try:
        yield
    finally:
        _told.clear()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def raise_if_told() -> None:
    """Raise Preempted if a heeded signal came."""
    if _told:
        raise Preempted(_told[0])


def _tell(number: int, frame: FrameType | None) -> None:
    _told.append(signal.Signals(number))
