"""What a NeRF-synthetic scene on disk becomes, and what is said of one that is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pointrad.bundled import DEMO_FOLDER
from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.scene import Background, Scene, Split
from pointrad.errors import UserError
from tests.captures import blender, demo
from tests.scenes import CAMERA_ANGLE_X, ring, write_tiny_scene

Edit = Callable[[dict[str, Any]], object]


def load(root: Path, split: Split = Split.TEST, downscale: int = 1, background: Background = "black") -> Scene:
    return blender(root, downscale=downscale, background=background).load(split)


def edit_json(root: Path, edit: Edit, split: str = "train") -> None:
    path = root / "tiny" / f"transforms_{split}.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def read_rgba(root: Path, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(Image.open(root / "tiny" / f"{name}.png"), np.float64) / 255


def write_rgba(root: Path, name: str, rgba: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    Image.fromarray(rgba).save(root / "tiny" / f"{name}.png")


def test_a_scene_has_its_train_views_and_those_of_the_split(tiny_scene_root: Path) -> None:
    scene = load(tiny_scene_root)
    assert (scene.name, scene.background) == ("tiny", (0.0, 0.0, 0.0))
    assert [view.name for view in scene.train] == [f"train/r_{n}" for n in range(6)]
    assert [view.name for view in scene.evaluation] == [f"test/r_{n}" for n in range(3)]
    assert {view.split for view in scene.evaluation} == {Split.TEST}
    view = scene.train[1]
    assert view.image.shape == (24, 32, 3)
    assert view.mask.shape == (24, 32)
    assert view.image.dtype == view.mask.dtype == np.dtype(np.float32)
    rgba = read_rgba(tiny_scene_root, "train/r_1")
    np.testing.assert_allclose(view.image, rgba[..., :3], atol=1e-6)
    np.testing.assert_allclose(view.mask, rgba[..., 3], atol=1e-6)


def test_the_camera_follows_the_opening_angle_and_the_pose(tiny_scene_root: Path) -> None:
    camera = load(tiny_scene_root).train[2].camera
    assert (camera.width, camera.height) == (32, 24)
    assert camera.focal == pytest.approx(16 / math.tan(CAMERA_ANGLE_X / 2))
    np.testing.assert_array_equal(camera.camera_to_world, ring(6)[2])


def test_each_frame_may_have_intrinsics_of_its_own(tiny_scene_root: Path) -> None:
    path = tiny_scene_root / "tiny" / "transforms_train.json"
    transforms = json.loads(path.read_text())
    transforms |= {"fl_x": 50.0, "fl_y": 60.0, "cx": 20.0, "cy": 10.0}
    del transforms["camera_angle_x"]
    transforms["frames"][1] |= {"fl_x": 70.0, "fl_y": 80.0, "cx": 14.0}
    path.write_text(json.dumps(transforms))
    scene = load(tiny_scene_root)
    assert scene.train[0].camera.intrinsics == scene.train[2].camera.intrinsics == (50, 60, 20, 10)
    assert scene.train[1].camera.intrinsics == (70, 80, 14, 10)
    half = load(tiny_scene_root, downscale=2)
    assert half.train[1].camera.intrinsics == (35, 40, 7, 5)


def test_only_the_splits_that_are_needed_are_read(tiny_scene_root: Path) -> None:
    for split in ("val", "test"):
        (tiny_scene_root / "tiny" / f"transforms_{split}.json").unlink()
    scene = load(tiny_scene_root, Split.TRAIN)
    assert scene.evaluation is scene.train


def test_files_that_the_json_does_not_name_are_no_part_of_the_scene(tiny_scene_root: Path) -> None:
    (tiny_scene_root / "tiny" / "train" / "r_99.png").write_text("not an image")
    assert len(load(tiny_scene_root).train) == 6


def soften(root: Path) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Give a picture alpha of all values and colour everywhere, under alpha 0 as well; returns it as [24, 32, 4]."""
    rgba = np.random.default_rng(0).integers(0, 256, (24, 32, 4)).astype(np.uint8)
    rgba[:8, :, 3] = 0
    rgba[8:16, :, 3] = 255
    write_rgba(root, "train/r_0", rgba)
    return rgba / 255


