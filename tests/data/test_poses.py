"""What poses of another convention look like."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pointrad.camera import Camera, Float64Array
from pointrad.data.poses import check_rigid, gap_around, look_away, refuse_world_to_camera
from pointrad.errors import UserError
from tests.scenes import camera, look_at, ring

OPENCV = np.diag([1.0, -1, -1, 1])
CENTRES = [(0.0, 0.0, 0.0), (1.0, -2.0, 0.5), (40.0, -7.0, 3.0)]


def cameras(poses: Sequence[Float64Array]) -> list[Camera]:
    return [camera(pose) for pose in poses]


def around(centre: tuple[float, float, float], count: int = 12) -> list[Float64Array]:
    """Cameras that look at the centre, though not exactly."""
    rng = np.random.default_rng(0)
    positions = [np.asarray(centre) + pose[:3, 3] for pose in ring(count)]
    return [look_at(position, np.asarray(centre) + rng.normal(0, 0.05, 3)) for position in positions]


def test_cameras_around_an_object_leave_gaps_between_them_and_half_of_them_leave_a_half() -> None:
    assert gap_around(cameras(ring(12)), np.zeros(3)) == pytest.approx(30)
    assert gap_around(cameras(ring(12)[:7]), np.zeros(3)) == pytest.approx(180)


def changed(row: int, column: int, value: float) -> Float64Array:
    pose = ring(1)[0].copy()
    pose[row, column] = value
    return pose


def test_a_rotation_and_a_position_are_a_pose() -> None:
    for pose in around((40.0, -7.0, 3.0)):
        assert check_rigid(pose, "there") is pose


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        (changed(3, 3, 2), r"the bottom row \[0\.0, 0\.0, 0\.0, 2\.0\]; expected \[0, 0, 0, 1\]"),
        (
            changed(0, 0, 1.5),
            r"columns that are not orthonormal in its 3x3 part; expected a rotation \(within 0\.001\)",
        ),
        (changed(0, 0, 1e308), "columns that are not orthonormal"),
        (changed(0, 0, math.nan), "a value that is not finite; expected a rotation and a position"),
        (changed(0, 3, math.inf), "a value that is not finite"),
        (ring(1)[0] @ np.diag([-1.0, 1, 1, 1]), "a mirrored axis in its 3x3 part"),
        (ring(1)[0] @ np.diag([2.0, 2, 2, 1]), "columns that are not orthonormal"),
    ],
)
def test_anything_else_is_none(pose: Float64Array, message: str) -> None:
    with pytest.raises(UserError, match=rf"^there: found {message}"):
        check_rigid(pose, "there")


@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_of_cameras_around_an_object_there_is_nothing_to_say(count: int, centre: tuple[float, float, float]) -> None:
    refuse_world_to_camera(cameras(around(centre, count)))
    assert look_away(cameras(around(centre, count))) is None


def test_nor_of_parallel_ones() -> None:
    row = cameras([look_at(np.array([3.0, y, 0]), np.array([0.0, y, 0])) for y in (0.0, 0.1, 0.2, 0.3, 0.4)])
    refuse_world_to_camera(row)
    assert look_away(row) is None


def test_nor_of_a_panorama_and_a_room_but_that_it_looks_outwards() -> None:
    room = cameras([pose @ np.diag([-1.0, 1, -1, 1]) for pose in around((0, 0, 0))])
    refuse_world_to_camera(room)
    assert look_away(room)
    refuse_world_to_camera(cameras([look_at(np.zeros(3), -pose[:3, 3]) for pose in ring(12)]))


@pytest.mark.parametrize("centre", CENTRES)
def test_opencv_axes_are_recognised(centre: tuple[float, float, float]) -> None:
    poses = cameras([pose @ OPENCV for pose in around(centre)])
    refuse_world_to_camera(poses)
    assert "12 of 12 cameras look away from the point" in str(look_away(poses))


@pytest.mark.parametrize("axes", [np.eye(4), OPENCV])
@pytest.mark.parametrize("centre", CENTRES)
def test_world_to_camera_is_refused(centre: tuple[float, float, float], axes: Float64Array) -> None:
    poses = [np.linalg.inv(pose @ axes) for pose in around(centre)]
    with pytest.raises(UserError, match=r"^transform_matrix: the poses look like world-to-camera"):
        refuse_world_to_camera(cameras(poses))
