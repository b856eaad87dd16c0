"""What kind of error a given mask has, told by the one that replaces it."""

from __future__ import annotations

import numpy as np
import pytest

from pointrad.masks.iou import Mask
from pointrad.repair.comparison import Comparison, Kind, compare, outline_distance

SHAPE = (100, 120)


def disc(radius: float, x: float = 60, y: float = 50) -> Mask:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    found: Mask = (columns - x) ** 2 + (rows - y) ** 2 < radius**2
    return found


RIGHT = disc(30)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (RIGHT, Kind.FINE),
        (RIGHT | disc(3, x=91), Kind.FINE),
        (disc(36), Kind.TOO_LARGE),
        (disc(24), Kind.TOO_SMALL),
        (disc(30, x=75), Kind.SHIFTED),
        (RIGHT & ~disc(9), Kind.HOLE),
        (RIGHT | disc(8, x=12, y=12), Kind.STRAY_BLOB),
        (np.zeros(SHAPE, bool), Kind.MISSING),
        (np.ones(SHAPE, bool), Kind.MISSING),
        (None, Kind.MISSING),
    ],
)
def test_the_error_is_named_by_what_explains_most_of_it(given: Mask | None, kind: Kind) -> None:
    assert compare(given, RIGHT).kind is kind


def test_outlines_are_compared_in_pixels() -> None:
    assert compare(disc(36), RIGHT).distance == pytest.approx(6, abs=0.5)
    assert compare(disc(36), RIGHT).enlarged(4).distance == pytest.approx(24, abs=2)


def test_an_empty_mask_has_no_outline() -> None:
    assert outline_distance(RIGHT, np.zeros(SHAPE, bool)) is None


def test_an_object_that_is_out_of_sight_has_a_right_mask_without_anything() -> None:
    nothing = np.zeros(SHAPE, bool)
    assert compare(nothing, nothing) == Comparison(Kind.FINE, 1.0, None)
