"""Scenes that move, one instant after another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pointrad.data.auto import AutoDatasetConfig
from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.capture import Capture
from pointrad.data.demo import DemoMovingDatasetConfig
from pointrad.data.moving import Frames, chosen
from pointrad.data.nerfstudio import NerfstudioDatasetConfig
from pointrad.data.scene import Shot, Split
from pointrad.errors import UserError
from tests import captures
from tests.captures import ALPHA
from tests.data.captures import name_of, of, real_capture, timed, write_idr, write_nerfstudio

TIMES = tuple(0.1 * n for n in range(24))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (None, range(24)),
        ("0:24:1", range(24)),
        ("::5", (0, 5, 10, 15, 20)),
        ("-2:", (22, 23)),
        ("20:99", (20, 21, 22, 23)),
        (7, (7,)),
        (-1, (23,)),
    ],
)
def test_frames_are_chosen_as_python_slices_a_list(frames: Frames | None, expected: tuple[int, ...]) -> None:
    assert chosen(frames, TIMES) == tuple(expected)


@pytest.mark.parametrize("frames", [24, -25, "24:", "5:5"])
def test_none_is_no_choice(frames: Frames) -> None:
    with pytest.raises(UserError, match=rf"^dataset\.frames: found {frames}.* of 24 instants, 0 to 23"):
        chosen(frames, TIMES)


@pytest.mark.parametrize("frames", ["", "3", "a:b", "1:2:3:4", "::0", "::-1", "1.5:", True, 1.5])
def test_what_is_no_slice_is_refused(frames: object, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="frames"):
        blender(tmp_path, frames)


def blender(root: Path, frames: object = None) -> BlenderDatasetConfig:
    keys = {"name": "blender", "root": root, "downscale": 1, "max_size": None, "background": "black"}
    return BlenderDatasetConfig.model_validate(keys | {"frames": frames})


def names(capture: Capture, split: Split) -> list[str]:
    return [photo.name for photo in capture.dataset.listing("tiny", split).photos]


def test_views_of_several_cameras_are_of_the_nearest_instant(tmp_path: Path) -> None:
    root = timed(tmp_path, train=[1, 0, 0.5, 1, 0, 0.5], test=[0.1, 0.7, 0.9])
    first, second, third = frames = Capture(blender(root), ALPHA, "tiny").frames()
    assert [frame.time for frame in frames] == [0, 0.5, 1]
    assert names(first, Split.TRAIN) == ["train/r_1", "train/r_4"]
    assert names(third, Split.TRAIN) == ["train/r_0", "train/r_3"]
    assert [names(frame, Split.TEST) for frame in (first, second, third)] == [["test/r_0"], ["test/r_1"], ["test/r_2"]]


def test_such_a_scene_shows_its_first_instant_where_it_is_taken_for_one_that_stands_still(tmp_path: Path) -> None:
    root = timed(tmp_path, train=[1, 0, 0.5, 1, 0, 0.5], test=[0, 0.5, 1])
    listed = blender(root, "1:").listing("tiny", Split.TRAIN)
    assert [photo.name for photo in listed.photos] == ["train/r_2", "train/r_5"]
    assert listed.remarks == ("the capture moves: of 2 instants this is the first, dataset.frames=1",)


def test_of_one_camera_it_shows_all_that_were_chosen(tmp_path: Path) -> None:
    root = timed(tmp_path, train=[0, 1, 2, 3, 4, 5], test=[0, 2, 4])
    listed = blender(root, "0:4").listing("tiny", Split.TRAIN)
    assert [photo.name for photo in listed.photos] == [f"train/r_{n}" for n in range(4)]
    assert listed.remarks == ("frames have times (from 0 to 3); what moves is taken for something that stands still",)


def dynamic(folder: Path, **of_file: Any) -> NerfstudioDatasetConfig:
    """A transforms.json of nine frames at three instants."""
    write_nerfstudio(folder, {n: {"time": 0.5 * (n // 3)} for n in range(9)}, **of_file)
    layout = of("nerfstudio", folder, holdout=3)
    assert isinstance(layout, NerfstudioDatasetConfig)
    return layout


def test_so_it_is_in_nerfstudios_layout_whose_cameras_are_held_out_at_every_instant(tmp_path: Path) -> None:
    first, _, third = Capture(dynamic(tmp_path), ALPHA, "tiny").frames()
    assert names(first, Split.TRAIN) == ["images/r_01", "images/r_02"]
    assert [names(frame, Split.TEST) for frame in (first, third)] == [["images/r_00"], ["images/r_06"]]


def test_or_as_its_file_says(tmp_path: Path) -> None:
    paths = [f"images/{name_of(n)}" for n in range(9)]
    layout = dynamic(tmp_path, train_filenames=paths[1:], test_filenames=paths[:1])
    first, second, _ = Capture(layout, ALPHA, "tiny").frames()
    assert names(first, Split.TRAIN) == ["images/r_01", "images/r_02"]
    assert names(second, Split.TRAIN) == ["images/r_03", "images/r_04", "images/r_05"]
    assert [names(frame, Split.TEST) for frame in (first, second)] == [["images/r_00"], []]


def test_in_a_window_each_photograph_keeps_its_camera_and_its_instant(tmp_path: Path) -> None:
    root = timed(tmp_path, train=[0, 1, 2, 3, 4, 5], test=[0, 2, 4])
    first, second, *_ = Capture(blender(root), ALPHA, "tiny").frames(window=1)
    of_first, of_second = (frame.prepare(frame.load(Split.TEST)).shots for frame in (first, second))
    assert of_first == {"train/r_0": Shot(0, 0), "train/r_1": Shot(1, 1)}
    assert of_second == {"train/r_0": Shot(0, 0), "train/r_1": Shot(1, 1), "train/r_2": Shot(2, 2)}


def test_an_instant_of_which_no_view_is_held_out_has_none(tmp_path: Path) -> None:
    root = timed(tmp_path, train=[0, 1, 2, 3, 4, 5], test=[0, 2, 4])
    scene = Capture(blender(root, 1), ALPHA, "tiny").load(Split.TEST)
    assert [len(scene.train), len(scene.evaluation)] == [1, 0]


def test_a_held_out_view_that_does_not_say_when_it_was_taken_is_refused(tmp_path: Path) -> None:
    root = timed(tmp_path, train=[0, 1, 2, 3, 4, 5], test=[0, None, 4])
    with pytest.raises(UserError, match=r"transforms_test\.json: time of './test/r_1': missing; expected when it was"):
        Capture(blender(root, 1), ALPHA, "tiny").load(Split.TEST)


def test_a_scene_that_stands_still_is_its_only_frame(tiny_scene_root: Path) -> None:
    for capture in (captures.blender(tiny_scene_root), captures.demo()):
        assert capture.frames() == (capture,)
        assert capture.time == 0
    with pytest.raises(UserError, match=r"^dataset\.frames: found 1; expected one of one instant, 0: the capture stan"):
        Capture(blender(tiny_scene_root, 1), ALPHA, "tiny").load(Split.TEST)


def test_so_it_is_of_a_layout_that_knows_no_times(tmp_path: Path) -> None:
    keys = {"name": "auto", "root": write_idr(tmp_path), "downscale": 1, "max_size": None, "background": "black"}
    auto = AutoDatasetConfig.model_validate(keys | {"frames": "1:3", "holdout": 4})
    with pytest.raises(UserError, match=r"^dataset\.frames: found 1:3, which is none of one instant"):
        auto.listing("tiny", Split.TRAIN)


def test_frames_that_are_all_decide_nothing(tmp_path: Path) -> None:
    assert "frames" not in blender(tmp_path).decisive()
    assert blender(tmp_path, "1:").decisive()["frames"] == "1:"


def test_the_bundled_moving_scene_has_twelve_cameras_at_ten_instants() -> None:
    keys = {"name": "demo_moving", "downscale": 1, "max_size": None, "background": "black", "frames": None}
    frames = Capture(DemoMovingDatasetConfig.model_validate(keys), ALPHA, "demo_moving").frames()
    assert [len(frames), frames[0].time, frames[-1].time] == [10, 0, 1]
    first, last = (frame.load(Split.TEST) for frame in (frames[0], frames[-1]))
    assert [len(first.train), len(first.evaluation)] == [12, 4]
    for before, after in zip(first.train, last.train, strict=True):
        np.testing.assert_array_equal(before.camera.camera_to_world, after.camera.camera_to_world)
        moved = np.abs(before.image - after.image).max(axis=-1) > 0.1
        assert 0.01 < moved.mean() < 0.2


def test_mutant_has_an_instant_for_each_of_its_views() -> None:
    root = real_capture("mutant")
    frames = Capture(blender(root), ALPHA, "mutant").frames()
    assert [len(frames), frames[0].time, frames[-1].time] == [150, 0, 1]
    held_out = [len(frame.dataset.listing("mutant", Split.TEST).photos) for frame in frames[:20]]
    assert sum(held_out) == 3
