"""Preparation that runs share, kept on disk: loaded images and the votes of corrupted masks.

An entry's name is a hash of all that decides it, the content of the data included, so an entry is never out of date. It
is a folder of arrays with checksums, which reading verifies. Whatever is wrong with an entry, or with the whole folder,
is told once and costs time, never the run. The folder may be deleted at any time.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pointrad.camera import Camera
from pointrad.corruption.base import CorruptionConfig
from pointrad.data.capture import Capture
from pointrad.data.content import FileDigests, scene_content, scene_contents
from pointrad.data.scene import BACKGROUNDS, Float32Array, Scene, SceneContent, Split, View
from pointrad.errors import UserError
from pointrad.init.config import HullConfig
from pointrad.init.evidence import in_a_row
from pointrad.init.hull import votes_needed
from pointrad.init.votes import Lattice, Votes
from pointrad.method import METHOD_VERSION
from pointrad.run.cache_entry import Array, read_entry, write_entry
from pointrad.schema import codes, digest

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Cache:
    """A folder of entries; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._digests = FileDigests(folder)
        self._warned = False

    def content(self, capture: Capture, split: Split) -> SceneContent:
        """What the files contain that `scene` would load."""
        return scene_content(capture, split, self._digests)

    def contents(self, captures: Sequence[Capture], split: Split) -> tuple[SceneContent, ...]:
        """`content` of each frame of a scene."""
        return tuple(scene_contents(captures, split, self._digests))

    def scene(self, capture: Capture, split: Split, content: SceneContent) -> Scene:
        """`capture.load` of files of this content, from memory-mapped arrays where they are kept.

        Raises UserError if the files change while they are read.
        """
        if self._folder is None:
            return self._loaded(capture, split, content)
        keys = {Split.TRAIN: _views_key(capture, content.train), split: _views_key(capture, content.evaluation)}
        entries = {part: self._folder / "views" / f"{key}-{part}" for part, key in keys.items()}
        found = {part: self._read(entry, _read_views) for part, entry in entries.items()}
        views = {part: of_part for part, of_part in found.items() if of_part is not None}
        if len(views) < len(entries):
            scene = self._loaded(capture, split, content)
            for part, entry in entries.items():
                if part not in views:
                    part_views = scene.train if part == Split.TRAIN else scene.evaluation
                    self._write(entry, partial(_write_views, part_views))
            return scene
        return Scene(capture.name, views[Split.TRAIN], views[split], BACKGROUNDS[capture.dataset.background])

    def _loaded(self, capture: Capture, split: Split, content: SceneContent) -> Scene:
        scene = capture.load(split)
        if self.content(capture, split) != content:
            raise UserError(f"{capture.folder}: found files that changed while they were read")
        return scene

    def votes(
        self,
        capture: Capture,
        content: SceneContent,
        corruption: CorruptionConfig,
        init: HullConfig,
        views: Sequence[View],
        count: Callable[[Sequence[View], HullConfig], Votes],
    ) -> Votes:
        """The votes of the corrupted training `views`, as `count` has them, at least from the number needed on."""
        if self._folder is None:
            return count(views, init)
        threshold = capture.masks.threshold_on(capture.dataset.background)
        key = _votes_key(_views_key(capture, content.train), threshold, corruption, init, views)
        entry = self._folder / "votes" / key
        needed = votes_needed(len(views), init.consistency)
        for floor in range(needed, -1, -1):  # of the entries, those that were counted from fewer votes on will do
            kept = self._read(entry.with_name(f"{entry.name}-{floor}"), partial(_read_votes, init, len(views), needed))
            if kept is not None and kept.counts.any():  # of an empty hull, counting says why
                return kept
        counted = count(views, init)
        self._write(entry.with_name(f"{entry.name}-{counted.floor}"), partial(_write_votes, counted))
        return counted

    def _read(self, entry: Path, read: Callable[[Path], T]) -> T | None:
        try:
            return read(entry) if os.path.lexists(entry) else None
        except Exception as error:  # whatever a damaged file makes of being read
            self._warn(f"{entry}: cannot be read ({error}); what it holds is made anew")
            return None

    def _write(self, entry: Path, write: Callable[[Path], None]) -> None:
        try:
            write(entry)
        except (OSError, MemoryError) as error:
            self._warn(f"{entry}: cannot be kept ({error}); other runs make what it holds anew")

    def _warn(self, message: str) -> None:
        """Once: what is wrong with one entry is often wrong with all."""
        if not self._warned:
            _log.warning("cache: %s", message)
        self._warned = True


