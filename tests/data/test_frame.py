"""The scene frame: the same scene in any unit, at any place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointrad.data.frame import SceneFrame
from tests.scenes import cube, sphere_views


def test_bounds_of_two_leave_a_scene_exactly_as_it_is() -> None:
    views = sphere_views(3)
    for before, after in zip(views, SceneFrame.of(cube(-2, 2)).views(views), strict=True):
        np.testing.assert_array_equal(after.camera.camera_to_world, before.camera.camera_to_world)


def three(low: float, high: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(low, high), min_size=3, max_size=3)


@given(three(-1e3, 1e3), three(1e-3, 1e3))
def test_bounds_become_a_box_about_the_origin_whose_longest_side_is_four(low: list[float], size: list[float]) -> None:
    corners = np.array([low, np.add(low, size)])
    frame = SceneFrame.of(tuple((float(a), float(b)) for a, b in corners.T))  # type: ignore[arg-type]
    moved = frame.from_world(corners)
    np.testing.assert_allclose(moved[0], -moved[1], atol=1e-6)
    assert (moved[1] - moved[0]).max() == pytest.approx(4, rel=1e-6)
    np.testing.assert_allclose(frame.to_world(moved), corners, rtol=1e-9, atol=1e-9)


def test_a_point_projects_into_the_same_pixel_in_both_frames() -> None:
    frame = SceneFrame.of(((-3, 1), (0, 2), (5, 6)))
    camera, point = sphere_views(1)[0].camera, np.array([0.2, -0.1, 0.3])
    world, scene = (
        (at.world_to_image @ np.append(position, 1))
        for at, position in ((camera, point), (frame.camera(camera), frame.from_world(point)))
    )
    np.testing.assert_allclose(scene[:2] / scene[2], world[:2] / world[2])
