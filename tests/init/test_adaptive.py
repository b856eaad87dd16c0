"""A start that asks what the training views show, and believes masks no more than it must."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal

import numba
import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from pointrad.camera import to_pixels
from pointrad.corruption import cut_targets
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.init.adaptive import agreeing_votes, known_beside
from pointrad.init.config import AdaptiveConfig
from pointrad.init.evidence import Evidence, Pixels, by_view, in_a_row, weighted_views
from pointrad.init.readings import gather_evidence
from pointrad.init.start import TrainingViews, start
from pointrad.init.votes import Lattice, Votes, count_votes
from tests.scenes import cube, off_centre, sphere_views

BLACK = (0.0, 0.0, 0.0)
DARKENING = 0.01
VIEWS = sphere_views(24, 64, 48)
LARGE = sphere_views(24, 256, 192)

large_pictures = pytest.mark.integration  # more than a second each


def adaptive(**changes: object) -> AdaptiveConfig:
    values = {"name": "adaptive", "lattice": 64, "bounds": [-1, 1], "source": "masks", "cut_pixels": "unknown"}
    return AdaptiveConfig.model_validate(
        values
        | {"kept_share": 0.5, "jitter": 0.0, "outside": "published", "outside_margin": 0.0, "least_seen": None}
        | changes
    )


@cache
def evidence_of_cut(shift: int) -> Evidence:
    """Of the views whose images are cut by masks so many pixels off."""
    return gather_evidence(cut(VIEWS, shifted_masks(VIEWS, shift)), BLACK, adaptive())


def hull_of(views: tuple[View, ...], source: Literal["masks", "none"] = "masks") -> Votes:
    return agreeing_votes(gather_evidence(views, BLACK, adaptive(source=source)), adaptive())


def hard_hull(views: tuple[View, ...]) -> Pixels:
    return count_votes(views, Lattice(64, cube(-1, 1)), 0.0, len(views)).counts > 0


def overlap(one: Pixels, other: Pixels) -> float:
    return float((one & other).sum() / (one | other).sum())


def with_masks(views: tuple[View, ...], masks: list[Pixels]) -> tuple[View, ...]:
    return tuple(replace(view, mask=mask.astype(np.float32)) for view, mask in zip(views, masks, strict=True))


def shifted_masks(views: tuple[View, ...], pixels: int, seed: int = 0) -> tuple[View, ...]:
    """Each view's mask moved to somewhere else within `pixels`."""
    shifts = np.random.default_rng(seed).integers(-pixels, pixels + 1, (len(views), 2))
    moved = [np.roll(view.mask > 0, tuple(shift), (0, 1)) for view, shift in zip(views, shifts, strict=True)]
    return with_masks(views, moved)


def with_surroundings(views: tuple[View, ...]) -> tuple[View, ...]:
    """Photographs: noise where there was background."""
    rng = np.random.default_rng(0)
    return tuple(
        replace(view, image=np.where(view.mask[..., None] > 0, view.image, rng.uniform(0.2, 1, view.image.shape)))
        for view in views
    )


def cut(views: tuple[View, ...], wrong: tuple[View, ...]) -> tuple[View, ...]:
    """Views as training has them where wrong masks cut their images."""
    pairs = zip(cut_targets(views, wrong, BLACK), wrong, strict=True)
    return tuple(replace(view, mask=mask.mask) for view, mask in pairs)


def with_a_black_cap(views: tuple[View, ...]) -> tuple[View, ...]:
    """The sphere's top, a quarter of what views show of it, has the background's colour."""
    return tuple(replace(view, image=np.where(view.image[..., 2:] > 0.86, np.float32(0), view.image)) for view in views)


def with_wires(views: tuple[View, ...], pixels: int = 1) -> tuple[View, ...]:
    """The views' object with a grey bundle of straight wires, so many pixels wide, through it."""
    ends = np.random.default_rng(0).uniform(-0.6, 0.6, (20, 2, 3))
    points = (ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * np.linspace(0, 1, 200)[:, None]).reshape(-1, 3)

    def seen(view: View) -> View:
        camera = view.camera
        x, y, depth = camera.world_to_image @ np.concatenate([points, np.ones((len(points), 1))], axis=1).T
        wire = np.zeros((camera.height, camera.width), bool)
        u, v = to_pixels(x, y, depth, camera.intrinsics)
        wire[v.astype(int).clip(0, camera.height - 1), u.astype(int).clip(0, camera.width - 1)] = True
        wire = maximum_filter(wire, pixels)
        image = np.where(wire[..., None] & (view.mask[..., None] == 0), np.float32(0.5), view.image)
        return replace(view, mask=np.where(wire, np.float32(1), view.mask), image=image)

    return tuple(seen(view) for view in views)


