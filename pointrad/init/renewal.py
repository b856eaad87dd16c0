"""Where the hull of a moving object has left what it was, and what it newly is; and which pictures it has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from pointrad.camera import Camera, Float64Array, to_pixels
from pointrad.data.scene import View
from pointrad.init.votes import Lattice, Votes

Cells = NDArray[np.bool_]  # [X, Y, Z], of a lattice


def widened(votes: Votes, slack: int) -> Cells:
    """The points of a lattice that have votes, and those up to so many steps beside them on any axis."""
    inside = votes.counts > 0
    wide = np.zeros(inside.shape, bool)
    if not inside.any():
        return wide
    ends = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    box = tuple(slice(max(0, low - slack), high + 1 + slack) for low, high in ends)  # the lattice is far larger
    wide[box] = maximum_filter(inside[box], 2 * slack + 1)
    return wide


def among(cells: Cells, lattice: Lattice, positions: Float64Array) -> NDArray[np.bool_]:
    """[N] whether the points of the lattice that are nearest to positions [N, 3] (world units) are of these."""
    low = np.array([low for low, _ in lattice.bounds])
    indices = np.rint((positions - low) / lattice.step).astype(np.int64)
    within = ((indices >= 0) & (indices < lattice.shape)).all(axis=1)
    found = np.zeros(len(positions), bool)
    found[within] = cells[tuple(indices[within].T)]
    return found


def scattered(cells: Cells, lattice: Lattice, count: int, seed: int) -> Float64Array:
    """[count, 3] positions (world units) at random in these cells; none where there is no cell."""
    rng = np.random.default_rng(seed)
    places = np.argwhere(cells)
    chosen = places[rng.integers(len(places), size=count)] if len(places) else places
    low = np.array([low for low, _ in lattice.bounds])
    return low + lattice.step * (chosen + rng.uniform(-0.5, 0.5, chosen.shape))


def told_to_leave(views: Sequence[View], positions: Float64Array) -> tuple[View, ...]:
    """The views, told that the object leaves their pictures where part of it was outside in the frame before.

    positions: [N, 3], those of the cloud of the frame before, world units. What has left a picture altogether shows no
    longer in the mask that it did, and would be taken for background that the view sees.
    """
    return tuple(replace(view, leaves=_some_outside(view.camera, positions)) for view in views)


def _some_outside(camera: Camera, positions: Float64Array) -> bool:
    across, down, depth = camera.world_to_image[:, :3] @ positions.T + camera.world_to_image[:, 3:]
    ahead = depth > 0
    u, v = to_pixels(across[ahead], down[ahead], depth[ahead], camera.intrinsics)
    outside = (u < 0) | (v < 0) | (u > camera.width) | (v > camera.height)
    return bool(outside.any()) or not ahead.all()
