"""Captures that move: the instants that their photographs were taken at, and which of these are asked for.

A capture that moves is a series of captures that stand still, one for each instant (`Capture.frames`).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import AfterValidator, StrictInt

from pointrad.data.layout import Layout
from pointrad.errors import UserError

STILL = (0.0,)  # the one instant of a scene that does not move
_SLICE = re.compile(r"(-?\d+)?:(-?\d+)?(?::(\d+)?)?")


def _checked(frames: int | str) -> int | str:
    if isinstance(frames, str) and (not (found := _SLICE.fullmatch(frames)) or found[3] == "0"):
        raise ValueError(f"found {frames!r}; expected start:stop:step, its step from 1 on, one number, or null for all")
    return frames


Frames = Annotated[StrictInt | str, AfterValidator(_checked)]


class MovingLayout(Layout, ABC):
    """A layout whose scenes may move.

    frames: which instants, of all in order of time: a slice of Python, as in "0:24:2", or one by its number; None for
    all.
    """

    frames: Frames | None

    @abstractmethod
    def times(self, scene_name: str) -> tuple[float, ...]:
        """When the instants of a scene were, ascending: all of them, chosen or not. A scene that stands still has one.

        Raises UserError for what is wrong with the files that say so.
        """
        ...

    def at(self, frame: int, window: int = 0) -> Self:
        """The layout for one instant alone, or with so many on each side of it."""
        frames = f"{max(0, frame - window)}:{frame + window + 1}" if window else frame
        return self.model_copy(update={"frames": frames})

    def decisive(self) -> dict[str, Any]:
        values = super().decisive()
        return values if self.frames is not None else {key: values[key] for key in values if key != "frames"}


def chosen(frames: int | str | None, times: Sequence[float]) -> tuple[int, ...]:
    """The numbers of the instants that `frames` means, ascending. Raises UserError where it means none."""
    count = len(times)
    numbers = range(count)
    expected = f"{count} instants, 0 to {count - 1}" if count > 1 else "one instant, 0: the capture stands still"
    if isinstance(frames, int):
        if frames not in range(-count, count):
            raise UserError(f"dataset.frames: found {frames}; expected one of {expected}")
        return (numbers[frames],)
    if frames is not None:
        start, stop, step = (int(part) if part else None for part in (*frames.split(":"), "")[:3])
        numbers = numbers[start:stop:step]
    if not numbers:
        raise UserError(f"dataset.frames: found {frames}, which is none of {expected}; expected some of them")
    return tuple(numbers)


def shown(frames: int | str | None, times: Sequence[float], views: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The numbers of the instants that are shown at once, as if nothing moved, and what to say of it.

    They are all that were chosen if each has one view only (D-NeRF), of which nothing could be learned alone; else the
    first of them. views: how many there are for training, of all instants.
    """
    numbers = chosen(frames, times)
    if len(numbers) == 1:
        return numbers, ()
    if views < 2 * len(times):
        between = f"from {times[numbers[0]]:g} to {times[numbers[-1]]:g}"
        return numbers, (f"frames have times ({between}); what moves is taken for something that stands still",)
    said = f"the capture moves: of {len(numbers)} instants this is the first, dataset.frames={numbers[0]}"
    return numbers[:1], (said,)


def nearest(times: Sequence[float], time: float) -> int:
    """The number of the instant that is nearest in time; of two, the earlier."""
    return int(np.abs(np.asarray(times) - time).argmin())