def on_larger_canvases(views: tuple[View, ...]) -> tuple[View, ...]:
    """Every other view with more background around its picture, which is cut off nowhere."""

    def enlarged(view: View, above: int, left: int) -> View:
        at = view.camera
        rim = ((above, 3), (left, 5))
        return replace(
            view,
            camera=replace(
                at, width=at.width + left + 5, height=at.height + above + 3, cx=at.cx + left, cy=at.cy + above
            ),
            image=np.pad(view.image, (*rim, (0, 0))),
            mask=np.pad(view.mask, rim),
        )

    return tuple(enlarged(view, n, 24 - n) if n % 2 else view for n, view in enumerate(views))


class TestTheEvidence:
    def test_of_a_view_does_not_depend_on_how_large_others_are(self) -> None:
        wrong = cut(VIEWS, shifted_masks(VIEWS, 4))
        alone, beside = (
            gather_evidence(wrong, BLACK, adaptive()),
            gather_evidence(on_larger_canvases(wrong), BLACK, adaptive()),
        )
        assert (beside.needs, beside.cut) == (alone.needs, alone.cut)
        for name in ("votes", "seen_object", "seen_background", "unknown"):
            pairs = zip(by_view(getattr(alone, name), wrong), by_view(getattr(beside, name), beside.views), strict=True)
            assert all(np.array_equal(one, other) for one, other in list(pairs)[::2])

    def test_has_a_value_for_each_pixel_and_no_other(self) -> None:
        views = on_larger_canvases(cut(VIEWS, shifted_masks(VIEWS, 4)))
        found = gather_evidence(views, BLACK, adaptive())
        said = np.stack([found.votes, found.seen_background, found.unknown])
        assert said.shape == (3, sum(view.mask.size for view in views))
        assert (said.sum(axis=0) == 1).all()
        weights = [view.weight for view in weighted_views(found, DARKENING)]
        assert [weight.shape for weight in weights if weight is not None] == [view.mask.shape for view in views]

    def test_a_clean_background_outweighs_any_mask(self) -> None:
        blank = with_masks(VIEWS, [np.zeros(view.mask.shape, bool) for view in VIEWS])
        found = gather_evidence(blank, BLACK, adaptive())
        true = in_a_row(view.mask > 0 for view in VIEWS)
        assert np.array_equal(found.seen_object, true)
        assert np.array_equal(found.seen_background, ~true)

    def test_a_photograph_with_surroundings_is_the_object_where_its_mask_says_so(self) -> None:
        wrong = shifted_masks(with_surroundings(VIEWS), 4)
        found = gather_evidence(wrong, BLACK, adaptive())
        assert np.array_equal(found.seen_object, in_a_row(view.mask > 0 for view in wrong))
        assert not found.seen_background.any()

    def test_a_cut_image_tells_nothing_outside_its_mask(self) -> None:
        wrong = shifted_masks(VIEWS, 4)
        found = evidence_of_cut(4)
        true, asked = (in_a_row(view.mask > 0 for view in views) for views in (VIEWS, wrong))
        assert np.array_equal(found.seen_object, true & asked)
        assert np.array_equal(found.seen_background, ~true & asked)

    def test_a_cut_by_right_masks_is_a_clean_background(self) -> None:
        found = evidence_of_cut(0)
        assert np.array_equal(found.seen_background, in_a_row(view.mask == 0 for view in VIEWS))
        assert not found.unknown.any()

    @large_pictures
    def test_thin_structures_are_no_reason_to_doubt_right_masks(self) -> None:
        views = with_wires(LARGE)
        assert not gather_evidence(views, BLACK, adaptive()).unknown.any()
        assert gather_evidence(cut(views, shifted_masks(views, 12)), BLACK, adaptive()).unknown.any()

    @large_pictures
    @pytest.mark.parametrize("wires", [True, False])
    def test_masks_that_are_a_few_pixels_off_are_doubted(self, wires: bool) -> None:
        views = with_wires(LARGE) if wires else LARGE
        assert gather_evidence(cut(views, shifted_masks(views, 7)), BLACK, adaptive()).unknown.any()

    def test_what_an_8_bit_picture_cannot_tell_from_the_background_is_background(self) -> None:
        image = np.full((4, 4, 3), 0.4 / 255, np.float32)
        image[1, 1] = 1 / 255
        view = replace(VIEWS[0], camera=replace(VIEWS[0].camera, width=4, height=4), image=image, mask=np.ones((4, 4)))
        found = gather_evidence((view,), BLACK, adaptive(source="none"))
        assert np.argwhere(by_view(found.seen_object, [view])[0]).tolist() == [[1, 1]]


