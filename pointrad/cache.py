"""Preparation that runs share, kept on disk: loaded images and the votes of corrupted masks.

An entry's name is a hash of all that decides it, the content of the data included, so an entry is never out of date.
The folder may be deleted at any time.
"""

from __future__ import annotations

import json
import math
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from pointrad.config import CorruptionConfig, DatasetConfig, HullConfig, digest
from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.hull import Lattice, Votes, votes_needed
from pointrad.method import METHOD_VERSION
from pointrad.scene.blender import BACKGROUNDS
from pointrad.scene.content import FileDigests, scene_content
from pointrad.scene.loading import load_scene, scene_folder
from pointrad.scene.types import Camera, Scene, SceneContent, Split, View


class Cache:
    """A folder of entries; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._digests = FileDigests(folder)

    def content(self, dataset: DatasetConfig, name: str, split: Split) -> SceneContent:
        """What the files contain that `scene` would load."""
        return scene_content(dataset, name, split, self._digests)

    def scene(self, dataset: DatasetConfig, name: str, split: Split, content: SceneContent) -> Scene:
        """`load_scene` of files of this content, from memory-mapped arrays where they are kept.

        Raises UserError if the files change while they are read.
        """
        if self._folder is None:
            return self._loaded(dataset, name, split, content)
        keys = {Split.TRAIN: _views_key(dataset, content.train), split: _views_key(dataset, content.evaluation)}
        entries = {part: self._folder / "views" / f"{key}-{part}" for part, key in keys.items()}
        views = {part: _read_views(entry) or () for part, entry in entries.items()}
        sizes = {view.mask.shape for part in views.values() for view in part}
        if () in views.values() or len(sizes) > 1:  # of two sizes, loading says what is wrong
            scene = self._loaded(dataset, name, split, content)
            _write_views(entries[split], scene.evaluation)
            _write_views(entries[Split.TRAIN], scene.train)
            return scene
        return Scene(name, views[Split.TRAIN], views[split], BACKGROUNDS[dataset.background])

    def _loaded(self, dataset: DatasetConfig, name: str, split: Split, content: SceneContent) -> Scene:
        scene = load_scene(dataset, name, split)
        if self.content(dataset, name, split) != content:
            raise UserError(f"{scene_folder(dataset, name)}: found files that changed while they were read")
        return scene

    def votes(
        self,
        dataset: DatasetConfig,
        content: SceneContent,
        corruption: CorruptionConfig,
        init: HullConfig,
        views: Sequence[View],
        count: Callable[[Sequence[View], HullConfig], Votes],
    ) -> Votes:
        """The votes of the corrupted training `views`, as `count` has them, at least from the number needed on."""
        if self._folder is None:
            return count(views, init)
        lattice = Lattice(init.lattice, init.bounds)
        entry = self._folder / "votes" / _votes_key(_views_key(dataset, content.train), corruption, init)
        kept = _read_votes(entry, lattice, len(views), votes_needed(len(views), init.consistency))
        if kept is None or not kept.counts.any():  # of an empty hull, counting says why
            kept = count(views, init)
            _write_votes(entry, kept)
        return kept


def _views_key(dataset: DatasetConfig, content: str) -> str:
    return digest([content, dataset.model_dump(mode="json", exclude={"root"}), METHOD_VERSION])


def _votes_key(views: str, corruption: CorruptionConfig, init: HullConfig) -> str:
    return digest([views, corruption.decisive(), init.lattice, init.bounds, init.outside_margin])


def _write_views(entry: Path, views: Sequence[View]) -> None:
    temporary = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir(parents=True)
    try:
        np.save(temporary / "images.npy", np.stack([view.image for view in views]))
        np.save(temporary / "masks.npy", np.stack([view.mask for view in views]))
        (temporary / "views.json").write_text(json.dumps([_described(view) for view in views]), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # could not be read, or another process was as quick
        temporary.rename(entry)
    except OSError:  # a full disk: the run goes on without the entry
        pass
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _described(view: View) -> dict[str, object]:
    camera = asdict(view.camera) | {"camera_to_world": view.camera.camera_to_world.tolist()}
    return {"name": view.name, "split": view.split.value, "camera": camera}


def _read_views(entry: Path) -> tuple[View, ...] | None:
    try:
        described = json.loads((entry / "views.json").read_text(encoding="utf-8"))
        # Copy on write: runs side by side share the pages, and torch wants arrays that look writable.
        images = np.load(entry / "images.npy", mmap_mode="c")
        masks = np.load(entry / "masks.npy", mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    return tuple(
        View(one["name"], Split(one["split"]), _camera(**one["camera"]), image, mask)
        for one, image, mask in zip(described, images, masks, strict=True)
    )


def _camera(camera_to_world: list[list[float]], focal: float, width: int, height: int) -> Camera:
    return Camera(np.array(camera_to_world, np.float64), focal, width, height)


def _write_votes(entry: Path, votes: Votes) -> None:
    """Points with votes only; a hull is a small part of its lattice."""
    points = np.flatnonzero(votes.counts)
    with replacing(entry.with_name(f"{entry.name}-{votes.floor}.npz")) as path:
        np.savez(path, points=points.astype(np.uint32), counts=votes.counts.ravel()[points])


def _read_votes(entry: Path, lattice: Lattice, views: int, needed: int) -> Votes | None:
    """Of an entry whose floor is at most `needed`, with counts below `needed` set to 0."""
    for path in sorted(entry.parent.glob(f"{entry.name}-*.npz")):
        floor = int(path.stem.rsplit("-", 1)[1])
        if floor <= needed:
            try:
                with np.load(path) as kept:
                    points, found = kept["points"], kept["counts"]
            except (OSError, ValueError, KeyError, BadZipFile):
                continue
            counts = np.zeros(math.prod(lattice.shape), np.uint16)
            counts[points] = np.where(found >= needed, found, 0)
            return Votes(lattice, counts.reshape(lattice.shape), views, needed)
    return None
