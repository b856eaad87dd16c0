"""The ranking of given masks, those first that differ most from the repaired ones."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pointrad.files import replacing
from pointrad.repair.comparison import Comparison, Kind

_WORST = 0.1  # of the views, which a ranking should find first
_MOST_NAMED = 5  # of the masks that look wrong
_BELIEVED = 0.5  # of the masks: where more look wrong, the cloud may be


@dataclass(frozen=True)
class Row:
    """A training view. comparison: of its given mask with the repaired one, distances in pixels of the photograph.
    given_iou, repaired_iou: of either with the reference; None where there is none."""

    view: str
    comparison: Comparison
    given_iou: float | None
    repaired_iou: float | None


@dataclass(frozen=True)
class Ranking:
    """rows: worst first."""

    rows: tuple[Row, ...]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Ranking:
        return cls(tuple(sorted(rows, key=lambda row: row.comparison.iou)))

    @property
    def wrong(self) -> tuple[Row, ...]:
        """Those whose given mask looks wrong."""
        return tuple(row for row in self.rows if row.comparison.kind is not Kind.FINE)

    @property
    def doubts(self) -> str:
        """Which masks look wrong, as the beginning of a sentence; "" where none do, or so many that the cloud does."""
        names = [row.view for row in self.wrong]
        if not names or len(names) > _BELIEVED * len(self.rows):
            return ""
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        return f"of {len(self.rows)} masks these look wrong, or their cameras: {', '.join(names[:_MOST_NAMED])}{more}"

    @property
    def given_repaired_iou(self) -> float:
        """The mean IoU of given and repaired masks."""
        return float(np.mean([row.comparison.iou for row in self.rows]))

    @property
    def repaired_iou(self) -> float | None:
        """The mean IoU of repaired masks and the reference, over views that have one."""
        return _mean([row.repaired_iou for row in self.rows])

    @property
    def given_iou(self) -> float | None:
        """The mean IoU of given masks and the reference, over the same views."""
        return _mean([row.given_iou for row in self.rows])

    @property
    def precision(self) -> float | None:
        """How well the ranking finds the tenth of the views that the reference calls worst: its average precision, 1
        where they come first. None without a reference for all, and where all are right."""
        right = [row.given_iou for row in self.rows if row.given_iou is not None]
        if len(right) < len(self.rows) or min(right, default=1) == 1:
            return None
        worst = np.argsort(right, kind="stable")[: max(1, round(_WORST * len(right)))]
        places = np.sort(worst) + 1  # in the ranking, from 1
        return float(np.mean(np.arange(1, len(places) + 1) / places))


def write_csv(path: Path, ranking: Ranking) -> None:
    """A line per view, worst first; without columns of the reference where there is none."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        referred = ranking.repaired_iou is not None
        writer.writerow(["view", "iou", "kind", "distance_px", *(["given_iou", "repaired_iou"] if referred else [])])
        for row in ranking.rows:
            found = row.comparison
            reference = [_text(row.given_iou), _text(row.repaired_iou)] if referred else []
            writer.writerow([row.view, _text(found.iou), found.kind.value, _text(found.distance), *reference])


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