class TestTheHull:
    @pytest.mark.parametrize("shift", [0, 5])
    def test_is_the_same_whatever_background_there_is_around_some_pictures(self, shift: int) -> None:
        views = cut(VIEWS, shifted_masks(VIEWS, shift))
        found, expected = hull_of(on_larger_canvases(views)), hull_of(views)
        assert found.floor == expected.floor
        np.testing.assert_array_equal(found.counts, expected.counts)

    def test_of_clean_views_is_the_hard_hull(self) -> None:
        assert overlap(hull_of(VIEWS).counts > 0, hard_hull(VIEWS)) > 0.99

    @pytest.mark.parametrize(
        ("shift", "targets", "enough"), [(0, "clean", 0.99), (5, "clean", 0.8), (0, "masked", 0.99), (5, "masked", 0.6)]
    )
    def test_survives_that_the_object_has_the_background_s_colour(
        self, shift: int, targets: str, enough: float
    ) -> None:
        views, true = with_a_black_cap(VIEWS), hard_hull(VIEWS)
        wrong = shifted_masks(views, shift)
        coloured = with_masks(VIEWS, [view.image.max(axis=-1) > 0 for view in views])
        assert overlap(hard_hull(coloured), true) < 0.1  # what pictures alone would leave
        assert overlap(hull_of(cut(views, wrong) if targets == "masked" else wrong).counts > 0, true) > enough

    @pytest.mark.parametrize("source", ["masks", "none"])
    def test_does_not_depend_on_masks_where_the_background_is_clean(self, source: Literal["masks", "none"]) -> None:
        wrong = shifted_masks(VIEWS, 10)
        assert np.array_equal(hull_of(wrong, source=source).counts, hull_of(VIEWS).counts)

    def test_of_photographs_and_right_masks_is_the_hard_hull(self) -> None:
        assert overlap(hull_of(with_surroundings(VIEWS)).counts > 0, hard_hull(VIEWS)) > 0.99

    def test_of_photographs_keeps_much_of_what_wrong_masks_cost_the_hard_hull(self) -> None:
        wrong = shifted_masks(with_surroundings(VIEWS), 5)
        true = hard_hull(VIEWS)
        found = hull_of(wrong).counts > 0
        assert overlap(found, true) > 0.8 > 0.5 > overlap(hard_hull(wrong), true)

    def test_of_images_that_wrong_masks_cut_is_nearly_the_true_one(self) -> None:
        found = agreeing_votes(evidence_of_cut(5), adaptive())
        assert overlap(found.counts > 0, hard_hull(VIEWS)) > 0.85

    @large_pictures
    def test_of_images_that_wrong_masks_cut_holds_thin_parts_that_few_views_show(self) -> None:
        views = with_wires(LARGE, 7)
        thin = hard_hull(views) & ~hard_hull(LARGE)
        found = hull_of(cut(views, shifted_masks(views, 24)))
        assert (found.counts > 0)[thin].mean() > 0.7 > 0.4 > (found.counts >= found.floor)[thin].mean()

    @large_pictures
    def test_of_images_that_nearly_right_masks_cut_needs_more_votes_as_added_points_make_up_for_what_is_lost(
        self,
    ) -> None:
        evidence = gather_evidence(cut(LARGE, shifted_masks(LARGE, 9)), BLACK, adaptive())
        found = agreeing_votes(evidence, adaptive())
        assert found.floor > evidence.needs.votes
        assert (found.counts[found.counts > 0] < found.floor).mean() < 0.15
        assert overlap(found.counts > 0, hard_hull(LARGE)) > 0.85

    def test_of_photographs_that_wrong_masks_cut_does_not_hold_what_these_left_of_the_surroundings(self) -> None:
        wrong = shifted_masks(with_surroundings(VIEWS), 5)
        found = hull_of(cut(with_surroundings(VIEWS), wrong))
        assert (found.counts[found.counts > 0] >= found.floor).all()

    def test_of_cut_images_of_cameras_off_centre_is_nearly_the_true_one(self) -> None:
        views = sphere_views(24, 64, 48, lens=off_centre)
        assert overlap(hull_of(cut(views, shifted_masks(views, 5))).counts > 0, hard_hull(views)) > 0.85

    def test_survives_views_that_lost_their_mask(self) -> None:
        lost = [np.full(view.mask.shape, n % 4 == 1) if n % 2 else view.mask > 0 for n, view in enumerate(VIEWS)]
        wrong = with_masks(VIEWS, lost)
        assert overlap(hull_of(cut(VIEWS, wrong)).counts > 0, hard_hull(VIEWS)) > 0.9

    def test_without_masks_and_background_holds_all_that_every_view_sees(self) -> None:
        photographs = with_surroundings(VIEWS)
        found = hull_of(photographs, source="none")
        seen = hard_hull(with_masks(VIEWS, [np.ones(view.mask.shape, bool) for view in VIEWS]))
        assert seen.any()
        assert (found.counts[seen] == len(VIEWS)).all()

    def test_does_not_depend_on_the_number_of_threads(self) -> None:
        views = cut(VIEWS, shifted_masks(VIEWS, 5))
        found, threads = [], numba.get_num_threads()
        try:
            for count in (1, numba.config.NUMBA_NUM_THREADS):
                numba.set_num_threads(count)
                found.append(hull_of(views).counts)
        finally:
            numba.set_num_threads(threads)
        assert np.array_equal(*found)

    def test_that_would_be_empty_is_an_error_that_says_what_is_expected(self) -> None:
        blank = tuple(replace(view, image=np.zeros_like(view.image), mask=np.zeros_like(view.mask)) for view in VIEWS)
        with pytest.raises(UserError, match=r"init.adaptive: found no lattice point .* expected init.bounds"):
            hull_of(blank)

    def test_is_said_to_come_of_cameras_that_look_away_if_they_do(self) -> None:
        opencv = np.diag([1.0, -1, -1, 1])
        turned = [view.camera.camera_to_world @ opencv for view in VIEWS]
        views = [
            replace(view, camera=replace(view.camera, camera_to_world=pose))
            for view, pose in zip(VIEWS, turned, strict=True)
        ]
        with pytest.raises(UserError, match=r"no lattice point .*; \d+ of \d+ cameras look away"):
            hull_of(views)


