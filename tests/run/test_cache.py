"""What runs share on disk is what they would have computed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointrad.config import RunConfig
from pointrad.corruption import corrupt_views
from pointrad.data.capture import Capture, load_scene
from pointrad.data.scene import Scene, View
from pointrad.errors import UserError
from pointrad.init.config import HullConfig
from pointrad.init.hull import hull_votes
from pointrad.init.votes import Votes
from pointrad.run.cache import Cache
from pointrad.run.cache_entry import read_entry, write_entry
from tests.data.captures import timed
from tests.runs import CONTENT, QUICK, config
from tests.scenes import turned_and_sized, write_tiny_scene


def quick(root: Path, *overrides: str) -> RunConfig:
    return config(*QUICK, f"dataset.root={root}", *overrides)


def from_cache(chosen: RunConfig, folder: Path) -> Scene:
    cache = Cache(folder)
    content = cache.content(chosen.capture, chosen.eval.split)
    return cache.scene(chosen.capture, chosen.eval.split, content)


def same(a: Scene, b: Scene) -> bool:
    def views_agree(left: View, right: View) -> bool:
        poses = np.array_equal(left.camera.camera_to_world, right.camera.camera_to_world)
        names = ("image", "mask", "weight", "reference")
        arrays = all(np.array_equal(*(getattr(view, name) for view in (left, right))) for name in names)
        cameras = (left.camera.intrinsics, left.camera.width) == (right.camera.intrinsics, right.camera.width)
        return poses and arrays and cameras and (left.name, left.split) == (right.name, right.split)

    pairs = zip((*a.train, *a.evaluation), (*b.train, *b.evaluation), strict=True)
    return a.background == b.background and all(views_agree(left, right) for left, right in pairs)


@pytest.mark.parametrize("background", ["black", "white", "published"])
def test_a_scene_from_the_cache_is_the_scene(background: str, tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root, f"dataset.background={background}")
    loaded = chosen.capture.load(chosen.eval.split)
    for _ in range(2):
        assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert len(list((tmp_path / "cache" / "views").iterdir())) == 2


def test_so_are_weights_and_reference_masks_of_the_views_that_have_some(
    tiny_scene_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = quick(tiny_scene_root)
    scene = chosen.capture.load(chosen.eval.split)
    first, second, *others = scene.train
    train = (replace(first, reference=1 - first.mask), replace(second, weight=second.mask / 2), *others)
    monkeypatch.setattr(Capture, "load", lambda *_: replace(scene, train=train))
    for _ in range(2):
        assert same(from_cache(chosen, tmp_path / "cache"), replace(scene, train=train))


def test_a_scene_whose_files_change_is_loaded_anew(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root)
    from_cache(chosen, tmp_path / "cache")
    for path in (tiny_scene_root / "tiny" / "train").iterdir():
        shutil.copy(tiny_scene_root / "tiny" / "test" / "r_0.png", path)
    loaded = chosen.capture.load(chosen.eval.split)
    assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert len(list((tmp_path / "cache" / "views").iterdir())) == 3  # the test views are the same


def test_a_scene_that_is_moved_and_called_otherwise_is_not_loaded_again(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root)
    before = from_cache(chosen, tmp_path / "cache")
    (tmp_path / "elsewhere").mkdir()
    (tiny_scene_root / "tiny").rename(tmp_path / "elsewhere" / "tiny")
    moved = quick(tmp_path / "elsewhere")
    cache = Cache(tmp_path / "cache")
    content = cache.content(moved.capture, moved.eval.split)
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    assert same(cache.scene(moved.capture, moved.eval.split, content), before)


def test_files_that_change_while_they_are_read_are_an_error_and_not_kept(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen, cache = quick(tiny_scene_root), Cache(tmp_path / "cache")
    content = cache.content(chosen.capture, chosen.eval.split)
    shutil.copy(*((tiny_scene_root / "tiny" / split / "r_0.png") for split in ("test", "train")))
    with pytest.raises(UserError, match="changed while they were read"):
        cache.scene(chosen.capture, chosen.eval.split, content)
    assert not (tmp_path / "cache" / "views").exists()


def test_an_instant_of_which_no_view_is_held_out_is_not_loaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = timed(tmp_path / "scenes", train=[0, 0, 1, 1, 2, 2], test=[0, 0, 2])
    chosen = quick(root, "dataset.frames=1")
    before = from_cache(chosen, tmp_path / "cache")
    assert [len(before.train), len(before.evaluation)] == [2, 0]
    monkeypatch.setattr(Capture, "load", lambda *_: pytest.fail("loaded again"))
    assert same(from_cache(chosen, tmp_path / "cache"), before)


def test_a_scene_of_several_sizes_from_the_cache_is_the_scene(tmp_path: Path) -> None:
    chosen = quick(write_tiny_scene(tmp_path, camera_of=turned_and_sized))
    loaded = chosen.capture.load(chosen.eval.split)
    assert len({view.mask.shape for view in loaded.train}) == 3
    for _ in range(2):
        assert same(from_cache(chosen, tmp_path / "cache"), loaded)


def zeros(entry: Path) -> None:
    """Of the right shape: as a machine that lost its power can leave a file."""
    images = np.load(entry / "image.npy")
    np.save(entry / "image.npy", np.zeros_like(images))


def other_masks(entry: Path) -> None:
    masks = np.load(entry / "mask.npy")
    np.save(entry / "mask.npy", 1 - masks)


def another_camera(entry: Path) -> None:
    path = entry / "entry.json"
    path.write_text(path.read_text().replace('"width": 32', '"width": 33'))


def no_file(name: str, make: Callable[[Path], None] | None) -> Callable[[Path], None]:
    def damage(entry: Path) -> None:
        (entry / name).unlink()
        if make:
            make(entry / name)

    return damage


def file_for_folder(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("a file where a folder should be")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "zeros": zeros,
    "other values of the right shape": other_masks,
    "another description": another_camera,
    "odd content": lambda entry: (entry / "entry.json").write_text("[1, 2]") and None,
    "no JSON": lambda entry: (entry / "entry.json").write_bytes(b"\xff\x00{"),
    "empty": lambda entry: (entry / "image.npy").write_bytes(b""),
    "cut off": lambda entry: os.truncate(entry / "image.npy", 1000),
    "another shape": lambda entry: np.save(entry / "image.npy", np.ones((2, 2))),
    "missing array": no_file("mask.npy", None),
    "missing description": no_file("entry.json", None),
    "folder for a file": no_file("mask.npy", Path.mkdir),
    "pipe for a file": no_file("mask.npy", os.mkfifo),
    "dangling link": no_file("entry.json", lambda path: path.symlink_to("nowhere")),
    "file for a folder": file_for_folder,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_costs_one_warning_and_is_made_anew(
    damage: Callable[[Path], None], tiny_scene_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = quick(tiny_scene_root)
    loaded = from_cache(chosen, tmp_path / "cache")
    for entry in (tmp_path / "cache" / "views").iterdir():
        damage(entry)
    assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert caplog.text.count("cache: ") == 1
    caplog.clear()
    assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert caplog.text == ""


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


FAULTS = {
    "full at once": "pointrad.run.cache_entry.np.save",
    "full at the end": "pointrad.run.cache_entry.flush_to_disk",
    "not renamed": "pathlib.Path.rename",
    "no folder": "pathlib.Path.mkdir",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_cache_that_cannot_be_written_costs_one_warning(
    fault: str, tiny_scene_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = quick(tiny_scene_root)
    loaded = chosen.capture.load(chosen.eval.split)
    with monkeypatch.context() as patched:
        patched.setattr(fault, full)
        assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert caplog.text.count("cannot be kept (") == 1
    assert not list((tmp_path / "cache").glob("views/*"))


@pytest.mark.parametrize("place", ["file", "file/below", "dangling/below", "locked/below"])
def test_so_does_one_whose_place_is_none(
    place: str, tiny_scene_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    (tmp_path / "dangling").symlink_to("/proc/nowhere")
    (tmp_path / "locked").mkdir(mode=0o500)
    chosen = quick(tiny_scene_root)
    loaded = chosen.capture.load(chosen.eval.split)
    assert same(from_cache(chosen, tmp_path / place), loaded)
    assert caplog.text.count("cannot be kept (") == (0 if place.startswith("locked") and os.geteuid() == 0 else 1)


def test_an_entry_that_another_process_wrote_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    write_entry(tmp_path / "entry", {"a": np.arange(3)}, "first")
    write_entry(tmp_path / "entry", {"a": np.arange(4)}, "second")
    assert read_entry(tmp_path / "entry")[1] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_what_a_killed_process_left_half_written_goes_in_the_end(tmp_path: Path) -> None:
    for name in (".entry.0a1b2c3d", ".entry.4e5f6a7b"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".entry.0a1b2c3d", (0, 0))
    write_entry(tmp_path / "entry", {"a": np.arange(3)}, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".entry.4e5f6a7b", "entry"]


def test_arrays_stay_on_disk_until_they_are_used(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root)
    for _ in range(2):
        scene = from_cache(chosen, tmp_path / "cache")
    assert all(isinstance(view.image.base, np.memmap) for view in (*scene.train, *scene.evaluation))


class TestVotes:
    def corrupted(self, root: Path, *overrides: str) -> tuple[RunConfig, Sequence[View]]:
        chosen = quick(root, "init=hull", *overrides)
        scene = load_scene(chosen.capture, chosen.eval.split)
        return chosen, corrupt_views(chosen.corruption, scene.train, scene.shots)

    def counted(self, root: Path, cache: Path, *overrides: str) -> tuple[Votes, int]:
        """The votes, and how often they had to be counted."""
        chosen, views = self.corrupted(root, *overrides)
        counts = 0

        def count(views: Sequence[View], init: HullConfig) -> Votes:
            nonlocal counts
            counts += 1
            return hull_votes(views, init)

        given = (chosen.capture, CONTENT, chosen.corruption)
        votes = Cache(cache).votes(*given, chosen.init, views, count)
        assert np.array_equal(votes.counts, hull_votes(views, chosen.init).counts)
        assert votes.floor == hull_votes(views, chosen.init).floor
        return votes, counts

    def test_they_are_counted_once_for_every_higher_consistency(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        level = "corruption.level=0.05"
        chosen = ("init.consistency=0.5", "init.consistency=0.5", "init.consistency=0.8", "init.consistency=0.3")
        found = [self.counted(tiny_scene_root, tmp_path / "cache", level, overrides)[1] for overrides in chosen]
        assert found == [1, 0, 0, 1]

    @pytest.mark.parametrize(
        "changed",
        ["corruption.level=0.06", "corruption.seed=1", "corruption=holes", "init.lattice=41", "masks.threshold=0.9",
         "init.outside=abstain", "init.outside_margin=0.1"],
    )  # fmt: skip
    def test_whatever_changes_them_counts_anew(self, changed: str, tiny_scene_root: Path, tmp_path: Path) -> None:
        base = ("corruption.level=0.05", "init.consistency=0.5")
        self.counted(tiny_scene_root, tmp_path / "cache", *base)
        assert self.counted(tiny_scene_root, tmp_path / "cache", *base, changed)[1] == 1

    def test_those_of_views_that_abstain_are_counted_anew_for_another_share_that_sees_a_point(
        self, tiny_scene_root: Path, tmp_path: Path
    ) -> None:
        shares = ("null", "0.9", "0.5")
        chosen = (("init.outside=abstain", f"init.least_seen={share}") for share in shares)
        assert [self.counted(tiny_scene_root, tmp_path / "cache", *keys)[1] for keys in chosen] == [1, 1, 0]

    @pytest.mark.parametrize("name", ["counts.npy", "points.npy"])
    def test_a_damaged_entry_is_counted_anew(self, name: str, tiny_scene_root: Path, tmp_path: Path) -> None:
        self.counted(tiny_scene_root, tmp_path / "cache")
        (entry,) = (tmp_path / "cache" / "votes").iterdir()
        np.save(entry / name, np.load(entry / name) // 2)
        assert self.counted(tiny_scene_root, tmp_path / "cache")[1] == 1
        assert self.counted(tiny_scene_root, tmp_path / "cache")[1] == 0

    def test_what_else_lies_there_is_passed_over(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        self.counted(tiny_scene_root, tmp_path / "cache")
        (entry,) = (tmp_path / "cache" / "votes").iterdir()
        (entry.parent / f"{entry.name}-odd").mkdir()
        (entry.parent / "notes.txt").write_text("odd")
        assert self.counted(tiny_scene_root, tmp_path / "cache")[1] == 0

    def test_votes_that_cannot_be_kept_are_counted_all_the_same(
        self, tiny_scene_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "cache").write_text("a file where a folder should be")
        assert self.counted(tiny_scene_root, tmp_path / "cache")[1] == 1
        assert caplog.text.count("cannot be kept (") == 1

    def test_a_hull_that_is_empty_is_an_error_with_votes_at_hand_too(
        self, tiny_scene_root: Path, tmp_path: Path
    ) -> None:
        half_dropped = ("corruption=dropout", "corruption.level=0.5")
        self.counted(tiny_scene_root, tmp_path / "cache", *half_dropped, "init.consistency=0.2")
        chosen, views = self.corrupted(tiny_scene_root, *half_dropped, "init.consistency=1")
        given = (chosen.capture, CONTENT, chosen.corruption)
        with pytest.raises(UserError, match=r"init\.consistency: the hull is empty"):
            Cache(tmp_path / "cache").votes(*given, chosen.init, views, hull_votes)
