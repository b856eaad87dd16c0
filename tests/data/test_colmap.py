"""COLMAP's models, binary and text, and the photographs that they name."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrad.data.capture import Capture
from pointrad.data.colmap_model import ModelFiles, read_model
from pointrad.data.photo import Lens, Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError
from tests.captures import ALPHA
from tests.data.captures import HEIGHT, WIDTH, name_of, of, real_capture, write_colmap

each_kind = pytest.mark.parametrize("binary", [True, False], ids=["binary", "text"])
# Of each camera model: its parameters, fx fy cx cy, the coefficients in OpenCV's order, and whether it is a fisheye.
LENSES: dict[str, tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], bool]] = {
    "SIMPLE_PINHOLE": ((40, 15, 11), (40, 40, 15, 11), (), False),
    "PINHOLE": ((40, 41, 15, 11), (40, 41, 15, 11), (), False),
    "SIMPLE_RADIAL": ((40, 15, 11, 0.1), (40, 40, 15, 11), (0.1, 0, 0, 0, 0, 0, 0, 0), False),
    "RADIAL": ((40, 15, 11, 0.1, 0.2), (40, 40, 15, 11), (0.1, 0.2, 0, 0, 0, 0, 0, 0), False),
    "OPENCV": ((40, 41, 15, 11, 1, 2, 3, 4), (40, 41, 15, 11), (1, 2, 3, 4, 0, 0, 0, 0), False),
    "FULL_OPENCV": ((40, 41, 15, 11, 1, 2, 3, 4, 5, 6, 7, 8), (40, 41, 15, 11), (1, 2, 3, 4, 5, 6, 7, 8), False),
    "OPENCV_FISHEYE": ((40, 41, 15, 11, 1, 2, 3, 4), (40, 41, 15, 11), (1, 2, 3, 4), True),
    "SIMPLE_RADIAL_FISHEYE": ((40, 15, 11, 0.1), (40, 40, 15, 11), (0.1, 0, 0, 0), True),
    "RADIAL_FISHEYE": ((40, 15, 11, 0.1, 0.2), (40, 40, 15, 11), (0.1, 0.2, 0, 0), True),
}


def listing(folder: Path, split: Split = Split.TRAIN, model: str | None = None) -> Listing:
    return of("colmap", folder, model=model).listing("tiny", split)


@each_kind
@pytest.mark.parametrize("model", LENSES)
def test_camera_models_are_lenses(model: str, binary: bool, tmp_path: Path) -> None:
    parameters, (fx, fy, cx, cy), distortion, fisheye = LENSES[model]
    photo = listing(write_colmap(tmp_path, binary, model, parameters)).photos[0]
    assert photo.lens(WIDTH, HEIGHT) == Lens(WIDTH, HEIGHT, fx, fy, cx, cy, distortion, fisheye)


@each_kind
def test_other_camera_models_are_refused_by_name(binary: bool, tmp_path: Path) -> None:
    write_colmap(tmp_path, binary, "FOV", (40, 40, 15, 11, 0.9))
    with pytest.raises(
        UserError, match=r"cameras\.\w+: camera 5: found the model FOV; expected one of SIMPLE_PINHOLE, "
    ):
        listing(tmp_path)


def test_even_those_that_have_no_name(tmp_path: Path) -> None:
    write_colmap(tmp_path)
    file = tmp_path / "sparse" / "0" / "cameras.bin"
    file.write_bytes(file.read_bytes()[:12] + struct.pack("<i", 99) + file.read_bytes()[16:])
    with pytest.raises(UserError, match=r"camera 5: found the model number 99; expected one of"):
        listing(tmp_path)


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin"])
def test_a_binary_file_that_is_cut_short_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    write_colmap(tmp_path)
    file = tmp_path / "sparse" / "0" / name
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        with pytest.raises(
            UserError, match=rf"{name}: found {length:,} bytes, and an item that is cut short; expected"
        ):
            listing(tmp_path)
    file.write_bytes(whole + b"more")
    with pytest.raises(UserError, match=rf"{name}: found 4 bytes after the last of \d items; expected none"):
        listing(tmp_path)


@pytest.mark.parametrize(
    ("name", "found", "message"),
    [
        ("cameras.txt", "5 PINHOLE 32", r"found the line '5 PINHOLE 32'; expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS"),
        ("cameras.txt", "5 PINHOLE 32 24 40 40 15", "camera 5, PINHOLE: found 3 parameters; expected fx fy cx cy"),
        (
            "cameras.txt",
            "5 PINHOLE 32 24 40 nan 15 11",
            r"found 32x24 pixels and fx 40, fy nan, .*; expected numbers, and",
        ),
        ("cameras.txt", "5 PINHOLE 32 0 40 40 15 11", r"found 32x0 pixels and fx 40, "),
        ("cameras.txt", "5 PINHOLE 32 24 -40 40 15 11", r"found 32x24 pixels and fx -40, "),
        (
            "images.txt",
            "1 1 0 0 0 0 0",
            r"found the line '1 1 0 0 0 0 0'; expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA",
        ),
        (
            "images.txt",
            "1 one 0 0 0 0 0 0 5 r_00.png",
            "found the line '1 one 0 0 0 0 0 0 5 r_00.png'; expected IMAGE_ID",
        ),
        (
            "images.txt",
            "1 1 0 0 0 0 0 0 5 r_00.png\n4.5 3.2",
            r"r_00\.png: found 2 numbers in the line after it; expected",
        ),
        (
            "images.txt",
            "1 1 0 0 0 0 0 0 6 r_00.png",
            r"r_00\.png: found the camera 6; expected one of the .* cameras: 5",
        ),
        ("images.txt", "1 2 0 0 0 0 0 0 5 r_00.png", r"r_00\.png: found a quaternion of norm 2; expected 1"),
        ("images.txt", "1 nan 0 0 0 0 0 0 5 r_00.png", r"r_00\.png: found a quaternion of norm nan; expected 1"),
        ("images.txt", "1 1 0 0 0 0 inf 0 5 r_00.png", r"r_00\.png: found a value that is not finite"),
        ("images.txt", "# nothing", r"found no photograph; expected some"),
    ],
)
def test_what_is_wrong_in_a_text_file_is_named(name: str, found: str, message: str, tmp_path: Path) -> None:
    write_colmap(tmp_path, binary=False)
    (tmp_path / "sparse" / "0" / name).write_text(found)
    with pytest.raises(UserError, match=rf"{name}: .*{message}"):
        listing(tmp_path)


def test_names_may_have_spaces_and_folders_and_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    write_colmap(tmp_path, binary=False)
    (tmp_path / "images" / "left").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "images" / "left" / "a b.png")
    lines = ["1 1 0 0 0 0 0 0 5 r_01.png", "", r"2 1 0 0 0 0 0 0 5 left\a b.png", "1 2 -1"]
    (tmp_path / "sparse" / "0" / "images.txt").write_text("\r\n".join(lines), newline="")
    photos = [listing(tmp_path, split).photos[0] for split in (Split.TEST, Split.TRAIN)]
    assert [photo.name for photo in photos] == ["images/left/a b", "images/r_01"]


def test_a_text_file_that_ends_before_its_last_image_is_refused(tmp_path: Path) -> None:
    write_colmap(tmp_path, binary=False)
    file = tmp_path / "sparse" / "0" / "images.txt"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(["# Number of images: 9, mean observations per image: 4", *lines]))
    assert len(listing(tmp_path).photos) == 6
    file.write_text("\n".join(["# Number of images: 9, mean observations per image: 4", *lines[:-4]]))
    with pytest.raises(UserError, match=r"images\.txt: found 7 of the 9 images that it promises; expected a whole"):
        listing(tmp_path)


def test_photographs_may_have_been_cut_out_and_stored_in_another_format_since(tmp_path: Path) -> None:
    write_colmap(tmp_path)
    before = listing(tmp_path).photos
    for path in (tmp_path / "images").iterdir():
        Image.open(path).save(path.with_suffix(".webp"))
        path.unlink()
    listed = listing(tmp_path)
    assert [photo.name for photo in listed.photos] == [photo.name for photo in before]
    assert listed.remarks == (
        "9 of 9 pictures are not where they are said to be, the first r_08.png; took those whose paths end like "
        "theirs, the first r_08.webp",
    )


def test_photographs_that_are_missing_are_counted_and_keep_the_others_from_being_loaded(tmp_path: Path) -> None:
    write_colmap(tmp_path)
    for n in (2, 5):
        (tmp_path / "images" / name_of(n)).unlink()
    said = r"images\.bin: found 9 photographs, of which 2 are not in .*/images, the first r_0"
    capture = Capture(of("colmap", tmp_path), ALPHA, "tiny")
    for use in (capture.load, capture.files):
        with pytest.raises(UserError, match=said):
            use(Split.TRAIN)
    listed = [listing(tmp_path, split) for split in (Split.TRAIN, Split.TEST)]  # which can be looked at
    assert sum(len(part.photos) for part in listed) == 7


def test_a_model_of_which_no_photograph_is_there_is_no_listing(tmp_path: Path) -> None:
    write_colmap(tmp_path)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="of which 9 are not in"):
        listing(tmp_path)


def test_photographs_that_are_not_in_the_model_are_worth_a_remark(tmp_path: Path) -> None:
    write_colmap(tmp_path)
    shutil.copy(tmp_path / "images" / name_of(0), tmp_path / "images" / "more.png")
    (remark,) = listing(tmp_path).remarks
    assert remark == "1 of 10 photographs in images are not in COLMAP's model and are left out, the first more.png"


def test_of_several_models_the_first_is_taken_with_a_remark_or_the_one_that_is_named(tmp_path: Path) -> None:
    write_colmap(tmp_path)
    write_colmap(tmp_path, parameters=(50, 50, 16, 12), place="sparse/1")
    assert listing(tmp_path).remarks == ("took sparse/0 of 2 models; for another: dataset.model=sparse/1",)
    chosen = listing(tmp_path, model="sparse/1")
    assert chosen.index == (tmp_path / "sparse/1/cameras.bin", tmp_path / "sparse/1/images.bin")
    assert chosen.photos[0].lens(WIDTH, HEIGHT).fx == 50
    with pytest.raises(UserError, match=r"expected a COLMAP model \(.*\) in sparse/2 there or in"):
        listing(tmp_path, model="sparse/2")


@each_kind
def test_a_model_may_lie_in_sparse_itself(binary: bool, tmp_path: Path) -> None:
    assert len(listing(write_colmap(tmp_path, binary, place="sparse")).photos) == 6


def test_of_both_kinds_of_files_the_binary_ones_are_read(tmp_path: Path) -> None:
    write_colmap(tmp_path, binary=False, parameters=(50, 50, 16, 12))
    assert listing(write_colmap(tmp_path)).photos[0].lens(WIDTH, HEIGHT).fx != 50


def test_the_mary_rose_is_read_as_colmap_reads_it() -> None:
    """The matrix is what `pycolmap.Reconstruction` 4.2.1 has for cam_from_world of this photograph."""
    folder = real_capture("mary_rose") / "sparse" / "0"
    registered = {one.name: one for one in read_model(ModelFiles(folder / "cameras.bin", folder / "images.bin"))}
    assert len(registered) == 69
    expected = [
        [-0.41452302957539655, -0.5036956041189401, 0.7579323164655872, 0.12532430759150667],
        [0.43829343904555246, 0.6193992654369204, 0.6513397049664837, -0.12576235849375017],
        [-0.7975396662494335, 0.6021920693329159, -0.03598878146427009, 2.808361416436772],
    ]
    found = registered["IMG_9700.jpg"]
    in_opencv_axes = np.diag([1, -1, -1]) @ np.linalg.inv(found.camera_to_world)[:3]
    np.testing.assert_allclose(in_opencv_axes, expected, rtol=0, atol=1e-12)
    lens = Lens(1024, 1024, *[3087.2321429324024] * 2, 512, 512, (0.049703480571003995, *[0] * 7))
    assert found.lens == lens
