"""transforms.json of nerfstudio and instant-ngp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pointrad.data.capture import Capture
from pointrad.data.photo import IgnoreMask, Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError
from pointrad.masks.auto import AutoMasksConfig
from pointrad.masks.none import NoMasksConfig
from tests.data.captures import HEIGHT, WIDTH, name_of, of, real_capture, write_nerfstudio

Frames = dict[int, dict[str, Any]]

SPLIT = "transforms.json says which views are held out; dataset.holdout has no effect"


def listing(folder: Path, split: Split = Split.TRAIN) -> Listing:
    return of("nerfstudio", folder).listing("tiny", split)


def numbers(listed: Listing) -> list[int]:
    return [int(photo.name[-2:]) for photo in listed.photos]


def test_each_frame_may_have_a_camera_of_its_own(tmp_path: Path) -> None:
    own: Frames = {1: {"fl_x": 50.0, "fl_y": 60.0, "w": 64, "h": 48, "cx": 30, "cy": 20, "k1": 0.25}}
    first, second, *_ = listing(write_nerfstudio(tmp_path, own)).photos
    assert (first.name, second.name) == ("images/r_01", "images/r_02")
    lens = first.lens(64, 48)
    assert (lens.fx, lens.fy, lens.cx, lens.cy, lens.distortion[0]) == (50, 60, 30, 20, 0.25)
    assert second.lens(WIDTH, HEIGHT).is_pinhole


def test_a_files_lens_may_be_a_fisheye(tmp_path: Path) -> None:
    said = {"camera_model": "OPENCV_FISHEYE", "k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4}
    lens = listing(write_nerfstudio(tmp_path, **said)).photos[0].lens(WIDTH, HEIGHT)
    assert (lens.fisheye, lens.distortion) == (True, (0.1, 0.2, 0.3, 0.4))


def test_other_lenses_are_refused_by_name(tmp_path: Path) -> None:
    photo = listing(write_nerfstudio(tmp_path, camera_model="FISHEYE624")).photos[0]
    with pytest.raises(
        UserError, match=r"transforms\.json: camera_model: found 'FISHEYE624'; expected one of PINHOLE, "
    ):
        photo.lens(WIDTH, HEIGHT)


def test_paths_may_lack_a_suffix_or_be_whole(tmp_path: Path) -> None:
    own: Frames = {1: {"file_path": "./images/r_01"}, 2: {"file_path": str(tmp_path / "images" / "r_02.png")}}
    first, second, *_ = listing(write_nerfstudio(tmp_path, own)).photos
    assert (first.name, first.path) == ("images/r_01", tmp_path / "images" / "r_01.png")
    assert (second.name, second.path) == ("images/r_02", tmp_path / "images" / "r_02.png")


@pytest.mark.parametrize("folder", ["/home/someone/cup/images/", "./data/images/", "..\\photos\\", ""])
def test_pictures_are_found_whose_paths_are_of_another_machine_or_format_with_a_remark(
    folder: str, tmp_path: Path
) -> None:
    elsewhere: Frames = {n: {"file_path": f"{folder}r_{n:02}.jpeg"} for n in range(9)}
    listed = listing(write_nerfstudio(tmp_path, elsewhere))
    assert numbers(listed) == [1, 2, 3, 5, 6, 7]
    assert (listed.photos[0].name, listed.photos[0].path) == ("images/r_01", tmp_path / "images" / "r_01.png")
    assert listed.remarks == (
        f"9 of 9 pictures are not where they are said to be, the first {folder}r_00.jpeg; took those whose paths end "
        "like theirs, the first images/r_00.png",
    )


def test_no_picture_is_taken_for_two_frames(tmp_path: Path) -> None:
    elsewhere: Frames = {n: {"file_path": f"/{n}/images/r_01.png"} for n in (1, 2)}
    assert listing(write_nerfstudio(tmp_path, elsewhere)).remarks == (
        "2 of 9 frames have no picture and are left out, the first /1/images/r_01.png",
    )


def test_frames_without_a_picture_are_left_out_with_a_remark(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path)
    for n in (3, 5):
        (tmp_path / "images" / name_of(n)).unlink()
    listed = [listing(tmp_path, split) for split in (Split.TRAIN, Split.TEST)]
    assert sorted(numbers(listed[0]) + numbers(listed[1])) == [0, 1, 2, 4, 6, 7, 8]
    for one in listed:
        assert one.remarks == ("2 of 9 frames have no picture and are left out, the first images/r_03.png",)


def test_if_none_has_a_picture_that_is_an_error(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path)
    (tmp_path / "images").rename(tmp_path / "photographs")
    with pytest.raises(
        UserError, match=r"frames: found no picture of any of its 9 frames, the first of them .*r_00\.png"
    ):
        listing(tmp_path)


def test_black_pixels_of_mask_path_are_ignored(tmp_path: Path) -> None:
    photos = listing(write_nerfstudio(tmp_path, {1: {"mask_path": f"masks/{name_of(1)}"}})).photos
    assert photos[0].ignore == IgnoreMask(tmp_path / "masks" / name_of(1), ignores_black=True)
    assert photos[1].ignore is None
    write_nerfstudio(tmp_path, {1: {"mask_path": "masks/none.png"}})
    with pytest.raises(
        UserError, match=r"mask_path of 'images/r_01\.png': found 'masks/none\.png'; expected a file, but"
    ):
        listing(tmp_path)


def test_a_mask_path_that_names_the_objects_mask_leaves_nothing_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nerfstudio(tmp_path, {n: {"mask_path": f"masks/{name_of(n)}"} for n in range(9)})
    beside, whole = (
        Capture(of("nerfstudio", tmp_path), masks, "tiny").load(Split.TEST)
        for masks in (
            AutoMasksConfig(name="auto", invert=False, threshold=None, reference=None),
            NoMasksConfig(name="none", threshold=None, reference=None),
        )
    )
    assert all(view.weight is None for view in (*beside.train, *beside.evaluation))
    assert all(view.weight is not None and not view.used.all() for view in (*whole.train, *whole.evaluation))
    assert (
        "masks/NAME.png; mask_path names them as well, so what is not the object is background"
        in capsys.readouterr().err
    )


def test_pixels_that_are_not_black_in_a_dynamic_mask_are_ignored(tmp_path: Path) -> None:
    path = write_nerfstudio(tmp_path) / "images" / "dynamic_mask_r_01.png"
    Image.new("L", (WIDTH, HEIGHT)).save(path)
    photos = listing(tmp_path).photos
    assert photos[0].ignore == IgnoreMask(path, ignores_black=False)
    assert photos[1].ignore is None
    write_nerfstudio(tmp_path, {1: {"mask_path": f"masks/{name_of(1)}"}})
    with pytest.raises(
        UserError, match=r"mask_path of .*, and dynamic_mask_r_01\.png beside the picture; expected one"
    ):
        listing(tmp_path)


def paths(*chosen: int) -> list[str]:
    return [f"images/{name_of(n)}" for n in chosen]


def test_the_file_may_split_the_frames(tmp_path: Path) -> None:
    said = {"train_filenames": paths(8, 0, 1, 2), "val_filenames": paths(3), "test_filenames": paths(5, 4)}
    write_nerfstudio(tmp_path, **said)
    assert numbers(listing(tmp_path, Split.TRAIN)) == [0, 1, 2, 8]
    assert numbers(listing(tmp_path, Split.VAL)) == [3]
    assert numbers(listing(tmp_path, Split.TEST)) == [4, 5]
    assert listing(tmp_path).remarks == (SPLIT,)


@pytest.mark.parametrize("tests", [{}, {"test_filenames": []}])
def test_without_test_frames_the_validation_frames_are_held_out_with_a_remark(
    tests: dict[str, list[str]], tmp_path: Path
) -> None:
    write_nerfstudio(tmp_path, train_filenames=paths(0, 1), val_filenames=paths(3), **tests)
    listed = listing(tmp_path, Split.TEST)
    assert numbers(listed) == [3]
    assert listed.remarks == ("test_filenames is missing; val_filenames are held out in its place", SPLIT)


def test_frames_that_are_trained_on_and_held_out_are_worth_a_remark(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path, train_filenames=paths(0, 1, 2), test_filenames=paths(1, 2))
    assert listing(tmp_path).remarks == ("2 frames are in train_filenames and in test_filenames", SPLIT)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"test_filenames": paths(1)}, r"train_filenames: missing; expected .* that the file has: test$"),
        (
            {"train_filenames": ["images/r_77.png"]},
            r"train_filenames: found 'images/r_77\.png'; expected the file_path of",
        ),
        ({"train_filenames": [3]}, r"train_filenames\.0: found 3; expected: input should be a valid string"),
        ({"frames": []}, r"frames: found none; expected at least one"),
        ({"fl_x": -3}, r"fl_x: found -3; expected: input should be greater than 0"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(said: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"transforms\.json: {message}"):
        listing(write_nerfstudio(tmp_path, **said))


MIRRORED = [[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"transform_matrix": MIRRORED}, r"transform_matrix of 'images/r_01\.png': found a mirrored axis"),
        ({"transform_matrix": MIRRORED[:3]}, r"frames\.1\.transform_matrix\.3: missing"),
        (
            {"file_path": f"images/{name_of(2)}"},
            r"frames: found 'images/r_02' more than once; expected each image once",
        ),
        ({"file_path": "a\0b"}, r"frames\.1\.file_path: found .*the path of an image"),
        ({"mask_path": "m" * 300}, r"frames\.1\.mask_path: found .*the path of an image"),
    ],
)
def test_what_is_wrong_in_a_frame_is_named(own: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"transforms\.json: {message}"):
        listing(write_nerfstudio(tmp_path, {1: own}))


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text('{"frames": [')
    with pytest.raises(UserError, match=r"transforms\.json: found malformed JSON .*; expected a JSON object"):
        listing(tmp_path)


def test_the_fox_has_50_photographs_of_67_frames() -> None:
    folder = real_capture("fox")
    listed = [of("nerfstudio", folder, holdout=8).listing("fox", split) for split in (Split.TRAIN, Split.TEST)]
    assert [len(one.photos) for one in listed] == [43, 7]
    assert listed[0].remarks == ("17 of 67 frames have no picture and are left out, the first images/0005.jpg",)
    lens = listed[0].photos[0].lens(540, 960)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == (687.76, 687.245, 277.279, 482.634)
    assert lens.distortion == (0.0578421, -0.0805099, -0.000980296, 0.00015575, 0, 0, 0, 0)
