"""What every model of mask errors has in common, and what each does to a silhouette."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from pointrad.corruption import corrupt_views
from pointrad.corruption.models import MixedCorruptionConfig
from pointrad.corruption.silhouette import object_size, signed_distance, smooth_noise
from pointrad.data.scene import Shot, View
from pointrad.masks.iou import mask_iou
from tests.corruption.models import MASK_ONLY, MODELS, corruption
from tests.scenes import camera, ring, sphere_view, sphere_views

VIEW = sphere_view(camera(ring(1)[0], 96, 72))
LEVELS = (0.0, 0.03, 0.1, 0.3, 0.6, 1.0)
seeds = st.integers(0, 2**32 - 1)
levels = st.floats(0, 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def silhouette(name: str, level: float, seed: int = 0, view: View = VIEW, **changed: Any) -> NDArray[np.bool_]:
    return corruption(name, level, **changed).corrupt(view, rng(seed)).mask > 0


def filled(value: float) -> View:
    return replace(VIEW, mask=np.full_like(VIEW.mask, value))


TRUTH = VIEW.mask > 0
AREA = np.count_nonzero(TRUTH)


@pytest.mark.parametrize("name", MODELS)
class TestEveryModel:
    def test_level_0_changes_nothing(self, name: str) -> None:
        views = sphere_views(2)
        assert corrupt_views(corruption(name, 0), views, None) is views
        soft = replace(VIEW, mask=VIEW.mask * np.float32(0.3))
        unchanged = corruption(name, 0).corrupt(soft, rng())
        np.testing.assert_array_equal(unchanged.mask, soft.mask)
        np.testing.assert_array_equal(unchanged.image, soft.image)

    def test_masks_agree_less_the_higher_the_level(self, name: str) -> None:
        views = sphere_views(12, 64, 48)
        ious = [mask_iou(corrupt_views(corruption(name, level), views, None), views) for level in LEVELS]
        assert ious == sorted(ious, reverse=True)
        assert ious[0] == 1
        assert ious[-1] < 0.6

    def test_a_view_is_corrupted_alike_however_many_others_there_are(self, name: str) -> None:
        views = sphere_views(12)
        many, few = (corrupt_views(corruption(name, 0.5), some, None) for some in (views, views[:3]))
        for a, b in zip(many, few, strict=False):
            np.testing.assert_array_equal(a.mask, b.mask)

    def test_a_camera_keeps_its_errors_in_time_or_draws_others(self, name: str) -> None:
        views = sphere_views(12)

        def masks(in_time: str, number: int, of: slice = slice(None)) -> NDArray[np.float32]:
            kind = corruption(name, 0.5, in_time=in_time)
            shots = {view.name: Shot(place, number) for place, view in enumerate(views)}
            return np.stack([view.mask for view in corrupt_views(kind, views[of], shots)])

        still = np.stack([view.mask for view in corrupt_views(corruption(name, 0.5), views, None)])
        for number in (0, 3):
            np.testing.assert_array_equal(masks("constant", number), still)
        np.testing.assert_array_equal(masks("flicker", 0), still)
        assert not np.array_equal(masks("flicker", 3), still)
        assert not np.array_equal(masks("flicker", 3), masks("flicker", 4))
        np.testing.assert_array_equal(masks("flicker", 3), masks("flicker", 3))
        # A view that is left out takes no other's errors away.
        np.testing.assert_array_equal(masks("flicker", 3, slice(5, 7)), masks("flicker", 3)[5:7])

    def test_another_seed_is_another_corruption(self, name: str) -> None:
        views = sphere_views(12)
        one, other = (corrupt_views(corruption(name, 0.5, seed=seed), views, None) for seed in (42, 43))
        assert any(not np.array_equal(a.mask, b.mask) for a, b in zip(one, other, strict=True))

    @pytest.mark.parametrize(
        "before", [VIEW, filled(0), filled(1), filled(0.5)], ids=["object", "none", "full", "soft"]
    )
    def test_the_result_is_a_mask_of_its_own(self, name: str, before: View) -> None:
        kept = before.mask.copy(), before.image.copy()
        after = corruption(name, 1).corrupt(before, rng())
        np.testing.assert_array_equal(before.mask, kept[0])
        np.testing.assert_array_equal(before.image, kept[1])
        assert after.mask.dtype == after.image.dtype == np.float32
        assert (after.mask.shape, after.image.shape) == (before.mask.shape, before.image.shape)
        assert ((after.mask >= 0) & (after.mask <= 1)).all()
        assert (after.camera, after.name, after.split) == (before.camera, before.name, before.split)


@pytest.mark.parametrize("name", MASK_ONLY)
class TestModelsOfTheMaskAlone:
    @settings(max_examples=15, deadline=None)
    @given(seed=seeds, pair=st.tuples(levels, levels))
    def test_a_higher_level_spoils_every_view_and_pixel_that_a_lower_one_does(
        self, name: str, seed: int, pair: tuple[float, float]
    ) -> None:
        lower, higher = (silhouette(name, level, seed) != TRUTH for level in sorted(pair))
        assert not (lower & ~higher).any()

    def test_the_photograph_stays(self, name: str) -> None:
        assert corruption(name, 1).corrupt(VIEW, rng()).image is VIEW.image

    def test_what_stays_keeps_its_alpha_and_what_is_new_has_1(self, name: str) -> None:
        soft = replace(VIEW, mask=VIEW.mask * np.float32(0.3))
        for seed in range(6):
            mask = corruption(name, 0.3).corrupt(soft, rng(seed)).mask
            assert np.isin(mask[TRUTH], np.array([0, 0.3], np.float32)).all()
            assert np.isin(mask[~TRUTH], [0, 1]).all()


class TestMorphology:
    @pytest.mark.parametrize("level", [0.1, 0.5, 1.0])
    def test_erosion_only_removes_and_dilation_only_adds(self, level: float) -> None:
        eroded, dilated = (silhouette("morphology", level, direction=way) for way in ("erode", "dilate"))
        assert not (eroded & ~TRUTH).any()
        assert not (TRUTH & ~dilated).any()
        assert eroded.sum() < AREA < dilated.sum()

    def test_the_radius_is_a_share_of_the_objects_size(self) -> None:
        size = object_size(TRUTH)
        expected = {
            "erode": np.sqrt(AREA / np.pi) - 0.3 * 0.5 * size,
            "dilate": np.sqrt(AREA / np.pi) + 0.2 * 0.5 * size,
        }
        for way, radius in expected.items():
            area = silhouette("morphology", 0.5, direction=way, erode=0.3, dilate=0.2).sum()
            assert np.sqrt(area / np.pi) == pytest.approx(radius, abs=0.5)

    def test_it_can_be_either(self) -> None:
        areas = {int(silhouette("morphology", 0.2, seed).sum()) for seed in range(20)}
        assert len(areas) == 2
        assert min(areas) < AREA < max(areas)

    def test_the_images_edge_is_no_contour(self) -> None:
        left = replace(VIEW, mask=(np.indices(TRUTH.shape)[1] < 40).astype(np.float32))
        eroded = silhouette("morphology", 0.2, view=left, direction="erode")
        np.testing.assert_array_equal(eroded, np.broadcast_to(eroded[0], eroded.shape))
        assert eroded[0, 0]

    @pytest.mark.parametrize("value", [0, 1])
    def test_without_a_contour_nothing_moves(self, value: float) -> None:
        for name in ("morphology", "boundary"):
            np.testing.assert_array_equal(silhouette(name, 1, view=filled(value)), bool(value))


class TestBoundary:
    def test_it_removes_and_adds(self) -> None:
        found = silhouette("boundary", 0.1)
        assert (TRUTH & ~found).any()
        assert (found & ~TRUTH).any()

    def test_it_stays_near_the_contour(self) -> None:
        changed = silhouette("boundary", 0.1) != TRUTH
        farthest = np.abs(signed_distance(TRUTH))[changed].max()
        assert farthest < 4 * 0.1 * 0.5 * object_size(TRUTH)  # four standard deviations

    def test_a_shorter_correlation_is_rougher(self) -> None:
        def perimeter(correlation: float) -> float:
            found = silhouette("boundary", 0.1, correlation=correlation)
            return float((found ^ ndimage.binary_erosion(found)).sum() / np.sqrt(found.sum()))

        assert perimeter(0.02) > 1.2 * perimeter(0.2)


class TestBlobs:
    @settings(max_examples=20, deadline=None)
    @given(seeds, levels, st.floats(0, 1))
    def test_holes_take_their_share_of_the_object_from_inside_only(
        self, seed: int, level: float, coverage: float
    ) -> None:
        found = silhouette("holes", level, seed, coverage=coverage)
        assert not (found & ~TRUTH).any()
        assert found.sum() == AREA - round(level * coverage * AREA)

    @settings(max_examples=20, deadline=None)
    @given(seeds, levels, st.floats(0, 20))
    def test_spurious_blobs_take_theirs_from_outside_only(self, seed: int, level: float, coverage: float) -> None:
        found = silhouette("spurious", level, seed, coverage=coverage)
        assert not (TRUTH & ~found).any()
        assert found.sum() == min(AREA + round(level * coverage * AREA), found.size)

    def test_smaller_blobs_are_more_blobs(self) -> None:
        def blobs(name: str, size: float) -> int:
            return int(ndimage.label(silhouette(name, 0.2, size=size) != TRUTH)[1])

        assert blobs("holes", 0.03) > blobs("holes", 0.2) >= 1
        assert blobs("spurious", 0.03) > blobs("spurious", 0.2) >= 1

    def test_beside_no_object_nothing_is_false_and_in_a_full_mask_there_is_no_outside(self) -> None:
        assert not silhouette("spurious", 1, view=filled(0)).any()
        assert silhouette("spurious", 1, view=filled(1)).all()
        assert not silhouette("holes", 1, view=filled(1)).any()


class TestDropout:
    @pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
    def test_the_level_is_the_share_of_views_that_lose_their_mask(self, level: float) -> None:
        small = sphere_views(1, 8, 6)[0]
        after = corrupt_views(corruption("dropout", level, kind="empty"), (small,) * 2000, None)
        assert np.mean([not view.mask.any() for view in after]) == pytest.approx(level, abs=0.03)

    def test_the_others_are_themselves(self) -> None:
        for view in corrupt_views(corruption("dropout", 0.5), (VIEW,) * 50, None):
            assert view is VIEW or view.mask.all() or not view.mask.any()

    @pytest.mark.parametrize(("kind", "fills"), [("empty", {0}), ("full", {1}), ("either", {0, 1})])
    def test_the_kind_says_what_a_lost_mask_is(self, kind: str, fills: set[int]) -> None:
        views = (VIEW,) * 30
        after = corrupt_views(corruption("dropout", 1, kind=kind), views, None)
        assert {int(value) for view in after for value in np.unique(view.mask > 0)} == fills


class TestMixed:
    HOLES = corruption("holes", 0.4).model_dump(exclude={"seed", "targets", "in_time"})
    TIGHT = corruption("morphology", 0.5, direction="erode").model_dump(exclude={"seed", "targets", "in_time"})
    FALSE = corruption("spurious", 0.6).model_dump(exclude={"seed", "targets", "in_time"})

    def test_the_level_scales_the_level_of_each_part(self) -> None:
        mixed = corruption("mixed", 0.5, parts={"a": self.HOLES})
        (stream,) = rng(3).spawn(1)
        expected = corruption("holes", 0.2).corrupt(VIEW, stream)
        np.testing.assert_array_equal(mixed.corrupt(VIEW, rng(3)).mask, expected.mask)

    def test_each_part_works_on_what_the_one_before_left(self) -> None:
        found = silhouette("mixed", 1, parts={"a": self.HOLES, "b": self.TIGHT})
        holed, eroded = rng().spawn(2)
        once = corruption("holes", 0.4).corrupt(VIEW, holed)
        twice = corruption("morphology", 0.5, direction="erode").corrupt(once, eroded)
        np.testing.assert_array_equal(found, twice.mask > 0)
        assert not np.array_equal(found, silhouette("mixed", 1, parts={"b": self.TIGHT, "a": self.HOLES}))

    def test_silencing_a_part_leaves_the_others_as_they_were(self) -> None:
        found = silhouette("mixed", 1, parts={"a": self.HOLES | {"level": 0}, "b": self.FALSE})
        _, stream = rng().spawn(2)
        np.testing.assert_array_equal(found, corruption("spurious", 0.6).corrupt(VIEW, stream).mask > 0)

    def test_the_affine_part_alone_moves_the_photograph(self) -> None:
        config = corruption("mixed", 1)
        assert isinstance(config, MixedCorruptionConfig)
        still = {name: part for name, part in config.parts.items() if part.name != "affine"}
        assert len(still) == len(config.parts) - 1
        assert config.model_copy(update={"parts": still}).corrupt(VIEW, rng()).image is VIEW.image
        assert not np.array_equal(config.corrupt(VIEW, rng()).image, VIEW.image)


class TestSomeViews:
    ERROR = corruption("holes", 0.5).model_dump(exclude={"seed", "targets", "in_time"})

    def test_the_level_is_the_share_of_views_that_are_spoilt_and_each_of_them_by_the_errors_own_level(self) -> None:
        small = sphere_views(1, 16, 12)[0]
        after = corrupt_views(corruption("some_views", 0.3, error=self.ERROR), (small,) * 1000, None)
        kept = np.array([np.count_nonzero(view.mask) / np.count_nonzero(small.mask) for view in after])
        assert set(kept.round(1)) == {0.5, 1}
        assert np.mean(kept < 1) == pytest.approx(0.3, abs=0.05)

    def test_a_higher_level_leaves_those_as_they_were_that_a_lower_one_spoils(self) -> None:
        views = (VIEW,) * 20
        few, many = (corrupt_views(corruption("some_views", level), views, None) for level in (0.2, 0.6))
        spoilt = [n for n, view in enumerate(few) if view is not VIEW]
        assert 0 < len(spoilt) < sum(view is not VIEW for view in many)
        for n in spoilt:
            np.testing.assert_array_equal(few[n].mask, many[n].mask)

    def test_an_error_of_level_0_is_told_to_spoil_nothing(self) -> None:
        assert corruption("some_views", 0.3).idle() == {}
        idle = corruption("some_views", 0.3, error=self.ERROR | {"level": 0}).idle()
        assert idle == {"error.coverage": "error.level=0", "error.size": "error.level=0"}


@pytest.mark.parametrize("correlation", [0, 0.5, 1, 5, 15])
def test_smooth_noise_has_deviation_1_wherever_the_image_holds_several_correlations(correlation: float) -> None:
    fields = np.stack([smooth_noise(rng(seed), (90, 110), correlation) for seed in range(30)])
    assert fields.std() == pytest.approx(1, rel=0.15)
