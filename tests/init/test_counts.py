"""Views that the object leaves abstain from points outside; what is counted is the plain count, only faster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pointrad.data.scene import Float32Array, View
from pointrad.errors import UserError
from pointrad.init.adaptive import agreeing_votes
from pointrad.init.config import AdaptiveConfig, HullConfig
from pointrad.init.counts import Counts, votes_of_masks
from pointrad.init.evidence import Needs, in_a_row
from pointrad.init.hull import hull_votes
from pointrad.init.readings import gather_evidence
from pointrad.init.votes import Lattice
from tests.init.plain import sees, tells, views_and_lattice, votes_of_one_view
from tests.scenes import cube, sphere_views

Outside = Literal["published", "abstain"]
LATTICE = Lattice(48, cube(-1, 1))


def config(outside: Outside = "abstain", margin: float | None = None, least_seen: float | None = None,
           consistency: float = 1.0, lattice: int = 48) -> HullConfig:  # fmt: skip
    return HullConfig(
        name="hull", lattice=lattice, bounds=cube(-1, 1), kept_share=0.5, jitter=0, consistency=consistency,
        outside=outside, outside_margin=margin, least_seen=least_seen,
    )  # fmt: skip


def adaptive(outside: Outside = "abstain") -> AdaptiveConfig:
    return AdaptiveConfig(
        name="adaptive", lattice=48, bounds=cube(-1, 1), kept_share=0.5, jitter=0, source="masks", cut_pixels="unknown",
        outside=outside, outside_margin=None, least_seen=None,
    )  # fmt: skip


def counted(masks: Sequence[View], lattice: Lattice, margin: float = 0.0) -> NDArray[np.int64]:
    return np.sum([votes_of_one_view(view, lattice, margin) for view in masks], axis=0)


def of_all(votes: NDArray[np.int64], seen: NDArray[np.int64], views: int, least_seen: float) -> NDArray[np.int64]:
    """As many of all views as voted of those that see a point, of which there must be enough."""
    enough = seen >= np.ceil(float(views * Fraction(str(least_seen))))
    return np.where(enough & (seen > 0), views * votes // np.maximum(seen, 1), 0)


@settings(max_examples=25, deadline=None)
@given(views_and_lattice(), st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_votes_equal_the_plain_count_among_those_that_see_a_point(
    case: tuple[list[View], Lattice, float], share: float, least_seen: float
) -> None:
    views, lattice, _ = case
    floor = round(share * len(views))
    seen = np.sum([tells(view, lattice) for view in views], axis=0)
    expected = of_all(counted(views, lattice), seen, len(views), least_seen)
    found = votes_of_masks(views, lattice, config(least_seen=least_seen), floor)
    np.testing.assert_array_equal(found.counts, np.where(expected >= floor, expected, 0))
    assert found.floor == floor


def in_part(mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Weights of 0 in a rectangle, which may be empty or all of a view."""
    weight = np.ones_like(mask)
    (top, bottom), (left, right) = (np.sort(rng.integers(0, size + 1, 2)) for size in mask.shape)
    weight[top:bottom, left:right] = 0
    return weight


@settings(max_examples=40, deadline=None)
@given(views_and_lattice(), st.integers(0, 2**32 - 1), st.sampled_from(["published", "abstain"]), st.integers(0, 4),
       st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.booleans(), st.booleans())  # fmt: skip
def test_counts_equal_the_plain_ones_whatever_pixels_say(
    case: tuple[list[View], Lattice, float], seed: int, outside: Outside, votes_needed: int, empty_share: float,
    complete: bool, all_used: bool,
) -> None:  # fmt: skip
    views, lattice, margin = case
    rng, needs = np.random.default_rng(seed), Needs(min(votes_needed, len(views)), empty_share)
    background = [(rng.random(view.mask.shape) < 0.5) & (view.mask == 0) for view in views]
    background = [view.mask == 0 for view in views] if complete else background
    given = config(outside, margin if outside == "published" else None, 0.5 if outside == "abstain" else None)
    if not all_used:
        views = [replace(view, weight=in_part(view.mask, rng)) for view in views]
    voting = in_a_row(view.mask > 0 for view in views)
    found = Counts.of(views, voting, in_a_row(background), lattice, given, needs).meeting(needs).counts

    voters = [replace(view, mask=view.mask * view.used) for view in views]
    maybe = [replace(view, mask=1.0 - (empty & view.used)) for view, empty in zip(views, background, strict=True)]
    margin = margin if outside == "published" else 0.0
    told = np.stack([tells(view, lattice, outside, margin) for view in views])
    seen, votes = told.sum(axis=0), counted(voters, lattice, margin)
    empty_in = (told & ~np.stack([votes_of_one_view(view, lattice, margin) for view in maybe])).sum(axis=0)
    expected = of_all(votes, seen, len(views), 0.5)
    met = (empty_in <= empty_share * (votes + empty_in)) & (expected >= needs.votes)
    np.testing.assert_array_equal(found, np.where(met, expected, 0))