def _views_key(capture: Capture, content: str) -> str:
    dataset, masks = capture.dataset, capture.masks
    kept = [field.name for kind in (View, Camera) for field in fields(kind)]
    keys = dataset.decisive(), masks.decisive(dataset.background)
    return digest([content, *keys, kept, "pixels of all views in a row", METHOD_VERSION, *codes(dataset, masks)])


def _votes_key(
    content: str, threshold: float, corruption: CorruptionConfig, init: HullConfig, views: Sequence[View]
) -> str:
    outside = init.outside, init.margin, init.seen_share, *(view.name for view in views if view.leaves)
    return digest([content, threshold, corruption.decisive(), init.lattice, init.box, outside, *codes(corruption)])


def _write_views(views: Sequence[View], entry: Path) -> None:
    pixels = [_pixels(view) for view in views]
    names = dict.fromkeys(name for of_view in pixels for name in of_view)
    rows = {name: in_a_row(of_view[name] for of_view in pixels if name in of_view) for name in names}
    write_entry(entry, rows, [_described(view) for view in views])


def _pixels(view: View) -> dict[str, Float32Array]:
    """All arrays that a view has."""
    values = {field.name: getattr(view, field.name) for field in fields(View)}
    return {name: array for name, array in values.items() if isinstance(array, np.ndarray)}


def _described(view: View) -> dict[str, object]:
    camera = asdict(view.camera) | {"camera_to_world": view.camera.camera_to_world.tolist()}
    shapes = {name: array.shape for name, array in _pixels(view).items()}
    return {"name": view.name, "split": view.split.value, "camera": camera, "shapes": shapes}


def _read_views(entry: Path) -> tuple[View, ...]:
    rows, described = read_entry(entry)
    return tuple(
        View(one["name"], Split(one["split"]), _camera(**one["camera"]), **pixels)
        for one, pixels in zip(described, _by_view(rows, [one["shapes"] for one in described]), strict=True)
    )


def _by_view(rows: Mapping[str, Array], shapes: Sequence[Mapping[str, Sequence[int]]]) -> Iterator[dict[str, Any]]:
    """Of each view the arrays of these shapes, from rows that hold those of all views one after another."""
    ends = dict.fromkeys(rows, 0)
    for of_view in shapes:
        starts = dict(ends)
        ends |= {name: starts[name] + math.prod(shape) for name, shape in of_view.items()}
        yield {name: rows[name][starts[name] : ends[name]].reshape(shape) for name, shape in of_view.items()}


def _camera(camera_to_world: list[list[float]], **optics: Any) -> Camera:
    return Camera(np.array(camera_to_world, np.float64), **optics)


def _write_votes(votes: Votes, entry: Path) -> None:
    """Points with votes only; a hull is a small part of its lattice."""
    points = np.flatnonzero(votes.counts)
    write_entry(entry, {"points": points.astype(np.uint32), "counts": votes.counts.ravel()[points]}, None)


def _read_votes(init: HullConfig, views: int, needed: int, entry: Path) -> Votes:
    """With counts below `needed` set to 0."""
    arrays, _ = read_entry(entry)
    lattice = Lattice(init.lattice, init.box)
    counts = np.zeros(math.prod(lattice.shape), np.uint16)
    counts[arrays["points"]] = np.where(arrays["counts"] >= needed, arrays["counts"], 0)
    return Votes(lattice, counts.reshape(lattice.shape), views, needed)
