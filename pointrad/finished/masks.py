"""The masks of a finished run's training views: those that it was given, and those that it put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pointrad.corruption import corrupt_views
from pointrad.data.photographs import mask_of_view
from pointrad.data.scene import Float32Array, Scene, View
from pointrad.finished.load import FinishedRun
from pointrad.masks.files import read_mask, replacing_name
from pointrad.repair.artifact import MASKS

ByView = Mapping[str, Float32Array]  # [H, W] in [0, 1], as a view has it, by the view's name


def given_masks(run: FinishedRun, scene: Scene) -> ByView:
    """As the run had them: with the errors of its corruption. scene: that of the run."""
    return {view.name: view.mask for view in corrupt_views(run.config.corruption, scene.train, scene.shots)}


def repaired_masks(run: FinishedRun, views: Sequence[View], root: Path | None) -> ByView:
    """Those in the run's folder; none of views without one. root: where the data lies now, None for where it lay."""
    if not (run.folder / MASKS).is_dir():
        return {}
    capture, split = run.capture(root), run.config.eval.split
    given, sizes = capture.given_masks(split), {view.name: view.mask.shape for view in views}
    found = {}
    for photo in capture.photos(split):
        path = run.folder / MASKS / replacing_name(given, photo, capture.folder)
        if photo.name in sizes and path.is_file():
            stored = read_mask(path)
            stored = 255 - stored if given.inverted else stored
            rows, columns = sizes[photo.name]
            found[photo.name] = mask_of_view(stored, photo.lens(stored.shape[1], stored.shape[0]), columns, rows)
    return found
