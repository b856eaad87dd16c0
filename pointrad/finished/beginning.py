"""What a run that is done started from, found again from its data: the hull of its masks, and the points in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from pointrad.camera import Float64Array
from pointrad.data.capture import load_scene
from pointrad.finished.load import FinishedRun
from pointrad.init.hull import hull_votes
from pointrad.init.start import TrainingViews, start
from pointrad.init.votes import Votes
from pointrad.progress import announce
from pointrad.run.frames import informed
from pointrad.run.job import with_wrong_masks

_MOST_CELLS = 256  # along a mesh: the hull of a larger one is seen on a coarser lattice


@dataclass(frozen=True)
class Mesh:
    """vertices: [V, 3] float64, world units. faces: [F, 3] indices of vertices, whose fronts look out."""

    vertices: Float64Array
    faces: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Points:
    """positions: [N, 3] float64, world units. colours: [N, 3] float32 RGB in [0, 1]."""

    positions: Float64Array
    colours: NDArray[np.float32]


@dataclass(frozen=True)
class Beginning:
    """What a frame of a run started from; in place of what there is not, why."""

    hull: Mesh | str
    points: Points | str


def views_at_start(run: FinishedRun, frame: int, root: Path | None) -> TrainingViews:
    """Those of a frame of a moving scene; of what does not move, 0. Masks are the given ones, with their errors.

    root: where the data lies now, None for where it lay. Raises UserError for what is wrong with the data.
    """
    announce(f"{run.folder}: loading the views that training started from")
    return with_wrong_masks(run.config, load_scene(run.captures(root)[frame], run.config.eval.split))


def beginning(run: FinishedRun, frame: int, views: TrainingViews) -> Beginning:
    """As training found it, in as much time. views: the frame's. Raises UserError where they show no object by now."""
    config, after = run.config, run.config.schedule.next
    if 0 < frame < run.frames:
        views = informed(views, run.at_frame(frame - 1).cloud, run.frame)
    begun = start(config.init.at(run.bounds), views, config.model.darkening, config.seed, hull_votes)
    hull = f"init={config.init.name} has none" if begun.find_votes is None else mesh_of(begun.find_votes())
    if frame and after is not None and after.start == "before":
        return Beginning(hull, f"frame {frame} starts from the splats of frame {frame - 1}")
    points = begun.find_points()
    return Beginning(hull, Points(points.positions, points.colours))


def mesh_of(votes: Votes) -> Mesh:
    """The surface of the lattice points that have votes, by marching cubes; it lies half a step outside of them.

    A hull of more than 256 points along a side is that of blocks of points at least half of which have votes.
    """
    inside = votes.counts > 0
    ends = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    first = np.array([low for low, _ in ends])
    box = inside[tuple(slice(low, high + 1) for low, high in ends)]
    block = -(-max(box.shape) // _MOST_CELLS)
    around = [(block, block + -length % block) for length in box.shape]  # so that the surface is closed
    shares = np.pad(box, around).astype(np.float32)
    for axis in range(3):
        shares = np.add.reduceat(shares, range(0, shares.shape[axis], block), axis=axis)
    vertices, faces, _, _ = marching_cubes(shares / block**3, 0.5, gradient_direction="ascent")  # type: ignore[no-untyped-call]
    indices = first + block * (vertices - 1) + (block - 1) / 2
    low = np.array([low for low, _ in votes.lattice.bounds])
    return Mesh(low + votes.lattice.step * indices, faces)
