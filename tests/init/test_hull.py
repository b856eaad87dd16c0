"""The hull is the plain count over points and views, only faster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointrad.data.scene import Split, View
from pointrad.errors import UserError
from pointrad.init.config import HullConfig, RandomConfig
from pointrad.init.hull import hull_votes, votes_needed
from pointrad.init.points import InitialPoints, colours_seen, initialise, scatter
from pointrad.init.votes import Lattice, Votes, count_votes
from tests.captures import blender
from tests.init.plain import NO_MARGIN, views_and_lattice, votes_of_one_view
from tests.scenes import camera, cube, ring, sphere_view, sphere_views, turned_and_sized, turned_away


def hull_config(**changes: object) -> HullConfig:
    values = {"name": "hull", "lattice": 24, "bounds": [-1, 1], "consistency": 1.0, "kept_share": 0.5}
    return HullConfig.model_validate({**values, "jitter": 0.0, **NO_MARGIN, **changes})


def start(views: list[View], config: HullConfig, seed: int) -> InitialPoints:
    return initialise(views, hull_votes(views, config), config, seed)


@settings(max_examples=25, deadline=None)
@given(views_and_lattice(), st.integers(0, 4))
def test_counts_equal_the_plain_count_of_points_and_views(case: tuple[list[View], Lattice, float], floor: int) -> None:
    views, lattice, margin = case
    expected = sum(votes_of_one_view(view, lattice, margin).astype(np.uint16) for view in views)
    votes = count_votes(views, lattice, margin, floor)
    np.testing.assert_array_equal(votes.counts, np.where(expected >= floor, expected, 0))
    assert votes.counts.dtype == np.uint16


@settings(max_examples=10, deadline=None)
@given(views_and_lattice())
def test_counts_are_as_exact_where_others_say_that_they_are_needed(case: tuple[list[View], Lattice, float]) -> None:
    views, lattice, margin = case
    others = count_votes(views[:1], lattice, margin).counts
    expected = count_votes(views, lattice, margin).counts
    found = count_votes(views, lattice, margin, among=others).counts
    np.testing.assert_array_equal(found[others > 0], expected[others > 0])


def test_no_count_is_taken_in_blocks_where_none_is_needed() -> None:
    views, lattice = sphere_views(4, 48, 36), Lattice(96, cube(-1.2, 1.2))
    others = np.zeros(lattice.shape, np.uint16)
    others[50, 50, 50] = 1
    counts = count_votes(views, lattice, 0.05, among=others).counts
    assert counts[50, 50, 50] == 4
    assert not counts[:32].any()


def test_counts_of_the_sphere_equal_the_plain_count_in_large_blocks() -> None:
    views, lattice = sphere_views(4, 48, 36), Lattice(36, cube(-1.2, 1.2))
    expected = sum(votes_of_one_view(view, lattice, 0.05).astype(np.uint16) for view in views)
    np.testing.assert_array_equal(count_votes(views, lattice, 0.05).counts, expected)


def test_the_hard_hull_of_a_sphere_holds_it_and_little_more() -> None:
    lattice = Lattice(40, cube(-1, 1))
    counts = count_votes(sphere_views(12, 64, 64, radius=0.6), lattice, 0.05, floor=12).counts
    line = -1 + 2 * np.arange(40) / 40
    distance = np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2)
    assert (counts[distance < 0.6] == 12).all()
    assert not counts[distance > 0.8].any()


def test_a_projection_just_outside_the_image_votes_and_one_farther_out_does_not() -> None:
    view = replace(sphere_view(camera(np.eye(4), 20, 10)), mask=np.zeros((10, 20), np.float32))
    view = replace(view, camera=replace(view.camera, fx=10.0, fy=10.0))
    lattice = Lattice(100, cube(-1.5, 1.5))  # at depth 1, u = 10 x + 10: u in [-5, 25]; margin 0.1 is 1 pixel
    row = count_votes([view], lattice, 0.1).counts[:, 50, :]
    line = -1.5 + 3 * np.arange(100) / 100
    k = int(np.argmin(np.abs(line + 1)))
    u = 10 * line / -line[k] + 10
    voted = row[:, k].astype(bool)
    assert voted.any()
    assert (voted == (((u >= -1) & (u < 0)) | ((u > 20) & (u <= 21)))).all()


def test_no_point_behind_the_camera_votes() -> None:
    view = replace(sphere_view(camera(np.eye(4))), mask=np.ones((24, 32), np.float32))
    counts = count_votes([view], Lattice(16, cube(-1, 1)), 0.05).counts
    assert counts[:, :, :8].any()
    assert not counts[:, :, 8:].any()


@pytest.mark.parametrize(
    ("views", "consistency", "needed"),
    [(100, 1.0, 100), (100, 0.9, 90), (101, 0.29, 30), (101, 0.07, 8), (100, 0.0, 1), (1, 1.0, 1), (23, 0.5, 12)],
)
def test_votes_needed_is_the_fewest_above_the_share_as_written(views: int, consistency: float, needed: int) -> None:
    assert votes_needed(views, consistency) == needed


def test_the_kept_share_is_a_random_part_of_the_hull_that_the_seed_decides() -> None:
    views = sphere_views()
    points = start(views, hull_config(kept_share=0.25), seed=3)
    assert len(points.positions) == round(0.25 * points.hull_points)
    assert len(np.unique(points.positions, axis=0)) == len(points.positions)
    assert (points.votes == points.needed).all()
    np.testing.assert_array_equal(points.positions, start(views, hull_config(kept_share=0.25), 3).positions)
    assert not np.array_equal(points.positions, start(views, hull_config(kept_share=0.25), 4).positions)


def test_at_least_one_point_is_kept() -> None:
    assert len(start(sphere_views(), hull_config(kept_share=1e-9), seed=0).positions) == 1


def test_points_of_the_surface_have_a_neighbour_outside_the_hull() -> None:
    views, lattice = sphere_views(), Lattice(24, cube(-1, 1))
    votes = hull_votes(views, hull_config())
    points = initialise(views, votes, hull_config(kept_share={"points": 10**6, "of": "surface"}), seed=0)
    hull = np.pad(votes.counts > 0, 1)
    steps = [(axis, shift) for axis in range(3) for shift in (-1, 1)]
    buried = np.logical_and.reduce([np.roll(hull, shift, axis) for axis, shift in steps])
    expected = np.argwhere((hull & ~buried)[1:-1, 1:-1, 1:-1])
    np.testing.assert_array_equal(points.positions, lattice.positions(expected))


def test_the_whole_lattice_has_a_surface_too() -> None:
    views, lattice = sphere_views(), Lattice(6, cube(-0.1, 0.1))
    votes = Votes(lattice, np.ones(lattice.shape, np.uint16), len(views), 1)
    config = hull_config(kept_share={"points": 10**6, "of": "surface"})
    assert len(initialise(views, votes, config, seed=0).positions) == 6**3 - 4**3


def test_jitter_moves_the_kept_points_by_at_most_that_many_lattice_steps() -> None:
    views = sphere_views()
    still, moved = (start(views, hull_config(jitter=jitter), seed=0) for jitter in (0.0, 2.0))
    steps = np.abs(moved.positions - still.positions) / (2 / 24)
    assert 1.9 < steps.max() <= 2 + 1e-5
    np.testing.assert_array_equal(moved.votes, still.votes)


def test_a_colour_is_the_mean_of_the_views_that_see_the_point() -> None:
    red, blue, behind = (sphere_view(camera(pose)) for pose in ring(3))
    red = replace(red, image=np.full_like(red.image, (1, 0, 0)))
    blue = replace(blue, image=np.full_like(blue.image, (0, 0, 1)))
    behind = replace(behind, camera=turned_away(behind.camera))
    points = start([red, blue, behind], hull_config(consistency=0.5), seed=0)
    np.testing.assert_allclose(points.colours, np.broadcast_to([0.5, 0, 0.5], points.colours.shape), atol=1e-6)


def test_a_colour_is_that_of_views_of_several_sizes_with_and_without_weights() -> None:
    views = [sphere_view(turned_and_sized(n, pose)) for n, pose in enumerate(ring(6))]
    views = [replace(view, image=np.full_like(view.image, shade / 5)) for shade, view in enumerate(views)]
    views[0] = replace(views[0], weight=np.zeros_like(views[0].mask))
    points = start(views, hull_config(), seed=0)
    np.testing.assert_allclose(points.colours, 0.6, atol=1e-6)


def test_a_view_colours_points_as_much_as_their_pixels_weigh_in_its_squared_error() -> None:
    red, blue = (sphere_view(camera(pose)) for pose in ring(2))
    red = replace(red, image=np.full_like(red.image, (1, 0, 0)))
    blue = replace(blue, image=np.full_like(blue.image, (0, 0, 1)), weight=np.full(blue.mask.shape, 0.5, np.float32))
    points = start([red, blue], hull_config(), seed=0)
    np.testing.assert_allclose(points.colours, np.broadcast_to([0.8, 0, 0.2], points.colours.shape), atol=1e-6)


def test_points_that_no_pixel_of_any_weight_shows_are_grey() -> None:
    views = [replace(view, weight=np.zeros_like(view.mask)) for view in sphere_views()]
    assert np.all(colours_seen(views, np.zeros((2, 3))) == 0.5)


def test_scattered_points_fill_their_bounds_evenly_and_the_seed_decides_them() -> None:
    config = RandomConfig.model_validate(
        {"name": "random", "points": 8000, "opacity": 0.1, "bounds": [[-1, 1], [0, 4], [10, 11]]}
    )
    points, again, other = (scatter(config, seed) for seed in (0, 0, 1))
    low, high = np.array(config.box).T
    within = (points.positions - low) / (high - low)
    octants, counts = np.unique(within > 0.5, axis=0, return_counts=True)
    assert (len(octants), within.min() >= 0, within.max() <= 1) == (8, True, True)
    assert counts == pytest.approx(1000, abs=150)
    assert np.all(points.colours == 0.5)
    np.testing.assert_array_equal(points.positions, again.positions)
    assert not np.array_equal(points.positions, other.positions)


def test_colours_are_bilinear_between_pixel_centres() -> None:
    view = sphere_view(camera(ring(1)[0]))
    ramp = np.broadcast_to(((np.arange(32) + 0.5) / 32)[None, :, None], (24, 32, 3)).astype(np.float32)
    points = start([replace(view, image=ramp)], hull_config(), seed=0)
    homogeneous = np.concatenate([points.positions, np.ones((len(points.positions), 1))], axis=1)
    across, _, depth = view.camera.world_to_image @ homogeneous.T
    u = view.camera.focal * across / depth + 16
    inner = (u > 0.5) & (u < 31.5)
    np.testing.assert_allclose(points.colours[inner, 0], u[inner] / 32, atol=1e-5)


def test_the_points_do_not_depend_on_the_number_of_threads() -> None:
    views, before = sphere_views(), numba.get_num_threads()
    results = []
    try:
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            results.append(start(views, hull_config(lattice=48, jitter=0.5), seed=0))
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(results[0].positions, results[1].positions)
    np.testing.assert_array_equal(results[0].colours, results[1].colours)


def test_an_empty_hull_says_which_consistency_would_hold_something() -> None:
    one, other = sphere_view(camera(ring(2)[0])), sphere_view(camera(ring(2)[1]))
    nothing = replace(other, mask=np.zeros_like(other.mask))
    views = [one, one, one, nothing]
    with pytest.raises(UserError, match=r"4 votes of 4 that 1 needs; the highest vote was 3.* below 1 "):
        start(views, hull_config(), seed=0)
    assert start(views, hull_config(consistency=0.99), seed=0).needed == 3


def test_masks_that_show_nothing_in_the_bounds_are_an_error_about_the_bounds() -> None:
    view = sphere_view(camera(ring(1)[0]))
    blank = replace(view, mask=np.zeros_like(view.mask))
    with pytest.raises(UserError, match=r"highest vote was 0; expected init\.bounds"):
        start([blank], hull_config(bounds=[-0.1, 0.1]), seed=0)


def test_an_empty_hull_before_whose_cameras_nothing_lies_is_blamed_on_their_axes() -> None:
    opencv = np.diag([1.0, -1, -1, 1])
    views = [sphere_view(camera(pose)) for pose in ring(5)]
    turned = [replace(view.camera, camera_to_world=view.camera.camera_to_world @ opencv) for view in views]
    with pytest.raises(UserError, match=r"the hull is empty.*; 5 of 5 cameras look away from the point"):
        start([replace(view, camera=at) for view, at in zip(views, turned, strict=True)], hull_config(), seed=0)


def test_the_real_hotdog_has_the_hull_it_should(real_data_root: Path) -> None:
    views = blender(real_data_root, "hotdog", background="published").load(Split.TRAIN).train[::10]
    votes = count_votes(views, Lattice(100, cube(-2, 2)), 0.05, floor=10)
    assert 18_000 < np.count_nonzero(votes.counts) < 45_000