def test_where_all_views_see_every_point_abstaining_changes_nothing() -> None:
    views = sphere_views(8, 64, 64)
    lattice = Lattice(40, cube(-0.5, 0.5))
    assert all(sees(view, lattice).all() for view in views)
    for least_seen in (0.0, 1.0):
        found = votes_of_masks(views, lattice, config(least_seen=least_seen), 3).counts
        np.testing.assert_array_equal(found, votes_of_masks(views, lattice, config("published"), 3).counts)


def cropped(view: View, left: int, top: int, width: int, height: int) -> View:
    """What a picture shows that leaves the rest out."""
    part = slice(top, top + height), slice(left, left + width)
    at = replace(view.camera, width=width, height=height, cx=view.camera.cx - left, cy=view.camera.cy - top)
    return replace(view, camera=at, image=view.image[part], mask=view.mask[part])


WHOLE = sphere_views(24, 96, 96)
# Two of three pictures cut the sphere off, at one side or the other.
CUT_OFF = tuple(
    view if n % 3 == 0 else cropped(view, 40 * (n % 2), 0, 56, 80) if n % 3 == 1 else cropped(view, 0, 42, 96, 54)
    for n, view in enumerate(WHOLE)
)


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_hull_of_an_object_that_leaves_the_pictures_is_whole_if_views_abstain() -> None:
    true = hull_votes(WHOLE, config("published")).counts > 0
    assert overlap(hull_votes(CUT_OFF, config()).counts > 0, true) > 0.9
    assert overlap(hull_votes(CUT_OFF, config("published", consistency=0.9)).counts > 0, true) < 0.5


def test_a_view_that_the_object_is_known_to_have_left_says_nothing_of_what_is_outside() -> None:
    away = cropped(WHOLE[0], 0, 0, 20, 96)
    assert not away.mask.any()
    expected = hull_votes(WHOLE[1:], config()).counts > 0
    found = hull_votes([*WHOLE[1:], replace(away, leaves=True)], config()).counts > 0
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(UserError, match="the hull is empty"):
        hull_votes([*WHOLE[1:], away], config())


@pytest.mark.parametrize("shift", [0, 4])
def test_so_is_the_adaptive_start_s_whether_masks_are_right_or_have_cut_the_pictures(shift: int) -> None:
    true = hull_votes(WHOLE, config("published")).counts > 0
    rng = np.random.default_rng(0)
    masks = [np.roll(view.mask, tuple(rng.integers(-shift, shift + 1, 2)), (0, 1)) for view in CUT_OFF]
    pairs = zip(CUT_OFF, masks, strict=True)
    views = [replace(view, image=np.where(mask[..., None] > 0, view.image, 0), mask=mask) for view, mask in pairs]
    found, published = (
        agreeing_votes(gather_evidence(views, (0.0, 0.0, 0.0), adaptive(rule)), adaptive(rule)).counts > 0
        for rule in ("abstain", "published")
    )
    assert overlap(found, true) > 0.85
    assert overlap(published, true) < overlap(found, true)


def test_views_that_have_the_whole_object_see_background_outside() -> None:
    """Else the hull of cameras above would go on below the object, where only some of them look."""
    true = hull_votes(WHOLE, config("published", lattice=96)).counts
    np.testing.assert_array_equal(hull_votes(WHOLE, config(lattice=96)).counts, true)


def test_a_point_that_too_few_views_see_is_not_in_the_hull() -> None:
    near = [cropped(view, 32, 32, 32, 32) for view in WHOLE]  # which sees the middle alone
    seen = np.sum([sees(view, LATTICE) for view in near], axis=0)
    for least_seen, views in ((0.25, 6), (0.5, 12), (0.9, 22)):
        hull = hull_votes(near, config(least_seen=least_seen)).counts > 0
        assert seen[hull].min() >= views


def test_counts_do_not_depend_on_the_number_of_threads() -> None:
    found, before = [], numba.get_num_threads()
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            found.append(hull_votes(CUT_OFF, config(lattice=96, consistency=0.7)).counts)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_a_hull_is_empty_where_no_point_is_seen_by_enough_and_the_error_says_so() -> None:
    apart = [cropped(view, 0, 0, 8, 8) for view in WHOLE]
    with pytest.raises(UserError, match=r"hull is empty.* the masks show, or a lower init\.least_seen"):
        hull_votes(apart, config(least_seen=1.0))
