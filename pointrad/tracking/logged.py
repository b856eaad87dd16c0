"""What W&B has of a run already, so that whoever goes on with it logs what is lacking, and that once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

EPOCH, TRAINED = "epoch", "train/loss"  # columns: of which epoch a row tells, and what only rows of training have


@dataclass(frozen=True)
class Logged:
    """epochs: whose training it has. media: key and epoch of the pictures and videos that it has, as rows and as files.
    rows: where the next row of its history goes; rows and epochs differ once something was logged late."""

    epochs: frozenset[int] = frozenset()
    media: frozenset[tuple[str, int]] = frozenset()
    rows: int = 0

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]], files: frozenset[str], count: int) -> Self:
        """rows: with an `epoch` each. files: the media that were kept whole, by the paths that rows give."""
        epochs, media = set[int](), set[tuple[str, int]]()
        for row in rows:
            epoch = row.get(EPOCH)
            if isinstance(epoch, int | float):
                epochs |= {int(epoch)} if TRAINED in row else set()
                media |= {(key, int(epoch)) for key, value in row.items() if _path(value) in files}
        return cls(frozenset(epochs), frozenset(media), count)


def _path(value: object) -> str | None:
    path = value.get("path") if isinstance(value, Mapping) else None
    return path if isinstance(path, str) else None
