"""The points that a cloud starts from: some of a hull, coloured from the views."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from pointrad.camera import Float64Array
from pointrad.data.scene import Float32Array, View
from pointrad.errors import UserError
from pointrad.init.config import CustomStartConfig, InitConfig, PointCountConfig, RandomConfig
from pointrad.init.votes import Votes, in_pixels
from pointrad.kernel_cache import kernel

_POINTS_PER_TASK = 16384
_GREY = 0.5  # the colour of points of which no view tells one


@dataclass(frozen=True)
class InitialPoints:
    """The points a cloud starts from, in lattice order.

    positions: [N, 3] float64 world units. colours: [N, 3] float32 RGB in [0, 1]. votes: [N] uint16 of the lattice point
    each came from. hull_points: lattice points in the hull, of which these are a part; 0 without a hull. needed: votes
    a point needed.
    """

    positions: Float64Array
    colours: Float32Array
    votes: NDArray[np.uint16]
    hull_points: int
    needed: int


def initialise(views: Sequence[View], votes: Votes, config: InitConfig, seed: int) -> InitialPoints:
    """A random part, `config.kept_share`, of the points that have `votes` (at least one), coloured from the views.

    A point's colour is the mean over all views that have it inside their image of the bilinear colour there, weighted
    as the squared error of that pixel is (`View.weight`), and left out if any of the four pixels has a weight of 0;
    mid-grey if there is none. `config.jitter` moves the points, in lattice steps, before they are coloured. The same
    views, votes, config and seed give the same points whatever the number of threads.
    """
    lattice = votes.lattice
    hull = np.flatnonzero(votes.counts > 0)  # several times as fast as of whole numbers
    rng = np.random.default_rng(seed)
    if isinstance(config.kept_share, PointCountConfig):
        drawn_from = hull if config.kept_share.of == "hull" else _surface(hull, lattice.shape)
        kept = min(config.kept_share.points, drawn_from.size)
    else:
        drawn_from, kept = hull, max(1, round(config.kept_share * hull.size))
    chosen = np.sort(rng.choice(drawn_from, kept, replace=False, shuffle=False))
    positions = lattice.positions(np.stack(np.unravel_index(chosen, votes.counts.shape), axis=1))
    positions += rng.uniform(-config.jitter, config.jitter, positions.shape) * lattice.step
    return InitialPoints(
        positions=positions,
        colours=colours_seen(views, positions),
        votes=votes.counts.ravel()[chosen],
        hull_points=int(hull.size),
        needed=votes.floor,
    )


def scatter(config: RandomConfig, seed: int) -> InitialPoints:
    """Points drawn uniformly in the bounds, mid-grey: what they should look like, training finds out."""
    low, high = np.array(config.box).T
    positions = np.random.default_rng(seed).uniform(low, high, (config.points, 3))
    return InitialPoints(
        positions=positions,
        colours=np.full(positions.shape, _GREY, np.float32),
        votes=np.zeros(config.points, np.uint16),
        hull_points=0,
        needed=0,
    )


def place(config: CustomStartConfig, views: Sequence[View], seed: int) -> InitialPoints:
    """The points of a user's own start. Raises UserError for what are no points or no colours of them."""
    positions = np.asarray(config.place(views, np.random.default_rng(seed)), np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or not len(positions) or not np.isfinite(positions).all():
        raise UserError(
            f"init={config.name}: found points of shape {positions.shape}; expected [N, 3], all finite, at least one"
        )
    colours = np.asarray(config.colour(views, positions), np.float32)
    if colours.shape != positions.shape:
        raise UserError(f"init={config.name}: found colours of shape {colours.shape} of {len(positions)} points")
    return InitialPoints(
        positions=positions,
        colours=colours,
        votes=np.zeros(len(positions), np.uint16),
        hull_points=0,
        needed=0,
    )


def _surface(hull: NDArray[np.intp], shape: tuple[int, int, int]) -> NDArray[np.intp]:
    """Those of the points of a hull, at least one, one of whose six neighbours is not part of it; as indices into the
    flattened lattice of this shape, in their order."""
    indices = np.stack(np.unravel_index(hull, shape))
    corner = indices.min(axis=1, keepdims=True) - 1  # of a box with a margin of one; the lattice is far larger
    inside = tuple(indices - corner)
    box = np.zeros(np.max(inside, axis=1) + 2, bool)
    box[inside] = True
    inner = box.copy()
    for axis in range(3):
        inner &= np.roll(box, 1, axis) & np.roll(box, -1, axis)
    surface: NDArray[np.intp] = hull[~inner[inside]]
    return surface


def colours_seen(views: Sequence[View], positions: Float64Array) -> Float32Array:
    """[N, 3] float32: the mean bilinear colour of points in the views that have them in their image, by weight."""
    sums = np.zeros_like(positions)
    weights = np.zeros(len(positions))
    cameras = [view.camera.world_to_image for view in views]
    everywhere = {size: np.ones(size, np.float32) for size in {view.mask.shape for view in views}}

    def colour(start: int) -> None:
        part = slice(start, start + _POINTS_PER_TASK)
        for view, camera in zip(views, cameras, strict=True):
            weight = everywhere[view.mask.shape] if view.weight is None else view.weight
            _add_colours(positions[part], camera, view.camera.intrinsics, view.image, weight, sums[part], weights[part])

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        list(pool.map(colour, range(0, len(positions), _POINTS_PER_TASK)))
    seen = weights[:, None] > 0
    colours = np.where(seen, sums / np.where(seen, weights[:, None], 1), _GREY)
    return colours.astype(np.float32)


@kernel(nogil=True, error_model="numpy")
def _add_colours(positions, camera, intrinsics, image, weight, sums, weights):  # type: ignore[no-untyped-def]
    """Add one view's bilinear colour at each point's projection to `sums`, times its squared weight, and that to
    `weights`: the colour that then has the least squared error."""
    height, width = image.shape[0], image.shape[1]
    for n in range(len(positions)):
        p = positions[n]
        depth = camera[2, 0] * p[0] + camera[2, 1] * p[1] + camera[2, 2] * p[2] + camera[2, 3]
        if depth <= 0.0:
            continue
        across = camera[0, 0] * p[0] + camera[0, 1] * p[1] + camera[0, 2] * p[2] + camera[0, 3]
        down = camera[1, 0] * p[0] + camera[1, 1] * p[1] + camera[1, 2] * p[2] + camera[1, 3]
        u, v = in_pixels(across, down, depth, intrinsics)
        if u < 0.0 or u > width or v < 0.0 or v > height:
            continue
        # Pixel centres lie at +0.5; within half a pixel of the edge the edge's colour is continued.
        column, row = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
        right, down = u - 0.5 - column, v - 0.5 - row
        column_0, column_1 = max(column, 0), min(column + 1, width - 1)
        row_0, row_1 = max(row, 0), min(row + 1, height - 1)
        nearest = weight[min(int(v), height - 1), min(int(u), width - 1)]
        least = min(weight[row_0, column_0], weight[row_0, column_1], weight[row_1, column_0], weight[row_1, column_1])
        w = np.float64(nearest if least > 0.0 else 0.0) ** 2
        for c in range(3):
            above = (1.0 - right) * image[row_0, column_0, c] + right * image[row_0, column_1, c]
            below = (1.0 - right) * image[row_1, column_0, c] + right * image[row_1, column_1, c]
            sums[n, c] += w * ((1.0 - down) * above + down * below)
        weights[n] += w
