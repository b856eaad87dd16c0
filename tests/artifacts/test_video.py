"""The turntable: where its cameras stand and what the file holds."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pointrad.artifacts.config import TurntableConfig
from pointrad.artifacts.paths import turntable_cameras
from pointrad.artifacts.video import write_video
from pointrad.data.poses import upward
from tests.scenes import camera, look_at, off_centre, ring, turned_and_sized

CONFIG = TurntableConfig(frames=8, fps=10, elevation_degrees=30)


def test_cameras_circle_the_centre_at_the_median_distance() -> None:
    training = [camera(pose) for radius in (2.0, 3.0, 9.0) for pose in ring(3, radius)]
    centre = np.array([0.0, 0.0, 0.0])
    cameras = turntable_cameras(training, CONFIG)
    assert len(cameras) == 8
    for at in cameras:
        assert np.linalg.norm(at.position - centre) == pytest.approx(3)
        assert at.position[2] == pytest.approx(3 * np.sin(np.radians(30)))
        np.testing.assert_allclose(at.camera_to_world, look_at(at.position, centre), atol=1e-12)
        assert (at.focal, at.width, at.height) == (training[0].focal, 32, 24)
    assert len({tuple(np.round(at.position, 6)) for at in cameras}) == 8


def test_it_is_centred_with_square_pixels_whatever_the_first_camera_is() -> None:
    training = [off_centre(camera(pose)) for pose in ring(3)]
    for at in turntable_cameras(training, CONFIG):
        assert at.intrinsics == (training[0].focal, training[0].focal, 16, 12)


def test_of_cameras_of_several_sizes_it_has_that_of_most() -> None:
    training = [turned_and_sized(n, pose) for n, pose in zip((2, 1, 0, 1), ring(4), strict=True)]
    for at in turntable_cameras(training, CONFIG):
        assert (at.focal, at.width, at.height) == (training[1].focal, 24, 32)


def test_another_centre_is_looked_at() -> None:
    centre = (0.5, -0.2, 0.3)
    for at in turntable_cameras([camera(pose) for pose in ring(3)], CONFIG, centre):
        np.testing.assert_allclose(at.camera_to_world, look_at(at.position, np.array(centre)), atol=1e-12)


def test_up_is_where_pictures_are_level_in_any_world() -> None:
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", [0.7, -1.9, 0.4]).as_matrix()
    up = turn[:3, 2]
    np.testing.assert_allclose(upward([camera(turn @ pose) for pose in ring(7)]), up, atol=1e-12)
    for at in turntable_cameras([camera(turn @ pose) for pose in ring(4)], CONFIG):
        assert at.position @ up == pytest.approx(3 * np.sin(np.radians(30)))
        assert abs(at.camera_to_world[:3, 0] @ up) < 1e-9


def test_up_is_that_of_the_pictures_where_all_cameras_look_the_same_way() -> None:
    poses = [look_at(np.array([4.0, 0.1 * n, 0.0]), np.array([0.0, 0.1 * n, 0.0])) for n in range(3)]
    np.testing.assert_allclose(upward([camera(pose) for pose in poses]), [0, 0, 1], atol=1e-12)


def test_the_video_has_every_frame_at_an_even_size(tmp_path: Path) -> None:
    cameras = turntable_cameras([camera(pose, 65, 47) for pose in ring(3)], CONFIG)
    shades = {id(at): index / 8 for index, at in enumerate(cameras)}
    path = tmp_path / "turntable.mp4"
    write_video(path, lambda cameras: [np.full((47, 65, 3), shades[id(at)]) for at in cameras], cameras, fps=10)
    frames = imageio.imread(path, plugin="FFMPEG")
    properties = imageio.immeta(path, plugin="FFMPEG")
    assert frames.shape == (8, 48, 66, 3)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), 255 * np.arange(8) / 8, atol=3)
    assert (properties["codec"], properties["pix_fmt"].split("(")[0], properties["fps"]) == ("h264", "yuv420p", 10)


def test_no_frames_make_no_video(tmp_path: Path) -> None:
    write_video(tmp_path / "turntable.mp4", lambda _: [], [], fps=10)
    assert not list(tmp_path.iterdir())


def test_a_failing_render_leaves_no_file(tmp_path: Path) -> None:
    cameras = turntable_cameras([camera(pose) for pose in ring(3)], CONFIG)
    with pytest.raises(ZeroDivisionError):
        write_video(tmp_path / "turntable.mp4", lambda _: (1 / 0 for _ in cameras), cameras, fps=10)
    assert not list(tmp_path.iterdir())
