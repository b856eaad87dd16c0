"""One projection: numbers, arrays, tensors and kernels agree with the matrices of a textbook."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pointrad.camera import Camera, Float64Array, to_pixels, to_slopes
from pointrad.render.projection import pixel_directions, project
from tests.scenes import camera, look_at, off_centre, ring

compiled = numba.njit(error_model="numpy")(to_pixels)
sizes = st.integers(1, 4000)
lengths = st.floats(1e-2, 1e5)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    width, height = draw(sizes), draw(sizes)
    cx, cy = draw(st.floats(-0.5, 1.5)) * width, draw(st.floats(-0.5, 1.5)) * height
    fx = width * draw(st.floats(0.3, 5.0))
    pose = look_at(np.array([draw(st.floats(1, 4)), draw(st.floats(1, 4)), draw(st.floats(-4, 4))]))
    return Camera(pose, fx, fx * draw(st.floats(0.5, 2.0)), cx, cy, width, height)


def by_matrices(at: Camera, points: Float64Array) -> Float64Array:
    """[2, N] pixel coordinates of world points [3, N], with K and [R t] as in OpenCV."""
    k = np.array([[at.fx, 0, at.cx], [0, at.fy, at.cy], [0, 0, 1]])
    world_to_camera = np.diag([1.0, -1.0, -1.0, 1.0]) @ np.linalg.inv(at.camera_to_world)
    u, v, w = k @ world_to_camera[:3] @ np.concatenate([points, np.ones((1, points.shape[1]))])
    return np.stack([u / w, v / w])


@settings(deadline=None)  # compiles at its first example
@given(cameras(), st.integers(0, 2**32 - 1))
def test_projections_are_those_of_matrices(at: Camera, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-0.5, 0.5, (3, 20))
    expected = by_matrices(at, points)
    tolerance = {"rtol": 1e-9, "atol": 1e-8 * (at.fx + at.fy)}
    x, y, z = at.world_to_image @ np.concatenate([points, np.ones((1, 20))])
    np.testing.assert_allclose(np.stack(to_pixels(x, y, z, at.intrinsics)), expected, **tolerance)
    u, v, depth = project(torch.from_numpy(points), at)
    np.testing.assert_allclose(torch.stack([u, v]).numpy(), expected, **tolerance)
    np.testing.assert_allclose(depth.numpy(), z)
    for n in range(20):
        assert compiled(x[n], y[n], z[n], at.intrinsics) == to_pixels(x[n], y[n], z[n], at.intrinsics)


@given(cameras(), st.floats(-2, 2), st.floats(-2, 2))
def test_slopes_are_the_inverse(at: Camera, x: float, y: float) -> None:
    u, v = to_pixels(x, y, 1.0, at.intrinsics)
    assert to_slopes(u, v, at.intrinsics) == pytest.approx((x, y), rel=1e-6, abs=1e-6)


@given(lengths, sizes, sizes, st.floats(-9, 9), st.floats(-9, 9), st.floats(0.1, 9))
def test_a_centred_camera_has_the_bits_of_the_formula_with_one_focal_length(
    focal: float, width: int, height: int, x: float, y: float, z: float
) -> None:
    at = Camera.centred(np.eye(4), focal, width, height)
    assert to_pixels(x, y, z, at.intrinsics) == (focal * x / z + width / 2, focal * y / z + height / 2)
    assert at.focal == focal


def test_rays_through_pixel_centres_are_seen_there() -> None:
    at = off_centre(camera(ring(3)[1], 9, 7))
    rays = pixel_directions(at, torch.device("cpu"), torch.float64).reshape(3, -1)
    points = torch.from_numpy(at.position)[:, None] + 2.5 * rays
    u, v, _ = project(points, at)
    rows, columns = np.mgrid[:7, :9]
    np.testing.assert_allclose(u.numpy(), columns.ravel() + 0.5)
    np.testing.assert_allclose(v.numpy(), rows.ravel() + 0.5)


def test_at_a_lower_resolution_all_is_seen_at_the_same_share_of_the_image() -> None:
    at = off_centre(camera(ring(3)[1], 96, 72))
    lower = at.averaged(3)
    u, v = to_pixels(0.3, -0.2, 2.0, at.intrinsics)
    assert to_pixels(0.3, -0.2, 2.0, lower.intrinsics) == pytest.approx((u / 3, v / 3))
    assert (lower.width, lower.height) == (32, 24)
    np.testing.assert_array_equal(lower.camera_to_world, at.camera_to_world)


def test_a_block_of_a_lower_resolution_is_where_its_pixels_are_though_some_at_the_edge_fill_none() -> None:
    at = off_centre(camera(ring(3)[1], 97, 74))
    u, v = to_pixels(0.3, -0.2, 2.0, at.intrinsics)
    assert to_pixels(0.3, -0.2, 2.0, at.averaged(3).intrinsics) == pytest.approx((u / 3, v / 3))
    assert (at.averaged(3).width, at.averaged(3).height) == (32, 24)


def test_a_mean_focal_length_lies_between_those_of_the_axes() -> None:
    assert replace(camera(np.eye(4)), fx=100.0, fy=400.0).focal == pytest.approx(200)