def averaged(pixels: np.ndarray[Any, np.dtype[np.float64]], factor: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    height, width, channels = pixels.shape
    blocks = pixels.reshape(height // factor, factor, width // factor, factor, channels)
    means: np.ndarray[Any, np.dtype[np.float64]] = blocks.mean(axis=(1, 3))
    return means


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize(("background", "colour"), [("black", 0), ("white", 1)])
def test_images_are_composited_by_alpha_before_they_are_averaged(
    background: Background, colour: int, factor: int, tiny_scene_root: Path
) -> None:
    rgba = soften(tiny_scene_root)
    scene = load(tiny_scene_root, downscale=factor, background=background)
    expected = averaged(rgba[..., :3] * rgba[..., 3:] + colour * (1 - rgba[..., 3:]), factor)
    np.testing.assert_allclose(scene.train[0].image, expected, atol=1e-6)
    np.testing.assert_allclose(scene.train[0].mask, averaged(rgba[..., 3:], factor)[..., 0], atol=1e-6)
    assert scene.background == (colour,) * 3
    assert scene.train[0].camera.focal == pytest.approx(16 / factor / math.tan(CAMERA_ANGLE_X / 2))


@pytest.mark.parametrize("background", ["black", "white"])
def test_colour_under_alpha_0_counts_nowhere(background: Background, tiny_scene_root: Path) -> None:
    rgba = np.asarray(Image.open(tiny_scene_root / "tiny" / "train" / "r_0.png"))
    clean = load(tiny_scene_root, downscale=4, background=background).train[0]
    write_rgba(tiny_scene_root, "train/r_0", np.where(rgba[..., 3:] == 0, [200, 100, 50, 0], rgba).astype(np.uint8))
    coloured = load(tiny_scene_root, downscale=4, background=background).train[0]
    np.testing.assert_array_equal(coloured.image, clean.image)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_published_takes_colours_as_they_are_stored(factor: int, tiny_scene_root: Path) -> None:
    rgba = soften(tiny_scene_root)
    scene = load(tiny_scene_root, downscale=factor, background="published")
    np.testing.assert_array_equal(scene.train[0].image, averaged(rgba[..., :3], factor).astype(np.float32))
    assert scene.background == (0.0, 0.0, 0.0)


def test_the_published_split_is_val_15_to_37(tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path, {"train": 1, "val": 40})
    views = load(root, Split.PAPER).evaluation
    assert [view.name for view in views] == [f"val/r_{n}" for n in range(15, 38)]


def test_the_published_split_needs_38_val_frames(tiny_scene_root: Path) -> None:
    with pytest.raises(UserError, match=r"transforms_val\.json: found 3 frames; expected at least 38"):
        load(tiny_scene_root, Split.PAPER)


def first_pose(values: dict[str, Any]) -> Any:
    return values["frames"][0]["transform_matrix"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v.pop("camera_angle_x"), r"train\.json: camera_angle_x: missing; expected it, or fl_x"),
        (lambda v: v.update(camera_angle_x=4), r"camera_angle_x: found 4.*less than 3\.14"),
        (lambda v: v.pop("frames"), r"train\.json: frames: missing"),
        (lambda v: v.update(frames=[]), r"frames: found none; expected at least one"),
        (lambda v: v["frames"][2].pop("transform_matrix"), r"frames\.2\.transform_matrix: missing"),
        (lambda v: v["frames"][2].pop("file_path"), r"frames\.2\.file_path: missing"),
        (lambda v: first_pose(v).pop(), r"frames\.0\.transform_matrix\.3: missing"),
        (lambda v: first_pose(v)[0].__setitem__(1, math.nan), r"frames\.0\.transform_matrix\.0\.1: .*finite"),
        (lambda v: first_pose(v)[0].__setitem__(1, "east"), r"transform_matrix\.0\.1: found 'east'"),
        (lambda v: first_pose(v).__setitem__(0, [0, 0, 0, 0]), r"'\./train/r_0': .*not orthonormal.*rotation"),
        (lambda v: first_pose(v)[0].__setitem__(0, 1e308), r"not orthonormal"),
        (lambda v: first_pose(v).__setitem__(0, [-x for x in first_pose(v)[0]]), r"found a mirrored axis"),
        (lambda v: first_pose(v).__setitem__(3, [0, 0, 0, 2]), r"bottom row \[0\.0, 0\.0, 0\.0, 2\.0\]; expected"),
        (lambda v: v["frames"].append(v["frames"][1]), r"'train/r_1' more than once"),
        (
            lambda v: v["frames"][0].update(file_path="x" * 5000),
            r"frames\.0\.file_path: found .{63}; expected: the path",
        ),
        (
            lambda v: v["frames"][0].update(file_path="x/" * 5000),
            r"frames\.0\.file_path: found .{63}; expected: the path",
        ),
        (
            lambda v: v["frames"][0].update(file_path="a/" + "x" * 255),
            r"frames\.0\.file_path: found .*at most 1024 bytes",
        ),
        (
            lambda v: v["frames"][1].update(mask_path="masks/1.png"),
            r"mask_path of '\./train/r_1': found 'masks/1\.png'; expected a file, but there is no .*tiny/masks/1\.png",
        ),
        (lambda v: v["frames"][0].update(file_path="a\0b"), r"frames\.0\.file_path: found 'a.*b'; expected: the path"),
        (lambda v: v["frames"][0].update(file_path="train/gone"), r"gone\.png: no such file; expected the picture"),
    ],
)
def test_a_wrong_json_is_named_with_what_is_wrong(tiny_scene_root: Path, edit: Edit, message: str) -> None:
    edit_json(tiny_scene_root, edit)
    with pytest.raises(UserError, match=message):
        load(tiny_scene_root)


