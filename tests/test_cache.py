"""What runs share on disk is what they would have computed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pointrad.cache import Cache
from pointrad.config import HullConfig, RunConfig
from pointrad.corruption import build_corruption, corrupt_views
from pointrad.errors import UserError
from pointrad.hull import Votes, hull_votes
from pointrad.scene.loading import load_scene
from pointrad.scene.types import Scene, View
from tests.runs import CONTENT, QUICK, config
from tests.scenes import write_tiny_scene


def quick(root: Path, *overrides: str) -> RunConfig:
    return config(*QUICK, f"dataset.root={root}", *overrides)


def from_cache(chosen: RunConfig, folder: Path) -> Scene:
    cache = Cache(folder)
    content = cache.content(chosen.dataset, "tiny", chosen.eval.split)
    return cache.scene(chosen.dataset, "tiny", chosen.eval.split, content)


def same(a: Scene, b: Scene) -> bool:
    def views_agree(left: View, right: View) -> bool:
        poses = np.array_equal(left.camera.camera_to_world, right.camera.camera_to_world)
        arrays = np.array_equal(left.image, right.image) and np.array_equal(left.mask, right.mask)
        cameras = (left.camera.focal, left.camera.width) == (right.camera.focal, right.camera.width)
        return poses and arrays and cameras and (left.name, left.split) == (right.name, right.split)

    pairs = zip((*a.train, *a.evaluation), (*b.train, *b.evaluation), strict=True)
    return a.background == b.background and all(views_agree(left, right) for left, right in pairs)


@pytest.mark.parametrize("background", ["black", "white"])
def test_a_scene_from_the_cache_is_the_scene(background: str, tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root, f"dataset.background={background}")
    loaded = load_scene(chosen.dataset, "tiny", chosen.eval.split)
    for _ in range(2):
        assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert len(list((tmp_path / "cache" / "views").iterdir())) == 2


def test_a_scene_whose_files_change_is_loaded_anew(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root)
    from_cache(chosen, tmp_path / "cache")
    for path in (tiny_scene_root / "tiny" / "train").iterdir():
        shutil.copy(tiny_scene_root / "tiny" / "test" / "r_0.png", path)
    loaded = load_scene(chosen.dataset, "tiny", chosen.eval.split)
    assert same(from_cache(chosen, tmp_path / "cache"), loaded)
    assert len(list((tmp_path / "cache" / "views").iterdir())) == 3  # the test views are the same


def test_a_scene_that_is_moved_and_called_otherwise_is_not_loaded_again(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root)
    before = from_cache(chosen, tmp_path / "cache")
    (tmp_path / "elsewhere").mkdir()
    (tiny_scene_root / "tiny").rename(tmp_path / "elsewhere" / "tiny")
    moved = quick(tmp_path / "elsewhere")
    cache = Cache(tmp_path / "cache")
    content = cache.content(moved.dataset, "tiny", moved.eval.split)
    (tmp_path / "elsewhere").rename(tmp_path / "gone")
    assert same(cache.scene(moved.dataset, "tiny", moved.eval.split, content), before)


def test_files_that_change_while_they_are_read_are_an_error_and_not_kept(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen, cache = quick(tiny_scene_root), Cache(tmp_path / "cache")
    content = cache.content(chosen.dataset, "tiny", chosen.eval.split)
    shutil.copy(*((tiny_scene_root / "tiny" / split / "r_0.png") for split in ("test", "train")))
    with pytest.raises(UserError, match="changed while they were read"):
        cache.scene(chosen.dataset, "tiny", chosen.eval.split, content)
    assert not (tmp_path / "cache" / "views").exists()


def test_views_of_two_sizes_are_refused_from_the_cache_too(tmp_path: Path) -> None:
    """Each split may have been kept for a scene where it fits."""
    for name, sizes in (("small", (32, 24)), ("large", (40, 30))):
        write_tiny_scene(tmp_path / name, width=sizes[0], height=sizes[1])
        from_cache(quick(tmp_path / name), tmp_path / "cache")
    for part in ("test", "transforms_test.json"):
        source, target = tmp_path / "large" / "tiny" / part, tmp_path / "small" / "tiny" / part
        shutil.copytree(source, target, dirs_exist_ok=True) if source.is_dir() else shutil.copy(source, target)
    with pytest.raises(UserError, match="one size for all views"):
        from_cache(quick(tmp_path / "small"), tmp_path / "cache")


def test_a_spoilt_entry_is_passed_over(tiny_scene_root: Path, tmp_path: Path) -> None:
    chosen = quick(tiny_scene_root)
    loaded = from_cache(chosen, tmp_path / "cache")
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.write_bytes(b"")
    assert same(from_cache(chosen, tmp_path / "cache"), loaded)


class TestVotes:
    def corrupted(self, root: Path, *overrides: str) -> tuple[RunConfig, Sequence[View]]:
        chosen = quick(root, "init=hull", *overrides)
        scene = load_scene(chosen.dataset, "tiny", chosen.eval.split)
        return chosen, corrupt_views(build_corruption(chosen.corruption), scene.train, chosen.corruption.seed)

    def counted(self, root: Path, cache: Path, *overrides: str) -> tuple[Votes, int]:
        """The votes, and how often they had to be counted."""
        chosen, views = self.corrupted(root, *overrides)
        counts = 0

        def count(views: Sequence[View], init: HullConfig) -> Votes:
            nonlocal counts
            counts += 1
            return hull_votes(views, init)

        votes = Cache(cache).votes(chosen.dataset, CONTENT, chosen.corruption, chosen.init, views, count)
        assert np.array_equal(votes.counts, hull_votes(views, chosen.init).counts)
        assert votes.floor == hull_votes(views, chosen.init).floor
        return votes, counts

    def test_they_are_counted_once_for_every_higher_consistency(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        level = "corruption.level=0.05"
        chosen = ("init.consistency=0.5", "init.consistency=0.5", "init.consistency=0.8", "init.consistency=0.3")
        found = [self.counted(tiny_scene_root, tmp_path / "cache", level, overrides)[1] for overrides in chosen]
        assert found == [1, 0, 0, 1]

    @pytest.mark.parametrize(
        "changed", ["corruption.level=0.06", "corruption.seed=1", "corruption=holes", "init.lattice=41"]
    )
    def test_whatever_changes_them_counts_anew(self, changed: str, tiny_scene_root: Path, tmp_path: Path) -> None:
        base = ("corruption.level=0.05", "init.consistency=0.5")
        self.counted(tiny_scene_root, tmp_path / "cache", *base)
        assert self.counted(tiny_scene_root, tmp_path / "cache", *base, changed)[1] == 1

    def test_a_spoilt_entry_is_counted_anew(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        self.counted(tiny_scene_root, tmp_path / "cache")
        for path in (tmp_path / "cache" / "votes").iterdir():
            path.write_bytes(b"spoilt")
        assert self.counted(tiny_scene_root, tmp_path / "cache")[1] == 1

    def test_a_hull_that_is_empty_is_an_error_with_votes_at_hand_too(
        self, tiny_scene_root: Path, tmp_path: Path
    ) -> None:
        half_dropped = ("corruption=dropout", "corruption.level=0.5")
        self.counted(tiny_scene_root, tmp_path / "cache", *half_dropped, "init.consistency=0.2")
        chosen, views = self.corrupted(tiny_scene_root, *half_dropped, "init.consistency=1")
        with pytest.raises(UserError, match=r"init\.consistency: the hull is empty"):
            Cache(tmp_path / "cache").votes(chosen.dataset, CONTENT, chosen.corruption, chosen.init, views, hull_votes)
