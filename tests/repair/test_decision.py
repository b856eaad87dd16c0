"""What becomes of a mask where the cloud says otherwise."""

from __future__ import annotations

import numpy as np

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
    return Seen(opacity, painted(covered, OBJECT, BLACK), painted(photographed, OBJECT, beside))


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
    found = repair(RIGHT | disc(12, x=88), Seen(blurred.astype(np.float32), painted(blurred, OBJECT, BLACK),
                                                painted(RIGHT, OBJECT, (0.1, 0.9, 1.0))), BLACK)  # fmt: skip
    assert iou(found.mask, RIGHT) > 0.98


def test_a_highlight_within_the_object_is_the_objects() -> None:
    bright = np.where(disc(6)[..., None], np.float32(1), painted(RIGHT, (0.3, 0.3, 0.3), BACKDROP))
    found = repair(RIGHT, Seen(RIGHT.astype(np.float32), painted(RIGHT, (0.3, 0.3, 0.3), BLACK), bright), BLACK)
    assert np.array_equal(found.mask, RIGHT)


def test_black_splats_are_background_where_the_photograph_shows_something_bright() -> None:
    """What is left of splats where most masks have cut something off that one mask holds, on black."""
    blob = disc(8, x=12, y=12)
    hidden = seen(RIGHT)
    opaque = Seen(np.where(blob, np.float32(1), hidden.opacity), hidden.render, hidden.photograph)
    assert iou(repair(RIGHT | blob, opaque, BLACK).mask, RIGHT) > 0.98


def test_where_the_photograph_is_not_known_the_cloud_is_believed() -> None:
    cut = repair(disc(20), seen(RIGHT, photographed=disc(20), beside=BLACK), BLACK)
    assert iou(cut.mask, RIGHT) > 0.98


def test_outlines_that_change_follow_the_photographs_edges() -> None:
    ragged = RIGHT ^ ((disc(32) & ~disc(28)) & (np.random.default_rng(0).random(SHAPE) < 0.5))
    assert iou(ragged, RIGHT) < 0.9
    assert iou(repair(disc(20), seen(ragged), BLACK).mask, RIGHT) > 0.93
