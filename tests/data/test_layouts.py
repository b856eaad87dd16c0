"""One scene has the same cameras in every layout, and its views are held out alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.capture import Capture
from pointrad.data.layout import Layout
from pointrad.data.photo import Lens
from pointrad.data.scene import Scene, Split
from pointrad.data.undistort import Undistortion
from pointrad.errors import UserError
from pointrad.masks.auto import AutoMasksConfig
from tests.data import captures
from tests.data.captures import COUNT, HEIGHT, HOLDOUT, WIDTH, of

WRITERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "nerfstudio": ("nerfstudio", captures.write_nerfstudio),
    "colmap, binary": ("colmap", captures.write_colmap),
    "colmap, text": ("colmap", partial(captures.write_colmap, binary=False)),
    "colmap, in nerfstudio's folder": ("colmap", partial(captures.write_colmap, place="colmap/sparse/0")),
    "idr": ("idr", captures.write_idr),
    "idr, of old": ("idr", partial(captures.write_idr, name="cameras.npz")),
    "llff": ("llff", captures.write_llff),
}
MASKS = AutoMasksConfig(name="auto", invert=False, threshold=None, reference=None)
each_layout = pytest.mark.parametrize(("layout", "write"), WRITERS.values(), ids=WRITERS)


@each_layout
def test_cameras_are_the_same(layout: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    dataset = of(layout, write(tmp_path))
    photos = [photo for split in (Split.TRAIN, Split.TEST) for photo in dataset.listing("tiny", split).photos]
    assert len(photos) == COUNT
    for photo, view in zip(sorted(photos, key=lambda photo: photo.name), captures.views(), strict=True):
        expected, lens = view.camera, photo.lens(WIDTH, HEIGHT)
        assert photo.path.name == f"{photo.name.split('/')[1]}.png"
        assert (lens.width, lens.height, lens.is_pinhole) == (WIDTH, HEIGHT, True)
        np.testing.assert_allclose(photo.camera_to_world, expected.camera_to_world, rtol=0, atol=1e-9)
        np.testing.assert_allclose((lens.fx, lens.fy, lens.cx, lens.cy), expected.intrinsics, rtol=1e-9)


def load(dataset: Layout) -> Scene:
    return Capture(dataset, MASKS, "tiny").load(Split.TEST)


@each_layout
def test_views_are_the_same(layout: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    scene = load(of(layout, write(tmp_path)))
    assert len(scene.train + scene.evaluation) == COUNT
    for view in scene.train + scene.evaluation:
        expected = captures.views()[int(view.name[-2:])]
        np.testing.assert_array_equal(view.mask, expected.mask)
        np.testing.assert_allclose(view.image, expected.image, rtol=0, atol=0.5 / 255 + 1e-6)
        np.testing.assert_allclose(view.camera.world_to_image, expected.camera.world_to_image, rtol=0, atol=1e-9)


@each_layout
def test_none_is_held_out_if_none_is_wanted(layout: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    dataset = of(layout, write(tmp_path), holdout=None)
    assert len(dataset.listing("tiny", Split.TRAIN).photos) == COUNT
    with pytest.raises(UserError, match=r"^dataset\.holdout: found null, .* for test; expected a number, or eval"):
        dataset.listing("tiny", Split.TEST)


@pytest.mark.parametrize("layout", ["colmap", "llff", "nerfstudio"])
def test_a_photograph_that_exif_turns_against_its_camera_is_refused(layout: str, tmp_path: Path) -> None:
    WRITERS["colmap, binary" if layout == "colmap" else layout][1](tmp_path)
    path = tmp_path / "images" / captures.name_of(3)
    turn(path, 6)
    with pytest.raises(
        UserError, match=r": found 32x24 pixels; expected the picture's 24x32, .* remove the EXIF orient"
    ):
        load(of(layout, tmp_path))


def turn(path: Path, orientation: int) -> None:
    """Let EXIF say so of a picture whose pixels stay as they are stored."""
    with Image.open(path) as picture:
        exif = picture.getexif()
        exif[ExifTags.Base.Orientation] = orientation
        picture.save(path, exif=exif)


@each_layout
def test_a_photograph_that_exif_turns_upside_down_is_told_of(
    layout: str, write: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = of(layout, write(tmp_path))
    (path,) = tmp_path.glob(f"image*/{captures.name_of(3)}")
    turn(path, 3)
    load(dataset)
    assert f"EXIF turns 1 photographs ({path.parent.name}/r_03), and so they are read" in told(capsys)


def test_so_it_is_of_a_quarter_turn_where_a_camera_is_for_any_size(
    tiny_scene_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = BlenderDatasetConfig(
        name="blender", frames=None, root=tiny_scene_root, downscale=1, max_size=None, background="black"
    )
    turn(tiny_scene_root / "tiny" / "train" / "r_0.png", 6)
    load(dataset)
    assert "EXIF turns 1 photographs (train/r_0)" in told(capsys)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("layout", "write"), [WRITERS["idr"], WRITERS["llff"]], ids=["idr", "llff"])
class TestPhotographsInTheOrderOfTheirNames:
    def test_are_told_by_suffixes_however_they_are_written(
        self, layout: str, write: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        dataset = of(layout, write(tmp_path))
        for path in tmp_path.glob("image*/*.png"):
            path.rename(path.with_suffix(".Png"))
        assert [photo.name[-4:] for photo in dataset.listing("tiny", Split.TEST).photos] == ["r_00", "r_04", "r_08"]

    def test_that_are_none_by_their_suffixes_are_named(
        self, layout: str, write: Callable[[Path], Path], tmp_path: Path
    ) -> None:
        dataset = of(layout, write(tmp_path))
        for path in tmp_path.glob("image*/*.png"):
            path.rename(path.with_suffix(".heic"))
        with pytest.raises(
            UserError,
            match=r"each of the 0 photographs \(\.png, \.jpg, .*\) in .*; it also holds r_00\.heic, r_01\.heic",
        ):
            dataset.listing("tiny", Split.TEST)


def test_one_photograph_cannot_be_held_out_from_itself(tmp_path: Path) -> None:
    captures.write_nerfstudio(tmp_path)
    for n in range(1, COUNT):
        (tmp_path / "images" / captures.name_of(n)).unlink()
    with pytest.raises(UserError, match=r"found 1 photograph in .*; expected at least 2, as one is held out"):
        load(of("nerfstudio", tmp_path))


DISTORTED = Lens(WIDTH, HEIGHT, 40, 41, 16.5, 12, (-0.1, 0.02, 0.003, -0.002, 0, 0, 0, 0))


@pytest.mark.parametrize("layout", ["colmap", "nerfstudio"])
def test_photographs_are_undistorted(layout: str, tmp_path: Path) -> None:
    lens, (k1, k2, p1, p2, *_) = DISTORTED, DISTORTED.distortion
    if layout == "colmap":
        captures.write_colmap(tmp_path, model="OPENCV", parameters=(40, 41, 16.5, 12, k1, k2, p1, p2))
    else:
        captures.write_nerfstudio(tmp_path, fl_x=40, fl_y=41, cx=16.5, cy=12, k1=k1, k2=k2, p1=p1, p2=p2)
    straight = Undistortion.of(lens).lens
    for view in load(of(layout, tmp_path)).train:
        assert view.camera.intrinsics == (straight.fx, straight.fy, straight.cx, straight.cy)


@pytest.mark.parametrize(("ignoring", "black"), [("mask_path", True), ("dynamic_mask", False)])
def test_pixels_to_leave_out_have_no_weight(ignoring: str, black: bool, tmp_path: Path) -> None:
    left_out = np.zeros((HEIGHT, WIDTH), bool)
    left_out[:5] = True
    name = "ignore.png" if black else "images/dynamic_mask_r_01.png"
    captures.write_nerfstudio(tmp_path, {1: {"mask_path": name}} if black else None)
    Image.fromarray(np.where(left_out != black, np.uint8(255), np.uint8(0))).save(tmp_path / name)
    first, second, *_ = load(of("nerfstudio", tmp_path)).train
    assert first.weight is not None
    np.testing.assert_array_equal(first.weight, np.where(left_out, 0, 1))
    assert second.weight is None


@each_layout
def test_every_fourth_photograph_by_name_is_held_out(
    layout: str, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    dataset = of(layout, write(tmp_path))
    listed = {split: dataset.listing("tiny", split) for split in (Split.TRAIN, Split.TEST)}
    numbers = {split: [int(photo.name[-2:]) for photo in listed[split].photos] for split in listed}
    assert numbers[Split.TEST] == list(range(0, COUNT, HOLDOUT))
    assert sorted(numbers[Split.TRAIN] + numbers[Split.TEST]) == list(range(COUNT))
    with pytest.raises(UserError, match=r"^eval\.split: found val; a capture has no such split"):
        dataset.listing("tiny", Split.VAL)


@each_layout
def test_the_files_that_say_so_are_named(layout: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    listed = of(layout, write(tmp_path)).listing("tiny", Split.TRAIN)
    assert listed.index
    assert all(path.is_file() for path in listed.index)
    assert not listed.remarks


@each_layout
def test_a_folder_of_captures_holds_them_by_name(layout: str, write: Callable[[Path], Path], tmp_path: Path) -> None:
    write(tmp_path / "tiny")
    dataset = of(layout, tmp_path)
    assert dataset.folder("tiny") == tmp_path / "tiny"
    assert dataset.listing("tiny", Split.TEST).photos[0].name == (
        of(layout, tmp_path / "tiny").listing("tiny", Split.TEST).photos[0].name
    )


@each_layout
def test_all_scenes_are_the_folders_in_this_layout_or_the_capture_itself(
    layout: str, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    for name in ("cup", "bowl"):
        write(tmp_path / "captures" / name)
    (tmp_path / "captures" / "notes").mkdir()
    assert of(layout, tmp_path / "captures").scenes() == ("bowl", "cup")
    assert of(layout, tmp_path / "captures" / "cup").scenes() == ("cup",)
    with pytest.raises(UserError, match=r"^dataset\.root: found no scene in .*/notes, which holds nothing; expected "):
        of(layout, tmp_path / "captures" / "notes").scenes()


@each_layout
def test_a_folder_in_another_layout_is_refused_with_what_it_holds(
    layout: str, write: Callable[[Path], Path], tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes.txt").touch()
    for root, holds in ((tmp_path, "which holds notes.txt, photos/"), (tmp_path / "nowhere", "which is no folder")):
        with pytest.raises(
            UserError, match=rf"^dataset\.root: found {root}, {holds}; expected .* there or in .*/tiny$"
        ):
            of(layout, root).listing("tiny", Split.TRAIN)


@pytest.mark.parametrize(("layout", "usual"), [("colmap", "images"), ("llff", "images"), ("idr", "image")])
def test_photographs_may_lie_in_another_folder_which_must_be_there(layout: str, usual: str, tmp_path: Path) -> None:
    WRITERS["colmap, binary" if layout == "colmap" else layout][1](tmp_path)
    (tmp_path / usual).rename(tmp_path / "jpegs")
    listed = of(layout, tmp_path, images="jpegs").listing("tiny", Split.TEST)
    assert listed.photos[0].name == "jpegs/r_00"
    with pytest.raises(UserError, match=rf"^dataset\.images: found no folder .*/{usual}; expected that of .*jpegs/"):
        of(layout, tmp_path).listing("tiny", Split.TEST)


@pytest.mark.parametrize("layout", ["colmap", "llff", "nerfstudio"])
def test_a_smaller_copy_of_a_photograph_has_the_same_camera(layout: str, tmp_path: Path) -> None:
    WRITERS["colmap, binary" if layout == "colmap" else layout][1](tmp_path)
    photo = of(layout, tmp_path).listing("tiny", Split.TRAIN).photos[0]
    whole, half = photo.lens(WIDTH, HEIGHT), photo.lens(WIDTH // 2, HEIGHT // 2)
    assert (half.fx, half.fy, half.cx, half.cy) == (whole.fx / 2, whole.fy / 2, whole.cx / 2, whole.cy / 2)
    with pytest.raises(
        UserError,
        match=r": found 32x24 pixels; expected the picture's 24x32, .*; one of them is turned: if ",
    ):
        photo.lens(HEIGHT, WIDTH)
    with pytest.raises(
        UserError, match=r": found 32x24 pixels; expected the picture's 32x32, or others of this shape$"
    ):
        photo.lens(WIDTH, WIDTH)