def test_pixels_that_tell_nothing_are_unknown_to_training() -> None:
    wrong = shifted_masks(VIEWS, 5)
    found = evidence_of_cut(5)
    targets = weighted_views(found, DARKENING)
    for target, view, asked in zip(targets, VIEWS, wrong, strict=True):
        inside = asked.mask > 0
        assert np.array_equal(target.weight, np.where(inside, 1, np.float32(found.unknown_weight(DARKENING))))
        assert not target.image[~inside].any()
        assert np.array_equal(target.image[inside], view.image[inside])


@pytest.mark.parametrize(
    ("shift", "cut_pixels", "least", "most"), [(0, "unknown", 1, 1), (5, "unknown", 0.6, 0.95), (5, "background", 1, 1)]
)
def test_a_start_tells_how_much_of_the_object_wrong_masks_left_in_the_images(
    shift: int, cut_pixels: str, least: float, most: float
) -> None:
    wrong = shifted_masks(VIEWS, shift)
    views = TrainingViews(wrong, cut_targets(VIEWS, wrong, BLACK), BLACK)
    found = start(adaptive(cut_pixels=cut_pixels), views, DARKENING, 0, lambda views, init: pytest.fail("asked"))
    assert least <= found.known_share(found.find_points()) <= most


def test_where_masks_alone_are_asked_the_hull_is_theirs_whatever_other_masks_have_cut_off() -> None:
    images = cut_targets(VIEWS, shifted_masks(VIEWS, 5), BLACK)
    few = with_masks(VIEWS, [np.roll(view.mask > 0, 6 * (n < 1)) for n, view in enumerate(VIEWS)])

    def hull(masks_alone: bool) -> Pixels:
        views = TrainingViews(few, images, BLACK, masks_alone)
        find_votes = start(adaptive(), views, DARKENING, 0, lambda views, init: pytest.fail("asked")).find_votes
        assert find_votes is not None
        return find_votes().counts > 0

    right = hard_hull(VIEWS)
    assert overlap(hull(True), right) > 0.95 > overlap(hull(False), right)


