"""The ranking of masks, its table, and how well it finds the worst."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointrad.repair.comparison import Comparison, Kind
from pointrad.repair.table import Ranking, Row, write_csv


def row(view: str, iou: float, given_iou: float | None = None, kind: Kind = Kind.SHIFTED) -> Row:
    return Row(view, Comparison(kind, iou, 2.5), given_iou, None if given_iou is None else 0.99)


def ranked(*right: float, found: tuple[float, ...]) -> Ranking:
    """Of views whose masks have these IoUs with the reference, and with the repaired masks."""
    return Ranking.of([row(str(n), *pair) for n, pair in enumerate(zip(found, right, strict=True))])


def test_the_worst_come_first(tmp_path: Path) -> None:
    write_csv(tmp_path / "masks.csv", Ranking.of([row("a", 0.9), row("b", 0.5), row("c", 0.7)]))
    assert (tmp_path / "masks.csv").read_text().splitlines() == [
        "view,iou,kind,distance_px",
        "b,0.5,shifted,2.5",
        "c,0.7,shifted,2.5",
        "a,0.9,shifted,2.5",
    ]


def test_a_reference_has_columns_of_its_own(tmp_path: Path) -> None:
    write_csv(tmp_path / "masks.csv", Ranking.of([row("a", 0.9, 0.8)]))
    assert (tmp_path / "masks.csv").read_text().splitlines()[1] == "a,0.9,shifted,2.5,0.8,0.99"


def test_a_ranking_that_has_the_worst_tenth_first_has_a_precision_of_1() -> None:
    rest = [0.9] * 18
    assert ranked(0.2, 0.3, *rest, found=(0.3, 0.2, *rest)).precision == 1


def test_one_that_has_them_second_and_fourth_has_a_half() -> None:
    rest = [0.9] * 18
    found = (0.2, 0.4, 0.1, 0.3, *rest[2:])
    assert ranked(0.2, 0.3, *rest, found=found).precision == pytest.approx((1 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize("right", [[None] * 3, [1.0] * 3])
def test_without_a_reference_or_wrong_masks_there_is_no_precision(right: list[float | None]) -> None:
    assert Ranking.of([row(str(n), 0.9, value) for n, value in enumerate(right)]).precision is None


def test_a_few_masks_that_look_wrong_are_named_worst_first() -> None:
    right = [row(str(n), 0.99, kind=Kind.FINE) for n in range(8)]
    found = Ranking.of([*right, row("b", 0.7), row("a", 0.4)])
    assert found.doubts == "of 10 masks these look wrong, or their cameras: a, b"


@pytest.mark.parametrize("wrong", [0, 6])
def test_where_none_looks_wrong_or_most_do_no_mask_is_named(wrong: int) -> None:
    kinds = [Kind.TOO_LARGE] * wrong + [Kind.FINE] * (10 - wrong)
    assert Ranking.of([row(str(n), 0.9, kind=kind) for n, kind in enumerate(kinds)]).doubts == ""
