"""How many views call each point of a lattice foreground."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pointrad.camera import Float64Array, to_pixels
from pointrad.data.scene import Float32Array, View
from pointrad.kernel_cache import kernel
from pointrad.schema import Bounds

_LEAF = 8  # lattice points along an edge of the smallest block; its points are tested one by one
_ROOT = 32  # of the largest block, a thread's unit of work
_BACKGROUND, _FOREGROUND, _MIXED = 0, 1, 2
in_pixels = numba.njit(nogil=True, error_model="numpy")(to_pixels)  # the projection, for kernels


@dataclass(frozen=True)
class Lattice:
    """A box of points in world units, equally far from each other along x, y and z.

    size: the number of points along the longest side of `bounds`; shorter sides have fewer. Point i of an axis lies at
    low + longest * i / size, `low` being the axis's lower bound and `longest` the length of the longest side.
    """

    size: int
    bounds: Bounds

    @property
    def longest(self) -> float:
        """The length of the longest side, world units."""
        return max(high - low for low, high in self.bounds)

    @property
    def step(self) -> float:
        """World units between neighbouring points."""
        return self.longest / self.size

    @property
    def shape(self) -> tuple[int, int, int]:
        """The number of points along x, y and z."""
        x, y, z = (max(1, round(self.size * (high - low) / self.longest)) for low, high in self.bounds)
        return x, y, z

    def positions(self, indices: NDArray[np.integer[Any]]) -> Float64Array:
        """The coordinates of the points at `indices` [..., 3] (x, y, z), same shape, float64, world units."""
        low = np.array([low for low, _ in self.bounds])
        return low + self.longest * indices.astype(np.float64) / self.size


@dataclass(frozen=True)
class Votes:
    """How many views call each lattice point foreground.

    counts: [X, Y, Z] uint16, the lattice's shape. floor: how many votes were asked for; `count_votes` records
    fewer as 0. views: the number of views that voted.
    """

    lattice: Lattice
    counts: NDArray[np.uint16]
    views: int
    floor: int


def count_votes(
    views: Sequence[View],
    lattice: Lattice,
    margin: float,
    floor: int = 0,
    among: NDArray[np.uint16] | None = None,
    beyond: Sequence[bool] = (),
) -> Votes:
    """Count for every lattice point the views that call it foreground.

    A point votes in a view where any of the four pixels around its projection has mask > 0 (those that exist, next to
    the image's edge), or where its projection lies outside the image by at most `margin` half-widths (of the width, on
    both axes). Farther outside and behind the camera it does in the views that are `beyond`; () for none.

    Counts below `floor` are recorded as 0, which lets whole blocks be given up early; all others are exact: equal to
    those of a plain loop over points and views in float64, whatever the number of threads. among: [X, Y, Z], other
    counts of the lattice; only where it is not 0 are the counts asked for, and elsewhere they may be 0.
    """
    padded = -(-max(lattice.shape) // _ROOT) * _ROOT  # blocks reach past the lattice's end; what is there is dropped
    axes = np.ascontiguousarray(lattice.positions(np.arange(padded)[:, None]).T)
    projections = _Projections.of(views, lattice, margin, beyond)
    counts = np.zeros(lattice.shape, np.uint16)

    def count(corner: tuple[int, int, int]) -> None:
        _count_root(*corner, axes, *projections.arrays, floor, counts)

    blocks_x, blocks_y, blocks_z = (range(0, size, _ROOT) for size in lattice.shape)
    corners = list(product(blocks_x, blocks_y, blocks_z))
    if among is not None:
        corners = [at for at in corners if among[tuple(slice(start, start + _ROOT) for start in at)].any()] or corners[
            :1
        ]
    count(corners[0])  # before the bar: where it has to be compiled, that says nothing of how long the others take
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        for _ in tqdm(
            pool.map(count, corners[1:]), "hull votes", len(corners), initial=1, unit="block", leave=False, disable=None
        ):
            pass
    return Votes(lattice, counts, len(views), floor)


def described(bounds: Bounds) -> str:
    """Bounds as one writes them on the command line: one pair where all axes have the same."""
    pairs = [f"[{low:g},{high:g}]" for low, high in bounds]
    return pairs[0] if len(set(bounds)) == 1 else f"[{','.join(pairs)}]"


@dataclass(frozen=True)
class _Projections:
    """What the counting needs of V views, as arrays.

    A projection falls into one of W + 5 columns: far left of the image, in its left margin, W + 1 between pixel
    centres and the image's edges (which have the same two neighbouring pixels throughout), right margin, far right;
    and likewise into one of H + 5 rows. So `foreground` answers every case, and its `sums` any box of them. H and W are
    the greatest of any view; what a smaller view's table has beyond its own rows and columns, no projection falls into.
    """

    cameras: Float64Array  # [V, 3, 4] world to image axes
    intrinsics: Float64Array  # [V, 4] fx, fy, cx, cy, pixels
    nears: Float64Array  # [V] depth below which a block is too close to bound its footprint
    frames: Float64Array  # [V, 3] width, height and margin, pixels
    foreground: NDArray[np.uint8]  # [V, H + 5, W + 5] 1 where a point votes
    sums: NDArray[np.int32]  # [V, H + 6, W + 6] sum of `foreground` above and left of each corner

    @classmethod
    def of(cls, views: Sequence[View], lattice: Lattice, margin: float, beyond: Sequence[bool]) -> _Projections:
        cameras = np.stack([view.camera.world_to_image for view in views])
        farthest = np.array([*(max(abs(low), abs(high)) for low, high in lattice.bounds), 1.0])
        sizes = [(view.camera.width, view.camera.height) for view in views]
        votes_beyond = beyond or [False] * len(views)
        tables = zip(views, votes_beyond, strict=True)
        foreground = _padded([_foreground(view.mask, margin > 0, farther) for view, farther in tables])
        _, rows, columns = foreground.shape
        sums = np.zeros((len(views), rows + 1, columns + 1), np.int32)
        np.cumsum(np.cumsum(foreground, axis=1, dtype=np.int32), axis=2, out=sums[:, 1:, 1:])
        return cls(
            cameras=cameras,
            intrinsics=np.array([view.camera.intrinsics for view in views]),
            nears=1e-3 * (np.abs(cameras) @ farthest).max(axis=1),
            frames=np.array([(width, height, margin * (width / 2)) for width, height in sizes]),
            foreground=foreground,
            sums=sums,
        )

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        return self.cameras, self.intrinsics, self.nears, self.frames, self.foreground, self.sums


def _foreground(mask: Float32Array, margin: bool, beyond: bool) -> NDArray[np.uint8]:
    """[H + 5, W + 5] uint8, 1 where a projection votes, in the margin and beyond if these do; see `_Projections`."""
    height, width = mask.shape
    pixels = np.pad(mask > 0, 1)
    table = np.full((height + 5, width + 5), beyond, np.uint8)
    table[1:-1, 1:-1] = margin or beyond
    table[2:-2, 2:-2] = pixels[:-1, :-1] | pixels[:-1, 1:] | pixels[1:, :-1] | pixels[1:, 1:]
    return table


def _padded(tables: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """[V, H, W] tables of several sizes, each in the top left of its own, with 0 beyond."""
    height, width = np.max([table.shape for table in tables], axis=0)
    padded = np.zeros((len(tables), height, width), np.uint8)
    for own, table in zip(padded, tables, strict=True):
        own[: table.shape[0], : table.shape[1]] = table
    return padded


@numba.njit(nogil=True)
def _cell(position, length, margin):  # type: ignore[no-untyped-def]
    """The column (or row) of `_Projections` that a pixel coordinate falls into; monotone in the coordinate."""
    inside = min(max(position, 0.0), length)
    cell = np.int32(np.floor(inside - 0.5)) + np.int32(3)
    cell -= np.int32(position < 0.0) + np.int32(position < -margin)
    cell += np.int32(position > length) + np.int32(position > length + margin)
    return cell


@numba.njit(nogil=True, error_model="numpy")
def _classify(low, high, camera, intrinsics, near, frame, sums):  # type: ignore[no-untyped-def]
    """Whether all points of the box from `low` to `high` (world) are background, foreground or neither in a view."""
    lens = fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    left = top = np.inf
    right = bottom = -np.inf
    nearest, farthest = np.inf, -np.inf
    for corner in range(8):
        x = high[0] if corner & 1 else low[0]
        y = high[1] if corner & 2 else low[1]
        z = high[2] if corner & 4 else low[2]
        depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 3] + camera[2, 2] * z
        across = camera[0, 0] * x + camera[0, 1] * y + camera[0, 3] + camera[0, 2] * z
        down = camera[1, 0] * x + camera[1, 1] * y + camera[1, 3] + camera[1, 2] * z
        u, v = in_pixels(across, down, depth, lens)
        nearest, farthest = min(nearest, depth), max(farthest, depth)
        left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
    if farthest < -near:
        return _FOREGROUND if sums[1, 1] else _BACKGROUND  # as far outside
    if nearest < near:
        return _MIXED
    # With all depths above `near`, a projection's rounding error is below 1e-8 focal lengths; the padding covers it.
    padding = 1e-6 * (fx + fy + abs(cx) + abs(cy) + frame[0] + frame[1])
    column_0 = _cell(left - padding, frame[0], frame[2])
    column_1 = _cell(right + padding, frame[0], frame[2]) + 1
    row_0 = _cell(top - padding, frame[1], frame[2])
    row_1 = _cell(bottom + padding, frame[1], frame[2]) + 1
    votes = sums[row_1, column_1] - sums[row_0, column_1] - sums[row_1, column_0] + sums[row_0, column_0]
    if votes == 0:
        return _BACKGROUND
    return _FOREGROUND if votes == (row_1 - row_0) * (column_1 - column_0) else _MIXED


@numba.njit(nogil=True, error_model="numpy")
def _add_votes(xs, ys, zs, camera, intrinsics, frame, foreground, cells, votes):  # type: ignore[no-untyped-def]
    """Add one view's votes to a leaf's [8, 8, 8]. The scratch `cells` [8] splits arithmetic, which vectorises, from
    look-ups, which do not."""
    stride = np.int32(foreground.shape[1])
    table = foreground.reshape(-1)
    width, height, margin = frame[0], frame[1], frame[2]
    lens = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    for i in range(_LEAF):
        for j in range(_LEAF):
            row_x = camera[0, 0] * xs[i] + camera[0, 1] * ys[j] + camera[0, 3]
            row_y = camera[1, 0] * xs[i] + camera[1, 1] * ys[j] + camera[1, 3]
            row_z = camera[2, 0] * xs[i] + camera[2, 1] * ys[j] + camera[2, 3]
            for k in range(_LEAF):
                depth = row_z + camera[2, 2] * zs[k]
                u, v = in_pixels(row_x + camera[0, 2] * zs[k], row_y + camera[1, 2] * zs[k], depth, lens)
                cell = _cell(v, height, margin) * stride + _cell(u, width, margin)
                cells[k] = cell if depth > 0.0 else np.int32(0)  # cell 0 is far outside
            for k in range(_LEAF):
                votes[i, j, k] += table[cells[k]]


@numba.njit(nogil=True)
def _most(votes):  # type: ignore[no-untyped-def]
    most = np.uint16(0)
    for count in votes.reshape(-1):
        most = max(most, count)
    return most


@numba.njit(nogil=True)
def _count_leaf(i, j, k, axes, cameras, intrinsics, frames, foreground, mixed, sure, floor, counts):  # type: ignore[no-untyped-def]
    """Count a block point by point in the `mixed` views, upon `sure` votes it has as a whole."""
    votes = np.empty((_LEAF, _LEAF, _LEAF), np.uint16)
    votes[:] = sure
    cells = np.empty(_LEAF, np.int32)
    xs, ys, zs = axes[0, i : i + _LEAF], axes[1, j : j + _LEAF], axes[2, k : k + _LEAF]
    for done in range(mixed.size):
        if _most(votes) + (mixed.size - done) < floor:
            return
        view = mixed[done]
        _add_votes(xs, ys, zs, cameras[view], intrinsics[view], frames[view], foreground[view], cells, votes)
    for a in range(min(_LEAF, counts.shape[0] - i)):
        for b in range(min(_LEAF, counts.shape[1] - j)):
            for c in range(min(_LEAF, counts.shape[2] - k)):
                counts[i + a, j + b, k + c] = votes[a, b, c] if votes[a, b, c] >= floor else 0


@kernel(nogil=True)
def _count_root(i, j, k, axes, cameras, intrinsics, nears, frames, foreground, sums, floor, counts):  # type: ignore[no-untyped-def]
    """Count the block of _ROOT^3 points from (i, j, k): an octree walked depth first on a stack.

    Of each block, only the views that its parent left undecided are looked at again.
    """
    size_x, size_y, size_z = counts.shape
    stack = np.empty((8 * 8, 5), np.int64)  # corner, edge, votes of the whole block
    undecided = np.empty((8 * 8, cameras.shape[0]), np.int64)  # the views a block on the stack has yet to look at
    lengths = np.empty(8 * 8, np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3], stack[0, 4] = i, j, k, _ROOT, 0
    for view in range(cameras.shape[0]):
        undecided[0, view] = view
    lengths[0] = cameras.shape[0]
    mixed = np.empty(cameras.shape[0], np.int64)
    low, high = np.empty(3), np.empty(3)
    top = 1
    while top > 0:
        top -= 1
        edge, sure = stack[top, 3], stack[top, 4]
        for d in range(3):
            low[d], high[d] = axes[d, stack[top, d]], axes[d, stack[top, d] + edge - 1]
        length = lengths[top]
        left = 0
        for n in range(length):
            view = undecided[top, n]
            kind = _classify(low, high, cameras[view], intrinsics[view], nears[view], frames[view], sums[view])
            if kind == _MIXED:
                mixed[left] = view
                left += 1
            sure += kind == _FOREGROUND
            if sure + left + (length - 1 - n) < floor:
                break
        if sure + left < floor or (left == 0 and sure == 0):
            continue
        a, b, c = stack[top, 0], stack[top, 1], stack[top, 2]
        if left == 0:
            counts[a : min(a + edge, size_x), b : min(b + edge, size_y), c : min(c + edge, size_z)] = sure
        elif edge == _LEAF:
            _count_leaf(a, b, c, axes, cameras, intrinsics, frames, foreground, mixed[:left], sure, floor, counts)
        else:
            half = edge // 2
            for child in range(8):
                x = a + half * (child & 1)
                y = b + half * (child >> 1 & 1)
                z = c + half * (child >> 2)
                if x < size_x and y < size_y and z < size_z:
                    stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4] = x, y, z, half, sure
                    for n in range(left):
                        undecided[top, n] = mixed[n]
                    lengths[top] = left
                    top += 1
