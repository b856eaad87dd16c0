"""The affine corruption: its geometry, its seeds, and each of its parts alone."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from pointrad.corruption import corrupt_views
from pointrad.corruption.affine import AffineCorruptionConfig, Warp
from pointrad.corruption.none import NoCorruptionConfig
from pointrad.masks.iou import mask_iou
from tests.scenes import camera, ring, sphere_view, sphere_views

PARTS = {"rotation_degrees": 90.0, "translation": 0.5, "shrink": 0.5, "grow": 1.0, "shear_degrees": 90.0}


def affine(level: float, seed: int = 42, **parts: float) -> AffineCorruptionConfig:
    """The published jitter, or the given parts of it alone."""
    jitter = dict.fromkeys(PARTS, 0.0) | parts if parts else PARTS
    return AffineCorruptionConfig(name="affine", level=level, seed=seed, targets="clean", in_time="constant", **jitter)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def reference_warp(mask: NDArray[np.float32], warp: Warp) -> NDArray[np.float32]:
    """Forward matrix as a product of rotation, the two shears and scale about the centre; inverted and resampled."""

    def matrix(*rows: tuple[float, float]) -> NDArray[np.float64]:
        return np.array(rows)

    angle = warp.rotation
    rotate = matrix((math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle)))
    shear_y = matrix((1, 0), (-math.tan(warp.shear_y), 1))
    shear_x = matrix((1, -math.tan(warp.shear_x)), (0, 1))
    inverse = np.linalg.inv(warp.scale * rotate @ shear_y @ shear_x)[::-1, ::-1]  # (x, y) -> (row, column)
    centre = (np.array(mask.shape) - 1) / 2
    offset = centre - inverse @ (centre + np.array([warp.shift_y, warp.shift_x]))
    # A ring of zeros: ndimage would otherwise cut half a pixel off at the image's edges.
    padded = np.pad(mask, 1)
    offset += 1
    return np.asarray(ndimage.affine_transform(padded, inverse, offset, mask.shape, order=0, mode="constant"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.12, 0.5, 0.8]))
def test_the_warp_is_the_affine_map_it_is_described_as(seed: int, level: float) -> None:
    view = sphere_view(camera(ring(1)[0], 200, 150))
    corruption = affine(level)
    warped = corruption.corrupt(view, rng(seed)).mask
    expected = reference_warp(view.mask, corruption.draw(rng(seed), 200, 150))
    assert np.mean(warped != expected) < 1e-3


def test_mask_and_image_move_together() -> None:
    view = sphere_view(camera(ring(1)[0]))
    warped = affine(0.3).corrupt(view, rng())
    np.testing.assert_array_equal(warped.mask > 0, warped.image.max(axis=-1) > 0)
    assert not np.array_equal(warped.mask, view.mask)
    assert (warped.camera, warped.name, warped.split) == (view.camera, view.name, view.split)
    assert warped.image.dtype == warped.mask.dtype == np.float32


def test_the_view_itself_stays_as_it_was() -> None:
    view = sphere_view(camera(ring(1)[0]))
    before = view.mask.copy(), view.image.copy()
    affine(0.5).corrupt(view, rng())
    np.testing.assert_array_equal(view.mask, before[0])
    np.testing.assert_array_equal(view.image, before[1])


def test_what_nothing_maps_to_is_empty() -> None:
    view = sphere_view(camera(ring(1)[0]))
    full = replace(view, mask=np.ones_like(view.mask), image=np.ones_like(view.image))
    warp = affine(0.4, translation=0.5).draw(rng(1), 32, 24)
    warped = affine(0.4, translation=0.5).corrupt(full, rng(1))
    rows, columns = np.indices((24, 32)) - np.array([warp.shift_y, warp.shift_x])[:, None, None]
    expected = (rows >= 0) & (rows < 24) & (columns >= 0) & (columns < 32)
    np.testing.assert_array_equal(warped.mask, expected)
    np.testing.assert_array_equal(warped.image[..., 0], expected)
    assert not expected.all()


@pytest.mark.parametrize(
    ("part", "check"),
    [
        ("rotation_degrees", lambda w: 0 < abs(w.rotation) <= math.pi / 4),
        ("translation", lambda w: 0 < abs(w.shift_x) <= 50 and 0 < abs(w.shift_y) <= 25),
        ("shrink", lambda w: 0.75 <= w.scale < 1),
        ("grow", lambda w: 1 < w.scale <= 1.5),
        ("shear_degrees", lambda w: 0 < abs(w.shear_x) <= math.pi / 4 and 0 < abs(w.shear_y) <= math.pi / 4),
    ],
)
def test_each_part_works_alone_and_within_its_jitter(part: str, check: Callable[[Warp], bool]) -> None:
    still = Warp(0, 0, 0, 1, 0, 0)
    fields = {
        "rotation_degrees": {"rotation"},
        "translation": {"shift_x", "shift_y"},
        "shear_degrees": {"shear_x", "shear_y"},
    }
    for seed in range(50):
        warp = affine(0.5, **{part: PARTS[part]}).draw(rng(seed), 200, 100)
        moved = {name for name, value in vars(warp).items() if value != getattr(still, name)}
        assert moved <= fields.get(part, {"scale"})
        assert check(warp) or (part == "translation" and 0 in (warp.shift_x, warp.shift_y))


def test_the_draws_fill_their_range() -> None:
    warps = [affine(1.0).draw(rng(seed), 100, 100) for seed in range(400)]
    scales = [warp.scale for warp in warps]
    assert 0.5 <= min(scales) < 0.53
    assert 1.96 < max(scales) <= 2
    assert -50 <= min(warp.shift_x for warp in warps) < -47
    assert math.radians(88) < max(warp.rotation for warp in warps) <= math.pi / 2


def test_silencing_a_part_leaves_the_others_as_they_were() -> None:
    both = affine(0.4, rotation_degrees=90, shear_degrees=90).draw(rng(5), 64, 64)
    alone = affine(0.4, shear_degrees=90).draw(rng(5), 64, 64)
    assert (both.shear_x, both.shear_y) == (alone.shear_x, alone.shear_y)
    assert both.rotation != alone.rotation == 0


def test_a_shear_of_90_degrees_and_scale_0_still_have_an_inverse() -> None:
    flat = affine(1, **{**PARTS, "shrink": 1.0})

    class Extreme(np.random.Generator):
        def random(self, *_: object, **__: object) -> NDArray[np.float64]:  # type: ignore[override]
            return np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])

    view = sphere_view(camera(ring(1)[0], 400, 300))
    assert np.isfinite(flat.corrupt(view, Extreme(np.random.PCG64(0))).mask).all()


def test_level_0_changes_nothing() -> None:
    views = sphere_views(2)
    assert corrupt_views(affine(0.0), views, None) is views
    np.testing.assert_array_equal(affine(0.0).corrupt(views[0], rng()).mask, views[0].mask)


def test_a_view_is_corrupted_alike_however_many_others_there_are() -> None:
    views = sphere_views(4)
    many, few = corrupt_views(affine(0.2), views, None), corrupt_views(affine(0.2), views[:2], None)
    np.testing.assert_array_equal(many[1].mask, few[1].mask)
    assert not np.array_equal(many[1].mask, corrupt_views(affine(0.2, seed=43), views, None)[1].mask)


def test_seed_42_gives_these_masks_on_every_machine() -> None:
    """A change of this checksum changes every corrupted result that was ever published with this package."""
    board = (np.indices((48, 64)) // 3).sum(axis=0) % 2  # from integers alone
    base = sphere_view(camera(ring(1)[0], 64, 48))
    views = tuple(replace(base, name=f"v{n}", mask=board.astype(np.float32)) for n in range(20))
    masks = np.stack([view.mask for view in corrupt_views(affine(0.12), views, None)]).astype(np.uint8)
    assert hashlib.sha256(masks.tobytes()).hexdigest()[:16] == "e9c8368ba4bdf31a"


def test_iou_is_the_mean_over_views_of_masks_above_0() -> None:
    view = sphere_view(camera(ring(1)[0], 4, 2))
    left = np.array([[1, 0.01, 0, 0], [0, 0, 0, 0]], np.float32)
    right = np.array([[0, 1, 1, 0], [0, 0, 0, 0]], np.float32)
    a, b = (replace(view, mask=mask) for mask in (left, right))
    assert mask_iou([a], [b]) == pytest.approx(1 / 3)
    assert mask_iou([a, b], [b, b]) == pytest.approx(2 / 3)
    empty = replace(view, mask=np.zeros_like(left))
    assert mask_iou([empty], [empty]) == 1
    with pytest.raises(ValueError, match="longer"):
        mask_iou([a], [a, b])


def test_masks_agree_less_the_higher_the_level() -> None:
    views = sphere_views(6, 64, 48)
    ious = [mask_iou(corrupt_views(affine(level), views, None), views) for level in (0.0, 0.05, 0.2, 0.6)]
    assert ious[0] == 1
    assert ious == sorted(ious, reverse=True)


def test_none_leaves_views_as_they_are() -> None:
    view = sphere_view(camera(ring(1)[0], 4, 2))
    assert (
        NoCorruptionConfig(name="none", level=0, seed=1, targets="clean", in_time="constant").corrupt(view, rng())
        is view
    )
