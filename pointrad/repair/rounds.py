"""Trainings one after another, each from the masks that the one before put right, as long as that helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Rounds:
    """asked: how many there may be. kept: which one counts, from 1. agreement: of each that was trained, how well its
    masks and its cloud agree; of none where one round was asked for."""

    asked: int
    kept: int = 1
    agreement: tuple[float, ...] = ()

    @property
    def said(self) -> str:
        """In a sentence, which round is kept and why."""
        before, after = self.agreement[: self.kept - 1], self.agreement[self.kept :]
        others = [f", before by {before[-1]:.4f}"] if before else []
        others += [f", after it by {after[0]:.4f}"] if after else []
        own = f"{self.agreement[self.kept - 1]:.4f}"
        return f"Round {self.kept} of {self.asked} is kept: masks and cloud agree by {own}{''.join(others)}"


def best_round(asked: int, first: T, again: Callable[[T, int], T], agreement: Callable[[T], float]) -> tuple[T, Rounds]:
    """The last round that agreed better than the one before it, and what is to be said of all.

    again: the round after one, and its number. It is the last that is trained if it agrees no better.
    """
    kept, number, found = first, 1, [agreement(first)]
    while number < asked:
        following = again(kept, number + 1)
        found.append(agreement(following))
        if found[-1] <= found[-2]:
            break
        kept, number = following, number + 1
    return kept, Rounds(asked, number, tuple(found))
