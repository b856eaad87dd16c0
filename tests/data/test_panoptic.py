"""Video of many cameras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pointrad.data.capture import Capture
from pointrad.data.content import FileDigests, scene_content
from pointrad.data.scene import Shot, Split
from pointrad.errors import UserError
from pointrad.masks.auto import AutoMasksConfig
from pointrad.masks.iou import iou
from tests.data.captures import COUNT, FRAMES, HEIGHT, HELD_OUT, WIDTH, of, real_capture, views, write_panoptic

MASKS = AutoMasksConfig(name="auto", invert=False, threshold=None, reference=None)
CAMERAS = [n for n in range(COUNT) if n not in HELD_OUT]
META = "train_meta.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_panoptic(tmp_path_factory.mktemp("panoptic"))


def capture(folder: Path, frames: int | str | None = None) -> Capture:
    return Capture(of("panoptic", folder, frames=frames), MASKS, "tiny")


def test_cameras_are_where_the_file_says(folder: Path) -> None:
    listed = of("panoptic", folder).listing("tiny", Split.TRAIN)
    assert [photo.name for photo in listed.photos] == [f"ims/{n}/000000" for n in CAMERAS]
    for photo, n in zip(listed.photos, CAMERAS, strict=True):
        expected, lens = views()[n].camera, photo.lens(WIDTH, HEIGHT)
        np.testing.assert_allclose(photo.camera_to_world, expected.camera_to_world, rtol=0, atol=1e-9)
        np.testing.assert_allclose((lens.fx, lens.fy, lens.cx, lens.cy), expected.intrinsics, rtol=1e-12)


def test_each_frame_is_a_scene_of_its_own(folder: Path) -> None:
    frames = capture(folder).frames()
    assert [frame.time for frame in frames] == [0, 1, 2]
    scenes = [frame.load(Split.TEST) for frame in frames]
    areas = [scene.train[0].mask.sum() for scene in scenes]
    assert areas[0] > areas[1] > areas[2] > 0
    for scene in scenes:
        assert [len(scene.train), len(scene.evaluation)] == [len(CAMERAS), len(HELD_OUT)]
        assert not scene.train[0].image[scene.train[0].mask == 0].any()
    contents = {scene_content(frame, Split.TEST, FileDigests(None)).train for frame in frames}
    assert len(contents) == FRAMES


def test_held_out_photographs_without_masks_are_cut_out_by_the_hull_of_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_frame = capture(folder, 0)
    whole = of_frame.load(Split.TEST)
    assert all(view.mask.all() for view in whole.evaluation)
    np.testing.assert_allclose(whole.evaluation[0].image[0, 0], 0.5, atol=0.01)
    assert "2 photographs have none, and are cut out by the hull of" in " ".join(capsys.readouterr().err.split())
    for view, n in zip(of_frame.prepare(whole).evaluation, HELD_OUT, strict=True):
        assert iou(view.mask > 0, views()[n].mask > 0) > 0.85
        assert not view.image[view.mask == 0].any()


def test_held_out_photographs_with_masks_are_cut_out_by_these(tmp_path: Path) -> None:
    write_panoptic(tmp_path)
    for n in HELD_OUT:
        (tmp_path / f"seg/{n}").mkdir()
        Image.fromarray(views()[n].mask > 0).save(tmp_path / f"seg/{n}/000000.png")
    of_frame = capture(tmp_path, 0)
    for view, n in zip(of_frame.prepare(of_frame.load(Split.TEST)).evaluation, HELD_OUT, strict=True):
        np.testing.assert_array_equal(view.mask, views()[n].mask)


def test_masks_that_agree_on_nothing_stand_in_for_none(tmp_path: Path) -> None:
    write_panoptic(tmp_path)
    for n in CAMERAS:  # at another corner of each picture
        mask = np.zeros((HEIGHT, WIDTH), bool)
        mask[(n % 2) * (HEIGHT - 2) :, (n // 2 % 2) * (WIDTH - 2) :][:2, :2] = True
        Image.fromarray(mask).save(tmp_path / f"seg/{n}/000000.png")
    of_frame = capture(tmp_path, 0)
    with pytest.raises(
        UserError, match=r"^masks: found none of 2 photographs that are held out, and the other masks agr"
    ):
        of_frame.prepare(of_frame.load(Split.TEST))


def test_a_camera_has_the_same_place_at_every_instant(tmp_path: Path) -> None:
    mask = write_panoptic(tmp_path) / "seg/3/000001.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH), bool)).save(mask)  # that view is left out
    of_frame = capture(tmp_path, 1)
    scene = of_frame.prepare(of_frame.load(Split.TEST))
    assert scene.shots is not None
    kept = [n for n in CAMERAS if n != 3]
    assert [view.name for view in scene.train] == [f"ims/{n}/000001" for n in kept]
    assert [scene.shots[view.name] for view in scene.train] == [Shot(CAMERAS.index(n), 1) for n in kept]


def test_as_a_static_scene_it_is_its_first_instant_and_says_so(folder: Path) -> None:
    listed = of("panoptic", folder, frames="1:").listing("tiny", Split.TRAIN)
    assert [photo.name for photo in listed.photos] == [f"ims/{n}/000001" for n in CAMERAS]
    assert listed.remarks == ("the capture moves: of 2 instants this is the first, dataset.frames=1",)


def test_what_is_said_of_all_frames_is_said_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for frame in capture(folder).frames():
        frame.load(Split.TEST)
    assert capsys.readouterr().err.count("seg/NAME.png") == 1


def test_a_missing_photograph_is_missed_in_its_own_frame_alone(tmp_path: Path) -> None:
    (write_panoptic(tmp_path) / "ims/3/000001.png").unlink()
    first, second, third = capture(tmp_path).frames()
    for whole in (first, third):
        whole.load(Split.TEST)
    with pytest.raises(UserError, match=r"ims/3/000001\.png: no such file; expected the picture of frame '3/000001"):
        second.load(Split.TEST)


def test_a_training_photograph_without_a_mask_is_refused(tmp_path: Path) -> None:
    (write_panoptic(tmp_path) / "seg/3/000001.png").unlink()
    with pytest.raises(
        UserError, match=r"found masks of 6 of 7 photographs in .*seg.*; .* none is there of 000001\.png"
    ):
        capture(tmp_path, 1).load(Split.TEST)


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    mask = write_panoptic(tmp_path) / "seg/3/000001.png"
    Image.fromarray(np.ones((HEIGHT, HEIGHT), bool)).save(mask)
    with pytest.raises(UserError, match=r"seg/3/000001\.png: found 24x24 pixels; expected the 32x24 of 000001\.png"):
        capture(tmp_path, 1).load(Split.TEST)


ROTATED = np.diag([1.0, 1, 2, 1]).tolist()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"w": 0}, r"w: found 0; expected: input should be greater than or equal to 1"),
        ({"fn": []}, r"fn: found none; expected at least one"),
        ({"fn": [[]]}, r"fn\.0: found none; expected at least one"),
        ({"w2c": [[]] * 3}, r"top level: found .*; expected: w2c, for each frame as many as fn has names"),
        ({"fn": [["no/such.png"] * 7] * 3}, r"ims/no/such\.png: no such file"),
        ({"fn": [["1/000000.png"] * 7] * 3}, r"found 'ims/1/000000' more than once"),
        ({"w2c": [[ROTATED] * 7] * 3}, r"w2c of '1/000000\.png': found columns that are not orthonormal"),
        ({"k": [[np.eye(3)[::-1].tolist()] * 7] * 3}, r"k of '1/000000\.png': found .*; expected \[\[fx, 0, cx\]"),
        ({"h": 2 * HEIGHT}, r"w, h: found 32x48 pixels; expected the picture's 32x24"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_named(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        capture(write_panoptic(tmp_path, **changed)).load(Split.TEST)


def test_a_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    file = write_panoptic(tmp_path) / META
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"train_meta\.json: found malformed JSON \(.*\); expected a JSON object"):
        capture(tmp_path).frames()


def test_so_are_held_out_cameras_of_another_number_of_frames(tmp_path: Path) -> None:
    file = write_panoptic(tmp_path) / "test_meta.json"
    meta = json.loads(file.read_text())
    file.write_text(json.dumps(meta | {key: meta[key][:2] for key in ("k", "w2c", "fn")}))
    with pytest.raises(UserError, match=r"test_meta\.json: found 2 frames; expected the 3 of train_meta\.json"):
        capture(tmp_path).load(Split.TEST)


def test_other_splits_than_its_own_are_refused(folder: Path) -> None:
    with pytest.raises(
        UserError, match=r"^eval\.split: found val; a capture has no such split, expected test or train"
    ):
        capture(folder).load(Split.VAL)


def test_basketball_has_the_views_that_its_readme_tells_of() -> None:
    frames = Capture(of("panoptic", real_capture("basketball")), MASKS, "basketball").frames()
    assert len(frames) == 24
    photos, masks = frames[-1].photos(Split.TEST), frames[-1].given_masks(Split.TEST)
    assert len(photos) == 31
    assert [photo.name for photo in photos if masks.lacks(photo)] == [f"ims/{n}/000023" for n in (0, 10, 15, 30)]