@pytest.mark.parametrize("text", ["", "{", "\udcff", '{"frames": [}'])
def test_malformed_json_is_named(tiny_scene_root: Path, text: str) -> None:
    (tiny_scene_root / "tiny" / "transforms_train.json").write_text(text, errors="surrogateescape")
    with pytest.raises(UserError, match=r"transforms_train\.json: found malformed JSON .*; expected a JSON object"):
        load(tiny_scene_root)


def test_json_that_is_no_object_is_named(tiny_scene_root: Path) -> None:
    (tiny_scene_root / "tiny" / "transforms_train.json").write_text("[1, 2]")
    with pytest.raises(UserError, match=r"top level: found \[1, 2\]; expected: "):
        load(tiny_scene_root)


def test_a_missing_scene_is_named(tiny_scene_root: Path) -> None:
    with pytest.raises(UserError, match="sofa: no such folder; expected the scene 'sofa'"):
        blender(tiny_scene_root, "sofa").load(Split.TEST)


def test_a_missing_split_lists_those_that_exist(tiny_scene_root: Path) -> None:
    (tiny_scene_root / "tiny" / "transforms_test.json").unlink()
    with pytest.raises(
        UserError, match=r"transforms_test\.json: no such file; the splits that exist there: train, val"
    ):
        load(tiny_scene_root)


@pytest.mark.parametrize("downscale", [0, -2, 0.5])
def test_downscale_is_at_least_one(tiny_scene_root: Path, downscale: float) -> None:
    values = blender(tiny_scene_root).dataset.model_dump() | {"downscale": downscale}
    with pytest.raises(UserError, match=rf"downscale: found {downscale}; input should be greater than or equal to 1"):
        BlenderDatasetConfig.parse(values)


def test_a_size_that_is_no_multiple_is_averaged_over_parts_of_pixels(tiny_scene_root: Path) -> None:
    view = load(tiny_scene_root, downscale=1.5).train[0]
    assert view.image.shape == (16, 21, 3)
    assert (view.camera.width, view.camera.height) == (21, 16)
    whole = load(tiny_scene_root).train[0]
    assert view.mask.mean() == pytest.approx(whole.mask.mean(), abs=2e-3)
    assert view.camera.cx / 21 == pytest.approx(whole.camera.cx / 32)
    assert view.camera.fx / 21 == pytest.approx(whole.camera.fx / 32)
    assert view.camera.fy / 16 == pytest.approx(whole.camera.fy / 24)


def test_the_longer_side_has_as_many_pixels_as_are_allowed_at_most(tiny_scene_root: Path) -> None:
    sizes = {most: blender(tiny_scene_root, max_size=most).load(Split.TEST).train[0].mask.shape for most in (16, 40)}
    assert sizes == {16: (12, 16), 40: (24, 32)}


def test_a_config_says_where_its_scene_is(tiny_scene_root: Path) -> None:
    scene = blender(tiny_scene_root, downscale=2, background="white").load(Split.VAL)
    assert (len(scene.train), len(scene.evaluation), scene.train[0].camera.width) == (6, 3, 16)


def test_the_demo_dataset_holds_one_scene() -> None:
    with pytest.raises(UserError, match=r"scene\.name: found 'lego'; dataset=demo holds only 'demo'"):
        demo("lego").load(Split.TEST)


def test_the_demo_scene_loads_from_beside_the_package() -> None:
    if not (DEMO_FOLDER / "transforms_train.json").is_file():
        pytest.skip(f"{DEMO_FOLDER} has not been rendered yet")
    scene = demo(downscale=4).load(Split.TEST)
    assert scene.train
    assert scene.evaluation
