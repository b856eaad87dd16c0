"""What a folder is taken for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pointrad.data.auto import AutoDatasetConfig
from pointrad.data.photo import Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError
from tests.data.captures import (
    HEIGHT,
    HOLDOUT,
    WIDTH,
    of,
    real_capture,
    write_colmap,
    write_idr,
    write_llff,
    write_nerfstudio,
)
from tests.scenes import write_tiny_scene


def auto(root: Path) -> AutoDatasetConfig:
    return AutoDatasetConfig(
        name="auto", frames=None, root=root, downscale=1, max_size=None, background="black", holdout=HOLDOUT
    )


def listing(root: Path) -> Listing:
    return auto(root).listing("tiny", Split.TEST)


@pytest.mark.parametrize(
    ("layout", "write", "signs"),
    [
        ("nerfstudio", write_nerfstudio, "transforms.json"),
        (
            "colmap",
            write_colmap,
            "a COLMAP model (cameras and images, .bin or .txt) in sparse/0 or sparse or colmap/sp",
        ),
        ("idr", write_idr, "cameras_sphere.npz or cameras.npz"),
        ("llff", write_llff, "poses_bounds.npy"),
    ],
)
def test_a_folder_is_taken_for_what_it_is_with_a_remark(
    layout: str, write: Callable[[Path], Path], signs: str, tmp_path: Path
) -> None:
    expected, found = of(layout, write(tmp_path)).listing("tiny", Split.TEST), listing(tmp_path)
    assert [photo.name for photo in found.photos] == [photo.name for photo in expected.photos]
    assert found.index == expected.index
    for one, other in zip(found.photos, expected.photos, strict=True):
        np.testing.assert_array_equal(one.camera_to_world, other.camera_to_world)
        assert one.lens(WIDTH, HEIGHT) == other.lens(WIDTH, HEIGHT)
    assert len(found.remarks) == 1
    assert found.remarks[0].startswith(f"took the folder for dataset={layout}, as it holds {signs}")


def test_so_is_a_folder_of_scenes(tiny_scene_root: Path) -> None:
    found = listing(tiny_scene_root)
    assert found.remarks == (
        "took the folder for dataset=blender, as it holds transforms_train.json",
        "dataset=blender has splits of its own; dataset.holdout has no effect",
    )
    assert [photo.name for photo in found.photos] == ["test/r_0", "test/r_1", "test/r_2"]


def test_remarks_of_the_layout_come_after_it(tmp_path: Path) -> None:
    (write_nerfstudio(tmp_path) / "images" / "r_03.png").unlink()
    assert [remark.split()[0] for remark in listing(tmp_path).remarks] == ["took", "1"]


@pytest.mark.parametrize(
    ("writers", "taken", "others"),
    [
        ((write_llff, write_colmap), "colmap", ["llff"]),
        ((write_llff, write_idr, write_colmap), "colmap", ["idr", "llff"]),
        ((write_colmap, write_nerfstudio), "nerfstudio", ["colmap"]),
        (
            (write_nerfstudio, lambda folder: write_tiny_scene(folder.parent, name=folder.name)),
            "blender",
            ["nerfstudio"],
        ),
    ],
)
def test_of_several_the_first_is_taken_and_the_others_are_named(
    writers: tuple[Callable[[Path], Path], ...], taken: str, others: list[str], tmp_path: Path
) -> None:
    for write in writers:
        write(tmp_path / "capture")
    remark, *_ = listing(tmp_path / "capture").remarks
    assert remark.startswith(f"took the folder for dataset={taken}")
    assert remark.endswith("".join(f"; dataset={other} would fit as well" for other in others))


def test_a_folder_in_no_layout_is_refused_with_what_was_looked_for_and_what_it_holds(tmp_path: Path) -> None:
    for n in range(20):
        (tmp_path / f"IMG_{n:02}.JPG").touch()
    with pytest.raises(UserError) as error:
        listing(tmp_path)
    message = str(error.value)
    assert message.startswith(f"dataset.root: found {tmp_path}, which holds IMG_00.JPG, IMG_01.JPG, ")
    assert "IMG_11.JPG and 8 more; expected transforms_train.json (dataset=blender); transforms.json " in message
    for sign in ("sparse/0", "cameras_sphere.npz", "poses_bounds.npy"):
        assert sign in message


@pytest.mark.parametrize(
    ("capture", "taken"),
    [
        ("fox", "nerfstudio"),
        ("mary_rose", "colmap"),
        ("dtu_24", "idr"),
        ("mutant", "blender"),
        ("basketball", "panoptic"),
    ],
)
def test_real_captures_are_taken_for_what_they_are(capture: str, taken: str) -> None:
    remark, *_ = auto(real_capture(capture)).listing(capture, Split.TEST).remarks
    assert remark.startswith(f"took the folder for dataset={taken}")


def test_a_folder_above_the_capture_is_told_where_it_is(tmp_path: Path) -> None:
    write_nerfstudio(tmp_path / "data")
    with pytest.raises(
        UserError, match=r"dataset\.root: found .*, which holds data/; .*; it is in data: scene\.name=data"
    ):
        listing(tmp_path)
