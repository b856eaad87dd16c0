"""What becomes of a mask where the cloud says otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointrad.masks.iou import Mask, iou
from pointrad.repair.decision import Seen, repair
from tests.repair.test_comparison import RIGHT, SHAPE, disc

BLACK = (0.0, 0.0, 0.0)
OBJECT, BACKDROP = (0.8, 0.5, 0.2), (0.9, 0.9, 0.9)


def painted(mask: Mask, colour: tuple[float, ...], beside: tuple[float, ...]) -> np.ndarray:
    return np.where(mask[..., None], np.float32(colour), np.float32(beside))


def seen(
    covered: Mask, photographed: Mask = RIGHT, beside: tuple[float, ...] = BACKDROP, elsewhere: float = 0.0
) -> Seen:
    """A cloud that covers some pixels, and others by a share, and a photograph of an object before a backdrop."""
    opacity = np.where(covered, np.float32(1), np.float32(elsewhere))
    return Seen(opacity, opacity, painted(covered, OBJECT, BLACK), painted(photographed, OBJECT, beside))


def with_spot(right: Seen, spot: Mask, votes: float, colour: tuple[float, ...]) -> Seen:
    """The same view, but a spot on it has another colour, which the cloud shows too, by splats that have few votes."""
    render, photograph = (np.where(spot[..., None], np.float32(colour), of) for of in (right.render, right.photograph))
    return replace(right, votes=np.where(spot, np.float32(votes), right.votes), render=render, photograph=photograph)


def test_a_right_mask_stays_as_it_is_though_the_clouds_outline_is_a_pixel_off() -> None:
    found = repair(RIGHT, seen(disc(31)), BLACK)
    assert np.array_equal(found.mask, RIGHT)
    assert not found.changed.any()


def test_a_wrong_mask_becomes_what_the_cloud_covers() -> None:
    for wrong in (disc(24), disc(38), disc(30, x=75), RIGHT & ~disc(9), RIGHT | disc(8, x=12, y=12)):
        assert iou(repair(wrong, seen(RIGHT), BLACK).mask, RIGHT) > 0.98


def test_a_view_without_a_mask_gets_one() -> None:
    assert iou(repair(np.zeros(SHAPE, bool), seen(RIGHT), BLACK).mask, RIGHT) > 0.98


def test_a_cloud_that_covers_backdrop_does_not_enlarge_a_mask() -> None:
    found = repair(RIGHT, seen(RIGHT | disc(12, x=15, y=15)), BLACK)
    assert np.array_equal(found.mask, RIGHT)


def test_a_cloud_that_is_not_sure_takes_nothing_away() -> None:
    dim = (0.2, 0.2, 0.2)
    assert iou(repair(disc(38), seen(RIGHT, beside=dim, elsewhere=0.1), BLACK).mask, RIGHT) > 0.98
    assert np.array_equal(repair(disc(38), seen(RIGHT, beside=dim, elsewhere=0.4), BLACK).mask, disc(38))


def test_what_the_cloud_has_never_seen_there_is_background() -> None:
    """Surroundings that wrong masks let into the cloud look there like all that lies behind them."""
    blurred = RIGHT | disc(12, x=88)
    strange = replace(seen(blurred), photograph=painted(RIGHT, OBJECT, (0.1, 0.9, 1.0)))
    found = repair(RIGHT | disc(12, x=88), strange, BLACK)
    assert iou(found.mask, RIGHT) > 0.98


def test_a_highlight_within_the_object_is_the_objects() -> None:
    bright = np.where(disc(6)[..., None], np.float32(1), painted(RIGHT, (0.3, 0.3, 0.3), BACKDROP))
    found = repair(RIGHT, replace(seen(RIGHT), render=painted(RIGHT, (0.3, 0.3, 0.3), BLACK), photograph=bright), BLACK)
    assert np.array_equal(found.mask, RIGHT)


def test_black_splats_are_background_where_the_photograph_shows_something_bright() -> None:
    """What is left of splats where most masks have cut something off that one mask holds, on black."""
    blob = disc(8, x=12, y=12)
    hidden = seen(RIGHT)
    opaque = replace(hidden, opacity=np.where(blob, np.float32(1), hidden.opacity))
    assert iou(repair(RIGHT | blob, opaque, BLACK).mask, RIGHT) > 0.98


SPOT = disc(9)


def test_an_opening_that_this_mask_fills_and_others_leave_open_is_found() -> None:
    found = repair(RIGHT, with_spot(seen(RIGHT), SPOT, 0.4, BACKDROP), BLACK)
    assert iou(found.mask, RIGHT & ~SPOT) > 0.98


@pytest.mark.parametrize(
    ("spot", "votes", "colour"),
    [
        pytest.param(SPOT, 0.4, (0.1, 0.1, 0.1), id="a dark mouth that some masks lose"),
        pytest.param(SPOT, 0.4, OBJECT, id="a part that some masks lose"),
        pytest.param(SPOT, 1.0, BACKDROP, id="a spot of the backdrop's colour that all masks hold"),
        pytest.param(disc(9, x=88), 0.4, BACKDROP, id="a part at the outline"),
        pytest.param(disc(2), 0.4, BACKDROP, id="less than an outline's width"),
    ],
)
def test_what_is_no_opening_stays(spot: Mask, votes: float, colour: tuple[float, ...]) -> None:
    found = repair(RIGHT, with_spot(seen(RIGHT), spot & RIGHT, votes, colour), BLACK)
    assert np.array_equal(found.mask, RIGHT)


def test_without_surroundings_that_are_known_there_are_no_openings() -> None:
    cut = with_spot(seen(RIGHT, beside=BLACK), SPOT, 0.4, BACKDROP)
    assert np.array_equal(repair(RIGHT, cut, BLACK).mask, RIGHT)


def test_a_part_that_the_border_cuts_is_no_opening() -> None:
    left = np.ones(SHAPE, bool)
    left[:, -20:] = False
    for x, expected in ((20, left & ~disc(9, x=20)), (0, left)):
        found = repair(left, with_spot(seen(left, photographed=left), disc(9, x=x), 0.4, BACKDROP), BLACK)
        assert iou(found.mask, expected) > 0.99


def test_where_the_photograph_is_not_known_the_cloud_is_believed() -> None:
    cut = repair(disc(20), seen(RIGHT, photographed=disc(20), beside=BLACK), BLACK)
    assert iou(cut.mask, RIGHT) > 0.98


def test_outlines_that_change_follow_the_photographs_edges() -> None:
    ragged = RIGHT ^ ((disc(32) & ~disc(28)) & (np.random.default_rng(0).random(SHAPE) < 0.5))
    assert iou(ragged, RIGHT) < 0.9
    assert iou(repair(disc(20), seen(ragged), BLACK).mask, RIGHT) > 0.93