def halved(views: tuple[View, ...], count: int) -> tuple[View, ...]:
    """The views, of which so many masks lack their left half."""
    middle = views[0].mask.shape[1] // 2
    right = np.arange(views[0].mask.shape[1]) >= middle
    return tuple(replace(view, mask=view.mask * right) if n < count else view for n, view in enumerate(views))


def test_where_nearly_all_masks_are_right_only_what_others_cut_off_is_unknown() -> None:
    wrong = halved(VIEWS, 1)
    found = gather_evidence(cut(VIEWS, wrong), BLACK, adaptive())
    known = known_beside(found, lambda: agreeing_votes(found, adaptive()))
    lost = in_a_row((view.mask > 0) & (asked.mask == 0) for view, asked in zip(VIEWS, wrong, strict=True))
    near = in_a_row(maximum_filter(view.mask > 0, 11) for view in VIEWS)
    assert found.unknown[~near].any()
    assert known.unknown[lost].all()
    assert not known.unknown[~near].any()
    assert np.array_equal(weighted_views(known, DARKENING)[5].weight == 1, ~by_view(known.unknown, VIEWS)[5])


def test_where_more_masks_are_wrong_all_that_they_may_have_cut_off_is_unknown() -> None:
    found = gather_evidence(cut(VIEWS, halved(VIEWS, 2)), BLACK, adaptive())
    assert known_beside(found, lambda: pytest.fail("no hull is needed")) is found


@pytest.mark.parametrize(("shift", "least", "most"), [(0, 1, 1), (2, 0.2, 0.5), (5, 0.1, 0.3)])
def test_the_worse_masks_are_the_less_does_what_is_unknown_count_as_background(
    shift: int, least: float, most: float
) -> None:
    assert least <= evidence_of_cut(shift).unknown_weight(DARKENING) <= most


def test_what_darkens_less_weighs_less_where_masks_are_wrong_and_as_much_where_they_are_right() -> None:
    right, wrong = (evidence_of_cut(shift) for shift in (0, 5))
    assert right.unknown_weight(0.0001) == 1
    assert wrong.unknown_weight(0.0001) == pytest.approx(wrong.unknown_weight(0.01) / 10)


def test_surroundings_outside_wrong_masks_are_unknown_where_the_object_may_be() -> None:
    wrong = shifted_masks(with_surroundings(VIEWS), 4)
    found = gather_evidence(wrong, BLACK, adaptive())
    images = np.concatenate([view.image.reshape(-1, 3) for view in found.views])
    true, asked = (in_a_row(view.mask > 0 for view in views) for views in (VIEWS, wrong))
    assert not images[~asked].any()
    assert not (found.unknown & asked).any()
    assert found.unknown[true & ~asked].all()


def test_surroundings_outside_right_masks_are_background_to_training() -> None:
    targets = gather_evidence(with_surroundings(VIEWS), BLACK, adaptive()).views
    for target, view in zip(targets, VIEWS, strict=True):
        assert np.array_equal(target.image, np.where(view.mask[..., None] > 0, view.image, 0))


def test_a_dim_and_noisy_backdrop_is_background_whatever_the_masks() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.uniform(0, 0.06, (*view.mask.shape, 3)).astype(np.float32) for view in VIEWS]
    views = tuple(replace(view, image=np.maximum(view.image, dim)) for view, dim in zip(VIEWS, noise, strict=True))
    found = gather_evidence(shifted_masks(views, 5), BLACK, adaptive())
    assert overlap(agreeing_votes(found, adaptive()).counts > 0, hard_hull(VIEWS)) > 0.99
    assert all(not view.image[true.mask == 0].any() for view, true in zip(found.views, VIEWS, strict=True))


def test_a_dark_backdrop_with_folds_is_not_the_object() -> None:
    rng = np.random.default_rng(0)
    folds = np.zeros((*VIEWS[0].mask.shape, 1), bool)
    folds[:, :16] = True  # a quarter of each picture, and less than half of its border
    views = tuple(
        replace(
            view, image=np.where(folds & (view.mask[..., None] == 0), rng.uniform(0.02, 0.1, (48, 64, 1)), view.image)
        )
        for view in VIEWS
    )
    assert overlap(hull_of(views).counts > 0, hard_hull(VIEWS)) > 0.99
    targets = gather_evidence(views, BLACK, adaptive()).views
    assert all(np.array_equal(target.image, view.image) for target, view in zip(targets, VIEWS, strict=True))
