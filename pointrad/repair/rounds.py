"""Trainings one after another, each from the masks that the one before put right, as long as that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

T = TypeVar("T")
_BETTER = 0.3  # dB: training views flatter a later round by nearly as much (docs/notes/masks.md)


class Fit(NamedTuple):
    """How well a cloud shows what is known of the training views: PSNR, dB, of whole pictures and of the object."""

    whole: float
    object: float


@dataclass(frozen=True)
class Rounds:
    """asked: how many there may be. masks, cloud: whose masks and whose cloud count, from 1. agreement: of each that
    was trained, how well its masks and its cloud agree; of none where one round was asked for."""

    asked: int
    masks: int = 1
    cloud: int = 1
    agreement: tuple[float, ...] = ()

    @property
    def said(self) -> str:
        """In a sentence, which rounds count and why."""
        before, after = self.agreement[: self.masks - 1], self.agreement[self.masks :]
        others = [f", before by {before[-1]:.4f}"] if before else []
        others += [f", after it by {after[0]:.4f}"] if after else []
        own = f"{self.agreement[self.masks - 1]:.4f}"
        return (
            f"Masks are those of round {self.masks} of {self.asked}, which agree with its cloud by {own}"
            f"{''.join(others)}; the cloud is that of round {self.cloud}"
        )


def better_rounds(
    asked: int, first: T, again: Callable[[T, int], T], agreement: Callable[[T], float]
) -> tuple[list[T], tuple[float, ...]]:
    """The rounds that agree better than the one before them, and how well each agrees that was trained.

    again: the round after one, and its number. It is the last that is trained if it agrees no better.
    """
    better, found = [first], [agreement(first)]
    while len(better) < asked:
        following = again(better[-1], len(better) + 1)
        found.append(agreement(following))
        if found[-1] <= found[-2]:
            break
        better.append(following)
    return better, tuple(found)


def best_cloud(fits: Sequence[Fit]) -> int:
    """The number of the round whose cloud counts, from 1: the first, or a later one that is clearly better in both."""
    best = 0
    for index, fit in enumerate(fits):
        if all(after - before >= _BETTER for before, after in zip(fits[best], fit, strict=True)):
            best = index
    return best + 1
