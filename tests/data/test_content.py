"""A scene is known by what its files contain."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pointrad.data import content as content_module
from pointrad.data.content import FileDigests, scene_content
from pointrad.data.scene import SceneContent, Split
from pointrad.errors import UserError
from tests.captures import blender

_listeners: list[list[str]] = []
sys.addaudithook(  # for the process's life
    lambda event, arguments: [opened.append(str(arguments[0])) for opened in _listeners if event == "open"] and None
)


def found(root: Path, cache: Path, split: Split = Split.TEST) -> SceneContent:
    return scene_content(blender(root), split, FileDigests(cache))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose digests are taken."""
    taken: list[Path] = []
    take = content_module._digest
    monkeypatch.setattr(content_module, "_digest", lambda path: taken.append(path) or take(path))
    return taken


@pytest.fixture
def settled(tiny_scene_root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scene whose digests are kept at once; a file's time of change cannot be set, so the rule on it is."""
    monkeypatch.setattr(content_module, "_LONGEST_TICK", -(10**12))
    return tiny_scene_root


@pytest.mark.parametrize("split", list(Split)[:3])
def test_it_covers_every_file_that_loading_reads(split: Split, tiny_scene_root: Path) -> None:
    opened: list[str] = []
    _listeners.append(opened)
    blender(tiny_scene_root).load(split)
    _listeners.remove(opened)
    read = {Path(path) for path in opened if str(tiny_scene_root) in path}
    capture = blender(tiny_scene_root)
    assert read == {path for files in capture.files(split) for path in files}


def test_a_moved_and_a_copied_scene_are_the_same(tiny_scene_root: Path, tmp_path: Path) -> None:
    before = found(tiny_scene_root, tmp_path / "cache")
    shutil.copytree(tiny_scene_root, tmp_path / "copied")
    assert found(tmp_path / "copied", tmp_path / "cache") == before
    tiny_scene_root.rename(tmp_path / "moved")
    assert found(tmp_path / "moved", tmp_path / "cache") == before


def one_pixel(path: Path) -> None:
    with Image.open(path) as picture:
        picture.putpixel((3, 3), (1, 2, 3, 255))
        picture.save(path)


def camera(path: Path) -> None:
    transforms = json.loads(path.read_text())
    path.write_text(json.dumps(transforms | {"camera_angle_x": 0.7}))


CHANGES: list[tuple[Callable[[Path], None], str, bool, bool]] = [
    (one_pixel, "train/r_1.png", True, False),
    (one_pixel, "test/r_1.png", False, True),
    (one_pixel, "val/r_1.png", False, False),
    (camera, "transforms_train.json", True, False),
    (camera, "transforms_test.json", False, True),
    (lambda path: path.write_text("notes"), "README.txt", False, False),
]


@pytest.mark.parametrize(("change", "name", "changes_training", "changes_evaluation"), CHANGES)
def test_what_is_read_changes_it_and_nothing_else_does(
    change: Callable[[Path], None], name: str, changes_training: bool, changes_evaluation: bool, settled: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    before = found(settled, tmp_path / "cache")
    change(settled / "tiny" / name)
    after = found(settled, tmp_path / "cache")
    assert (after.train != before.train, after.evaluation != before.evaluation) == (
        changes_training, changes_evaluation,
    )  # fmt: skip


def test_which_photograph_leaves_out_pixels_is_part_of_it(tiny_scene_root: Path, tmp_path: Path) -> None:
    folder = tiny_scene_root / "tiny" / "train"
    mask = folder / "dynamic_mask_r_0.png"
    Image.new("L", (32, 24)).save(mask)
    before = found(tiny_scene_root, tmp_path)
    mask.rename(folder / "dynamic_mask_r_1.png")
    assert found(tiny_scene_root, tmp_path).train != before.train


def test_a_file_is_read_once_and_then_known_by_its_size_and_times(
    settled: Path, tmp_path: Path, counted: list[Path]
) -> None:
    first = found(settled, tmp_path / "cache")
    assert len(counted) == 2 + 6 + 3
    counted.clear()
    assert found(settled, tmp_path / "cache") == first
    assert counted == []


def test_another_file_of_the_same_size_and_time_is_read(settled: Path, tmp_path: Path, counted: list[Path]) -> None:
    """As tools leave it that keep times, such as tar, rsync and cp -p."""
    path = settled / "tiny" / "transforms_train.json"
    before, times = found(settled, tmp_path / "cache"), path.stat()
    path.write_text(path.read_text().replace("0.69", "0.68"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    counted.clear()
    assert found(settled, tmp_path / "cache").train != before.train
    assert counted == [path]


def test_a_file_that_may_change_within_its_disks_tick_is_read_again(
    tiny_scene_root: Path, tmp_path: Path, counted: list[Path]
) -> None:
    for _ in range(2):
        found(tiny_scene_root, tmp_path / "cache")
    assert len(counted) == 2 * (2 + 6 + 3)


def damage_text(path: Path) -> None:
    path.write_text(path.read_text().replace("a", "b"))


def swap_digests(path: Path) -> None:
    values: dict[str, Any] = json.loads(path.read_text())
    names = list(values["files"])
    for name in names:
        values["files"][name][1] = "0" * 64
    path.write_text(json.dumps(values))


DAMAGES: list[Callable[[Path], None]] = [
    lambda path: path.write_text(""),
    lambda path: path.write_text("[]"),
    lambda path: path.write_text('{"files": 3, "checksum": 4}'),
    lambda path: path.write_bytes(bytes(100)),
    lambda path: (path.unlink(), path.mkdir())[0],
    damage_text,
    swap_digests,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_kept_digests_that_are_damaged_are_taken_anew(
    damage: Callable[[Path], None], settled: Path, tmp_path: Path
) -> None:
    before = found(settled, tmp_path / "cache")
    (kept,) = (tmp_path / "cache" / "digests").iterdir()
    damage(kept)
    assert found(settled, tmp_path / "cache") == before


def test_where_nothing_can_be_kept_digests_are_taken_all_the_same(
    settled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert found(settled, tmp_path / "cache") == found(settled, tmp_path / "other")
    assert "cannot be kept" in caplog.text


def test_without_a_folder_of_its_own_the_users_is_used(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    scene_content(blender(settled), Split.TEST, FileDigests(None))
    assert len(list((tmp_path / "user" / "pointrad" / "digests").iterdir())) == 1


@pytest.mark.parametrize("missing", ["train/r_1.png", "test/r_0.png", "transforms_test.json", "."])
def test_what_is_missing_is_named(missing: str, tiny_scene_root: Path, tmp_path: Path) -> None:
    path = tiny_scene_root / "tiny" / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match="no such"):
        found(tiny_scene_root, tmp_path / "cache")
