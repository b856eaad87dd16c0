"""The CPU renderer's kernels: splatting in tiles, forward and backward, and the Adam update (Numba).

How it works, with a diagram, is in docs/renderer.md. In short, per view:

    project    every point: pixel coordinates and depth; points that touch no pixel are left out
    sort       the visible points by depth, stable in their index (radix sort); a place in this order is a *rank*
    bin        a *pair* for every tile that a splat touches; a tile's pairs are in depth order
    forward    a tile at a time, front to back, eight neighbouring pixels at once
    backward   a tile at a time, back to front; each pair adds to a *slot* of its own
    gather     each point sums its slots: no atomics, so results do not depend on the number of threads

Sorting and binning cut the points into a chunk per thread; both are stable, so the chunks leave no trace in the result.
"""

# Numba compiles these functions: they are written for its type inference and for LLVM's vectoriser, not for mypy.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange
from numba.cpython.unsafe.tuple import tuple_setitem
from numba.np.unsafe.ndarray import to_fixed_tuple

from pointrad.harmonics import Y0, Y1, Y2, Y2_XX_YY, Y2_ZZ
from pointrad.render.lanes import (
    LANES,
    any_of,
    ceil,
    floor,
    lanes,
    load,
    maximum,
    minimum,
    nothing,
    numbers,
    select,
    store,
    total,
)
from pointrad.scene.types import Float32Array

# Pixels of a tile. The larger, the fewer splats lie in several; beyond this size the cache and the balance between
# threads lose as much. The width divides those of usual images: padding is work in vain.
TILE_WIDTH = 80
TILE_HEIGHT = 32
PIXELS = TILE_WIDTH * TILE_HEIGHT
# Splats are passed over where all the cells (squares of a tile) that they lie in are full: cells are as wide as a
# vector. Forward looks for full cells once in so many pairs, since looking takes as long as some of them.
CELL = LANES
CELL_COLUMNS = TILE_WIDTH // CELL
CELLS = TILE_HEIGHT // CELL * CELL_COLUMNS
PAIRS_BETWEEN = 64
RADIX_BITS = 12
RADIX = 1 << RADIX_BITS
# Points of a block, 4 KB of each row: shorter stretches end before the prefetcher has found them, longer ones leave the
# first cache.
BLOCK = 1024

# A pixel whose transmittance falls below OPAQUE takes no more splats: what lies behind adds less than 1e-12 to it.
# SMALLEST_Q keeps the transmittance a normal float32, so that the backward pass can divide by q exactly as forward
# multiplied: OPAQUE * SMALLEST_Q = 1e-32. Both lie far below float32's resolution of a colour (6e-8).
OPAQUE = np.float32(1e-12)
SMALLEST_Q = np.float32(1e-20)

# error_model: a division by zero gives inf, as in C; Python's check for it would keep loops from being vectorised.
# So would max(a, b), whose NaN rules need branches: the loops over pixels write `a if a > b else b`.
_PARALLEL: dict[str, Any] = {"cache": True, "parallel": True, "nogil": True, "error_model": "numpy"}

_F0 = np.float32(0)
_F1 = np.float32(1)
_F2 = np.float32(2)
_HALF = np.float32(0.5)
_Y0, _Y1, _Y2 = np.float32(Y0), np.float32(Y1), np.float32(Y2)
_Y2_ZZ, _Y2_XX_YY = np.float32(Y2_ZZ), np.float32(Y2_XX_YY)


@njit(cache=True, inline="always", error_model="numpy")
def _chunk(index, chunks, count):
    """[start, stop) of chunk `index` of `chunks` of `count` items."""
    return index * count // chunks, (index + 1) * count // chunks


@njit(cache=True, inline="always", error_model="numpy")
def _tile_range(centre, radius, size, tiles):
    """First of the tiles of `size` pixels along one axis that a splat's pixels can lie in, and how many.

    In floats, whose quotients of whole numbers below 2^24 round to no wrong side of a whole number.
    """
    first = maximum(floor(ceil(centre - radius - _HALF) / np.float32(size)), lanes(_F0))
    last = minimum(floor(floor(centre + radius - _HALF) / np.float32(size)), lanes(np.float32(tiles - 1)))
    return first, maximum(last - first + _F1, lanes(_F0))


@njit(cache=True, inline="always", error_model="numpy")
def _tile(box, n, columns):
    """The n-th tile of a box, of all tiles of an image with so many columns."""
    return box[0] if n == 0 else box[0] + n // box[2] * columns + n % box[2]


@njit(cache=True, inline="always", error_model="numpy")
def _to_camera(parameters, i, m):
    """The camera's x, y, z of the points from the i-th on."""
    count = parameters.shape[1]
    px, py, pz = load(parameters, i), load(parameters, count + i), load(parameters, 2 * count + i)
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    return x, y, z


@njit(**_PARALLEL)
def project(parameters, world_to_image, focal, width, height, radius, u, v, depth, boxes, rank_of, totals):
    """Pixel coordinates u, v and depth [N] float32 of all points, and the tiles that their splats' squares touch.

    boxes: [N, 3] int32 out, the first tile, how many, and how many side by side; of 0 tiles if hidden. rank_of: [N]
    int32 out, -1 for hidden points. totals: [chunks, 2] int64 out, per chunk of points, those that touch the image and
    the tiles that they touch. Points behind the camera or beside the image get depth -1. The arithmetic is spelt out
    term by term in float32 so that it equals `projection.project` to the last bit, and with it the order of the splats.
    """
    m = world_to_image
    half_width, half_height = np.float32(width) * _HALF, np.float32(height) * _HALF
    columns, rows = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    wide, high = np.float32(width), np.float32(height)
    for chunk in prange(len(totals)):
        chunk_start, chunk_stop = _chunk(chunk, len(totals), parameters.shape[1])
        visible, pairs = 0, 0
        found = np.empty((6, BLOCK), np.float32)
        for start in range(chunk_start, chunk_stop, BLOCK):
            size = min(BLOCK, chunk_stop - start)
            # Whole vectors: beyond the last point, the positions' rows run into those of the colours.
            for i in range(0, size, LANES):
                x, y, z = _to_camera(parameters, start + i, m)
                pu, pv = focal * x / z + half_width, focal * y / z + half_height
                across = (pu + radius > _F0) & (pu - radius < wide)
                inside = (z > _F0) & across & (pv + radius > _F0) & (pv - radius < high)
                store(found, i, pu)
                store(found, BLOCK + i, pv)
                store(found, 2 * BLOCK + i, select(inside, z, lanes(-_F1)))
                first_column, beside = _tile_range(pu, radius, TILE_WIDTH, columns)
                first_row, below = _tile_range(pv, radius, TILE_HEIGHT, rows)
                store(found, 3 * BLOCK + i, first_row * np.float32(columns) + first_column)
                store(found, 4 * BLOCK + i, select(inside, beside * below, lanes(_F0)))
                store(found, 5 * BLOCK + i, beside)
            for i in range(size):
                u[start + i], v[start + i], depth[start + i] = found[0, i], found[1, i], found[2, i]
                box = boxes[start + i]
                box[1] = np.int32(found[4, i])
                pairs += box[1]
                if found[2, i] > _F0:
                    box[0], box[2] = np.int32(found[3, i]), np.int32(found[5, i])
                    visible += 1
                else:
                    rank_of[start + i] = -1
        totals[chunk, 0], totals[chunk, 1] = visible, pairs


@njit(**_PARALLEL)
def sort_by_depth(depth_bits, totals, keys, order, keys_other, order_other, histogram):
    """Indices of the visible points, nearest first and by index among equals; returns (how many, which buffer).

    depth_bits: [N] uint32, the bits of `depth`: positive floats order as their bits do, and hidden points have the
    sign bit set. totals: `project`'s; summed over the chunks before, in place. Stable least-significant-digit radix
    sort over the bits in which the depths differ.
    """
    chunks = len(totals)
    total, pairs = 0, 0
    for chunk in range(chunks):
        visible, touched = totals[chunk, 0], totals[chunk, 1]
        totals[chunk, 0], totals[chunk, 1] = total, pairs
        total += visible
        pairs += touched
    lowest = np.full(chunks, 0xFFFFFFFF, np.uint32)
    highest = np.zeros(chunks, np.uint32)
    for chunk in prange(chunks):
        start, stop = _chunk(chunk, chunks, depth_bits.size)
        at = totals[chunk, 0]
        low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
        for i in range(start, stop):
            bits = depth_bits[i]
            if bits < np.uint32(0x80000000):
                keys[at] = bits
                order[at] = i
                at += 1
                low, high = min(low, bits), max(high, bits)
        lowest[chunk], highest[chunk] = low, high
    if total == 0:
        return 0, False
    base = lowest.min()
    span = np.int64(highest.max()) - np.int64(base)
    swapped = False
    shift = 0
    while span >> shift > 0:
        if swapped:
            _radix_pass(keys_other, order_other, keys, order, histogram, total, base, shift)
        else:
            _radix_pass(keys, order, keys_other, order_other, histogram, total, base, shift)
        swapped = not swapped
        shift += RADIX_BITS
    return total, swapped


@njit(**_PARALLEL)
def _radix_pass(keys, order, keys_out, order_out, histogram, total, base, shift):
    chunks = histogram.shape[0]
    # All in 32 bits: Numba widens to 64 where a literal or another width takes part.
    bits, mask, one = np.uint32(shift), np.uint32(RADIX - 1), np.uint32(1)
    for chunk in prange(chunks):
        start, stop = _chunk(chunk, chunks, total)
        counts = histogram[chunk]
        counts[:] = 0
        for i in range(start, stop):
            counts[((keys[i] - base) >> bits) & mask] += one
    at = 0
    for digit in range(RADIX):
        for chunk in range(chunks):
            count = histogram[chunk, digit]
            histogram[chunk, digit] = at
            at += count
    for chunk in prange(chunks):
        start, stop = _chunk(chunk, chunks, total)
        places = histogram[chunk]
        for i in range(start, stop):
            digit = ((keys[i] - base) >> bits) & mask
            place = places[digit]
            places[digit] = place + one
            keys_out[place] = keys[i]
            order_out[place] = order[i]


@njit(**_PARALLEL)
def count_pairs(order, total, boxes, columns, starts, rank_of, slot_start, pairs_per_tile):
    """Count the splats of each tile, and turn this and the tiles of each splat into starting places.

    boxes: as `project` leaves them; starts: [chunks, 2] int64, its totals, summed over the chunks before by the sort.
    rank_of: [N] int32 out, the rank of each visible point. slot_start: [N + 1] int32 out, the first slot of each point,
    of which hidden ones have none; empty where nothing will be differentiated. pairs_per_tile: [chunks, tiles] int64
    out, where each chunk of ranks begins to write in each tile. Returns tile_start [tiles + 1] int64, where the pairs
    of each tile begin.
    """
    chunks, tiles = pairs_per_tile.shape
    slot_start[:1] = 0
    for chunk in prange(chunks):
        start, stop = _chunk(chunk, chunks, total)
        counts = pairs_per_tile[chunk]
        counts[:] = 0
        for rank in range(start, stop):
            i = order[rank]
            rank_of[i] = rank
            box = boxes[i]
            for n in range(box[1]):
                counts[_tile(box, n, columns)] += 1
        if slot_start.size:
            start, stop = _chunk(chunk, chunks, len(boxes))
            slot = starts[chunk, 1]
            for i in range(start, stop):
                slot += boxes[i, 1]
                slot_start[i + 1] = slot
    tile_start = np.empty(tiles + 1, np.int64)
    at = 0
    for tile in range(tiles):
        tile_start[tile] = at
        for chunk in range(chunks):
            count = pairs_per_tile[chunk, tile]
            pairs_per_tile[chunk, tile] = at
            at += count
    tile_start[tiles] = at
    return tile_start


@njit(cache=True)
def share_tiles(tile_start, threads):
    """Deal the tiles to threads, the fullest first and back and forth, so that all have about as much to do.

    tile_start: [tiles + 1] int64, the first pair of each tile. Returns tiles [tiles] int64, thread after thread, shares
    [threads + 1] int64, where each one's begin, and how many pairs the fullest tile has.
    """
    fullest_first = np.argsort(tile_start[:-1] - tile_start[1:], kind="mergesort")
    tiles = np.empty_like(fullest_first)
    shares = np.zeros(threads + 1, np.int64)
    at = 0
    for thread in range(threads):
        for place in range(fullest_first.size):
            turn = place % (2 * threads)
            if min(turn, 2 * threads - 1 - turn) == thread:
                tiles[at] = fullest_first[place]
                at += 1
        shares[thread + 1] = at
    fullest = fullest_first[0]
    return tiles, shares, tile_start[fullest + 1] - tile_start[fullest]


@njit(**_PARALLEL)
def fill_pairs(order, total, boxes, columns, slot_start, pairs_per_tile, pair_rank, pair_slot):
    """Write each tile's pairs in depth order: pair_rank, pair_slot [P] int32; the latter is empty if slot_start is."""
    chunks = pairs_per_tile.shape[0]
    for chunk in prange(chunks):
        start, stop = _chunk(chunk, chunks, total)
        places = pairs_per_tile[chunk]
        for rank in range(start, stop):
            i = order[rank]
            box = boxes[i]
            for n in range(box[1]):
                tile = _tile(box, n, columns)
                place = places[tile]
                places[tile] = place + 1
                pair_rank[place] = rank
                if pair_slot.size:
                    pair_slot[place] = slot_start[i] + n


@njit(**_PARALLEL)
def pack_colours(parameters, u, v, rank_of, eye, harmonics, splats):
    """splats [total, 5] out: u, v and RGB of each rank, its harmonics (if on) at the camera-to-point direction."""
    count = rank_of.size
    for block in prange((count + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, count)
        size = stop - start
        colours = np.empty((3, BLOCK), np.float32)
        for c in range(3):
            colours[c, :size] = parameters[3 + c, start:stop]
        if harmonics:
            values = np.empty((9, BLOCK), np.float32)
            _harmonics_of_block(
                parameters[0, start:stop], parameters[1, start:stop], parameters[2, start:stop], eye, values
            )
            for k in range(9):
                for c in range(3):
                    _add_product(colours[c], values[k], parameters[6 + 3 * k + c, start:stop])
        for i in range(size):
            rank = rank_of[start + i]
            if rank >= 0:
                splats[rank, 0] = u[start + i]
                splats[rank, 1] = v[start + i]
                splats[rank, 2] = colours[0, i]
                splats[rank, 3] = colours[1, i]
                splats[rank, 4] = colours[2, i]


@njit(cache=True, error_model="numpy")
def _harmonics_of_block(px, py, pz, eye, values):
    """values [9, BLOCK] out: `harmonics.basis` at the directions from the camera to the points."""
    for i in range(px.size):
        x, y, z = px[i] - eye[0], py[i] - eye[1], pz[i] - eye[2]
        scale = _F1 / np.sqrt(x * x + y * y + z * z)
        x, y, z = x * scale, y * scale, z * scale
        values[0, i] = _Y0
        values[1, i] = -_Y1 * y
        values[2, i] = _Y1 * z
        values[3, i] = -_Y1 * x
        values[4, i] = _Y2 * x * y
        values[5, i] = -_Y2 * y * z
        values[6, i] = _Y2_ZZ * (_F2 * z * z - x * x - y * y)
        values[7, i] = -_Y2 * x * z
        values[8, i] = _Y2_XX_YY * (x * x - y * y)


@njit(cache=True, error_model="numpy")
def _add_product(out, a, b):
    for i in range(b.size):
        out[i] += a[i] * b[i]


@njit(**_PARALLEL)
def pack_coefficients(parameters, u, v, rank_of, splats):
    """splats [total, 32] out: u, v, base RGB and the 27 harmonics of each rank, to be composited per pixel."""
    for i in prange(rank_of.size):
        rank = rank_of[i]
        if rank >= 0:
            splats[rank, 0] = u[i]
            splats[rank, 1] = v[i]
            for row in range(splats.shape[1] - 2):
                splats[rank, 2 + row] = parameters[3 + row, i]


@njit(cache=True, inline="always", error_model="numpy")
def _box(u, v, radius):
    """What a splat at (u, v) of a tile can touch of it: first and last row, first column, and vectors from there on.

    The vectors lie inside the tile, if need be by beginning left of the splat. A splat that touches nothing has no rows
    or no vectors.
    """
    first_row = max(np.int64(np.ceil(v - radius)), 0)
    last_row = min(np.int64(np.floor(v + radius)), TILE_HEIGHT - 1)
    first = max(np.int64(np.ceil(u - radius)), 0)
    last = min(np.int64(np.floor(u + radius)), TILE_WIDTH - 1)
    vectors = (last - first + LANES) // LANES
    return first_row, last_row, min(first, TILE_WIDTH - vectors * LANES), vectors


@njit(cache=True, inline="always", error_model="numpy")
def _reaches(limits, box, place):
    """Whether a pixel in any cell of the box takes the pair at this place of the tile."""
    first_row, last_row, column, vectors = box
    if last_row < first_row or vectors < 1:
        return False
    top, bottom = first_row // CELL * CELL_COLUMNS, last_row // CELL * CELL_COLUMNS
    left, right = column // CELL, (column + vectors * LANES - 1) // CELL
    # Of small splats the corners are all: no loop, whose end is hard to predict.
    most = maximum(
        maximum(load(limits, (top + left) * LANES), load(limits, (top + right) * LANES)),
        maximum(load(limits, (bottom + left) * LANES), load(limits, (bottom + right) * LANES)),
    )
    if bottom - top > CELL_COLUMNS or right - left > 1:
        for row in range(top, bottom + 1, CELL_COLUMNS):
            for cell in range(row + left, row + right + 1):
                most = maximum(most, load(limits, cell * LANES))
    return any_of(place <= most)


@njit(cache=True, error_model="numpy")
def _close_cells(state, limits):
    """Close the cells all of whose pixels are full; returns whether any is left open."""
    any_open = False
    for cell in range(CELLS):
        least = lanes(_F0)
        for row in range(CELL):
            least = minimum(least, load(state, _cell_start(cell) + row * TILE_WIDTH))
        is_open = any_of(least < _F0)
        any_open |= is_open
        if not is_open:
            store(limits, cell * LANES, lanes(-_F1))
    return any_open


@njit(cache=True, error_model="numpy")
def _leave_open(state):
    """What is still open at the end has no last pair: backward takes all that hit it."""
    for at in range(0, PIXELS, LANES):
        values = load(state, at)
        store(state, at, select(values < _F0, lanes(np.float32(np.inf)), values))


@njit(cache=True, error_model="numpy")
def _limit_cells(last, limits):
    """The last pair that any pixel of a cell takes, column by column; inf where one is open."""
    for cell in range(CELLS):
        most = lanes(-_F1)
        for row in range(CELL):
            most = maximum(most, load(last, _cell_start(cell) + row * TILE_WIDTH))
        store(limits, cell * LANES, most)


@njit(cache=True, inline="always", error_model="numpy")
def _cell_start(cell):
    """The first pixel of a cell in its tile."""
    return cell // CELL_COLUMNS * CELL * TILE_WIDTH + cell % CELL_COLUMNS * CELL


@njit(cache=True, inline="always", error_model="numpy")
def _copy_tile(source, start, stride, target, target_start, target_stride):
    """Copy a tile between arrays, given the places of its first pixel and the distance of its rows."""
    for row in range(TILE_HEIGHT):
        for x in range(0, TILE_WIDTH, LANES):
            store(target, target_start + row * target_stride + x, load(source, start + row * stride + x))


class TileKernels(NamedTuple):
    """The compositing kernels for a number of channels."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]


@cache
def tile_kernels(channels: int) -> TileKernels:
    """Kernels that composite `channels` values per splat; LLVM unrolls over the channels.

    A tile's state is planes of one float32 array, row by row. Counts and places are floats too (exact below 2^24), so
    that all lanes have one width. One plane has both: of an open pixel the hits that it still takes, negated; of a full
    one, which took its last hit or is opaque, the place of the pair that filled it.
    """
    width = channels + 2
    # Planes: the channels, or their gradients; transmittance; hits to take or last pair; backward only, b.
    t0, k0, b0, end = (plane * PIXELS for plane in range(channels, channels + 4))

    @njit(cache=True, error_model="numpy")
    def composite(f, splats, ranks, left, top, radius):
        """Add a tile's splats to its planes, front to back."""
        square, inverse = radius * radius, _F1 / (radius * radius)
        limits = np.full(CELLS * LANES, np.float32(np.inf))
        for place in range(ranks.size):
            if place % PAIRS_BETWEEN == 0 and not _close_cells(f[k0:b0], limits):
                return
            splat = to_fixed_tuple(splats[ranks[place]], width)
            u, v = splat[0] - left - _HALF, splat[1] - top - _HALF
            box, j = _box(u, v, radius), np.float32(place)
            if not _reaches(limits, box, j):
                continue
            first_row, last_row, column, vectors = box
            for start in range(column, column + vectors * LANES, LANES):
                dx = numbers() + np.float32(start) - u
                dx2 = dx * dx
                for row in range(first_row, last_row + 1):
                    at = row * TILE_WIDTH + start
                    dy = np.float32(row) - v
                    d2 = dx2 + dy * dy
                    q = d2 * inverse
                    t, state = load(f, t0 + at), load(f, k0 + at)
                    hit = (d2 < square) & (state < _F0)
                    a = select(hit, t * (_F1 - q), lanes(_F0))
                    for c in range(channels):
                        store(f, c * PIXELS + at, load(f, c * PIXELS + at) + a * splat[2 + c])
                    t = select(hit, t * maximum(q, lanes(SMALLEST_Q)), t)
                    store(f, t0 + at, t)
                    more = state + _F1
                    store(f, k0 + at, select(hit, select((more < _F0) & (lanes(OPAQUE) <= t), more, lanes(j)), state))

    @njit(**_PARALLEL)
    def forward(splats, pair_rank, tile_start, tiles, shares, columns, radius, nearest, image, transmittance, last):
        """Composite all tiles (spec, section 5).

        image: [channels, H', W'] out, without background; transmittance: [H', W'] out; last: [H', W'] float32 out, the
        pair of the tile that made each pixel full, inf where none did. H', W': the image size rounded up to whole
        tiles. tiles, shares: as `share_tiles` deals them.
        """
        for thread in prange(shares.size - 1):
            for tile in tiles[shares[thread] : shares[thread + 1]]:
                left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
                f = np.zeros(b0, np.float32)
                f[t0:k0] = _F1
                f[k0:b0] = -nearest
                ranks = pair_rank[tile_start[tile] : tile_start[tile + 1]]
                composite(f, splats, ranks, np.float32(left), np.float32(top), radius)
                _leave_open(f[k0:b0])
                line, plane = last.shape[1], last.size
                at = top * line + left
                for c in range(channels):
                    _copy_tile(f, c * PIXELS, TILE_WIDTH, image, c * plane + at, line)
                _copy_tile(f, t0, TILE_WIDTH, transmittance, at, line)
                _copy_tile(f, k0, TILE_WIDTH, last, at, line)

    @njit(cache=True, error_model="numpy")
    def differentiate(f, splats, ranks, pair_slots, left, top, radius, slots):
        """Write the gradients of a tile's pairs to their slots, back to front."""
        square, inverse = radius * radius, _F1 / (radius * radius)
        limits = np.empty(CELLS * LANES, np.float32)
        _limit_cells(f[k0:b0], limits)
        for place in range(ranks.size - 1, -1, -1):
            splat = to_fixed_tuple(splats[ranks[place]], width)
            u, v = splat[0] - left - _HALF, splat[1] - top - _HALF
            box, j = _box(u, v, radius), np.float32(place)
            slot = pair_slots[place]
            if not _reaches(limits, box, j):
                for value in range(width):
                    slots[slot, value] = _F0
                continue
            first_row, last_row, column, vectors = box
            sums = nothing(width)
            for start in range(column, column + vectors * LANES, LANES):
                dx = numbers() + np.float32(start) - u
                dx2 = dx * dx
                across = lanes(_F0)
                for row in range(first_row, last_row + 1):
                    at = row * TILE_WIDTH + start
                    dy = np.float32(row) - v
                    d2 = dx2 + dy * dy
                    q = d2 * inverse
                    hit = (d2 < square) & (j <= load(f, k0 + at))
                    w = _F1 - q
                    s = lanes(_F0)
                    for c in range(channels):
                        s = s + load(f, c * PIXELS + at) * splat[2 + c]
                    t, b = load(f, t0 + at), load(f, b0 + at)
                    t = select(hit, t / maximum(q, lanes(SMALLEST_Q)), t)
                    store(f, t0 + at, t)
                    store(f, b0 + at, select(hit, w * s + q * b, b))
                    dw = select(hit, t * (s - b), lanes(_F0))
                    across = across + dw
                    sums = tuple_setitem(sums, 1, sums[1] + dw * dy)
                    a = select(hit, t * w, lanes(_F0))
                    for c in range(channels):
                        sums = tuple_setitem(sums, 2 + c, sums[2 + c] + a * load(f, c * PIXELS + at))
                # dx is the same in all rows.
                sums = tuple_setitem(sums, 0, sums[0] + across * dx)
            slots[slot, 0] = total(sums[0]) * (_F2 * inverse)
            slots[slot, 1] = total(sums[1]) * (_F2 * inverse)
            for c in range(channels):
                slots[slot, 2 + c] = total(sums[2 + c])

    @njit(**_PARALLEL)
    def backward(splats, pair_rank, pair_slot, tile_start, tiles, shares, columns, radius, gradient, behind,
                 transmittance, last, slots):  # fmt: skip
        """Gradients of every pair: slots [P, 2 + channels] out, with respect to u, v and the channels.

        gradient: [channels, H', W'] of the loss with respect to `image`. behind: [H', W'], the gradient's product
        with what lies behind the last splat (the background). transmittance, last: as forward left them.

        Back to front, with A the colour behind a splat: dC/dw = T (c - A); only its product b = g . A with the
        pixel's gradient g is carried. T is recovered by dividing by q = 1 - w, which loses no precision since forward
        multiplied by the same q.
        """
        for thread in prange(shares.size - 1):
            for tile in tiles[shares[thread] : shares[thread + 1]]:
                left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
                line, plane = last.shape[1], last.size
                at = top * line + left
                f = np.empty(end, np.float32)
                for c in range(channels):
                    _copy_tile(gradient, c * plane + at, line, f, c * PIXELS, TILE_WIDTH)
                _copy_tile(transmittance, at, line, f, t0, TILE_WIDTH)
                _copy_tile(behind, at, line, f, b0, TILE_WIDTH)
                _copy_tile(last, at, line, f, k0, TILE_WIDTH)
                pairs = slice(tile_start[tile], tile_start[tile + 1])
                differentiate(
                    f, splats, pair_rank[pairs], pair_slot[pairs], np.float32(left), np.float32(top), radius, slots
                )

    return TileKernels(forward, backward)


@njit(**_PARALLEL)
def gather(parameters, world_to_image, focal, slot_start, slots, gradient):
    """Sum each point's slots into gradient [3 + channels, N] out: with respect to its position, then its channels."""
    m = world_to_image
    channels = slots.shape[1] - 2
    count = parameters.shape[1]
    for block in prange((count + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, count)
        size = stop - start
        moved = np.zeros((3, BLOCK), np.float32)
        for row in range(3, 3 + channels):
            gradient[row, start:stop] = _F0
        for i in range(start, stop):
            for slot in range(slot_start[i], slot_start[i + 1]):
                moved[0, i - start] += slots[slot, 0]
                moved[1, i - start] += slots[slot, 1]
                for c in range(channels):
                    gradient[3 + c, i] += slots[slot, 2 + c]
        # Whole vectors: beyond the last point, the positions' rows run into those of the colours.
        for i in range(0, size, LANES):
            x, y, z = _to_camera(parameters, start + i, m)
            z = select(z > _F0, z, lanes(_F1))
            dx, dy = load(moved, i) * focal / z, load(moved, BLOCK + i) * focal / z
            dz = (dx * x + dy * y) * -_F1 / z
            for row in range(3):
                store(moved, row * BLOCK + i, m[0, row] * dx + m[1, row] * dy + m[2, row] * dz)
        for row in range(3):
            gradient[row, start:stop] = moved[row, :size]


@njit(**_PARALLEL)
def show(image, transmittance, background, shown):
    """shown [3, H, W] out: an image [3, H', W'] and its transmittance [H', W'] over the background, clamped."""
    channels, height, width = shown.shape
    for y in prange(height):
        for c in range(channels):
            for x in range(width):
                colour = image[c, y, x] + transmittance[y, x] * background[c]
                # Not the other way round, which would turn NaN into black and hide that training diverged.
                colour = _F0 if colour < _F0 else colour
                shown[c, y, x] = _F1 if colour > _F1 else colour


def error_scratch(height: int, width: int, shifts: Sequence[int]) -> Float32Array:
    """What `photometric` keeps a view's error in: [3, S + height + S, S + width' + S], S the greatest shift, width'
    rounded up to whole vectors. Around the image it is NaN for good, so that no difference counts across its border."""
    margin = max(shifts, default=0)
    return np.full((3, height + 2 * margin, -(-width // LANES) * LANES + 2 * margin), np.nan, np.float32)


@njit(**_PARALLEL)
def photometric(image, transmittance, background, target, unknown_share, gradient_weight, shifts, error, gradient,
                behind):  # fmt: skip
    """The photometric loss (spec, section 6) of a composited image and its gradient; returns (loss, MSE).

    image: [3, H', W'] and transmittance: [H', W'] as composited; target: [3, H, W], NaN where it is unknown,
    which counts as `unknown_share` of the background; error: `error_scratch(H, W, shifts)`.
    gradient: [3, H', W'] and behind: [H', W'] out, as the backward kernel takes them.
    """
    height, width = target.shape[1:]
    margin = (error.shape[1] - height) // 2
    line, plane = error.shape[2], error.shape[1] * error.shape[2]
    padded_line, padded_plane = image.shape[2], image.shape[1] * image.shape[2]
    pixels = 3 * height * width
    across = np.array([_weight(gradient_weight / shifts.size, 3 * height * (width - s)) for s in shifts], np.float32)
    down = np.array([_weight(gradient_weight / shifts.size, 3 * (height - s) * width) for s in shifts], np.float32)
    sums = np.empty((height, 2))
    doubtful = np.float32(unknown_share)
    for y in prange(height):
        squares = lanes(_F0)
        row = np.full(width + LANES, np.float32(np.nan))
        for c in range(3):
            row[:width] = target[c, y]
            for x in range(0, width, LANES):
                at = c * padded_plane + y * padded_line + x
                colour = load(image, at) + load(transmittance, y * padded_line + x) * background[c]
                wanted = load(row, x)
                known = wanted <= wanted
                inside = numbers() + np.float32(x) < np.float32(width)
                # In this order, a colour that is NaN stays so: black would hide that training diverged.
                shown = minimum(lanes(_F1), maximum(lanes(_F0), colour))
                e = select(known, shown - wanted, (shown - background[c]) * doubtful)
                squares = squares + select(inside, e * e, lanes(_F0))
                e = select(inside, e, lanes(np.float32(np.nan)))
                store(error, c * plane + (y + margin) * line + margin + x, e)
                moves = (colour <= _F1) & (lanes(_F0) <= colour) & inside
                store(gradient, at, select(moves, select(known, lanes(_F1), lanes(doubtful)), lanes(_F0)))
        sums[y, 0] = total(squares)
    for y in prange(height):
        differences = lanes(_F0)
        for x in range(0, width, LANES):
            product = lanes(_F0)
            for c in range(3):
                at = c * plane + (y + margin) * line + margin + x
                here = load(error, at)
                g = here * (_F2 / np.float32(pixels))
                for k in range(shifts.size):
                    beside, above = shifts[k], shifts[k] * line
                    left, up = here - load(error, at - beside), here - load(error, at - above)
                    from_left, from_up = _signs(left, across[k]), _signs(up, down[k])
                    g = g + from_left + _signs(here - load(error, at + beside), across[k])
                    g = g + from_up + _signs(here - load(error, at + above), down[k])
                    # NaN, where there is no neighbour, adds 0.
                    differences = differences + maximum(left * from_left, lanes(_F0))
                    differences = differences + maximum(up * from_up, lanes(_F0))
                to = c * padded_plane + y * padded_line + x
                counts = load(gradient, to)
                g = select(counts > _F0, g * counts, lanes(_F0))
                store(gradient, to, g)
                product = product + g * background[c]
            store(behind, y * padded_line + x, product)
        sums[y, 1] = total(differences)
    mse = _sum_in_order(sums[:, :1]) / pixels
    return mse + _sum_in_order(sums[:, 1:]), mse


@njit(cache=True)
def _weight(weight, count):
    """Of each of `count` differences; 0 where there are none."""
    return weight / count if count > 0 else 0.0


@njit(cache=True, inline="always", error_model="numpy")
def _signs(difference, weight):
    """The weight with the sign of each difference; 0 for 0 and NaN."""
    return select(difference > _F0, lanes(weight), select(difference < _F0, lanes(-weight), lanes(_F0)))


@njit(cache=True)
def _sum_in_order(values):
    """Sum of a matrix; in a parallel kernel, Numba would make .sum() a sum per thread, which rounds otherwise."""
    total = 0.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            total += values[row, column]
    return total


@njit(cache=True, error_model="numpy")
def _adam_row(p, g, m, v, beta1, beta2, rate, root, epsilon):
    """One Adam update of a row of parameters: rate = lr / (1 - beta1^t), root = 1 / sqrt(1 - beta2^t)."""
    for i in range(p.size):
        first = beta1 * m[i] + (_F1 - beta1) * g[i]
        second = beta2 * v[i] + (_F1 - beta2) * g[i] * g[i]
        m[i] = first
        v[i] = second
        p[i] -= rate * first / (np.sqrt(second) * root + epsilon)


@njit(**_PARALLEL)
def adam(parameters, gradient, first, second, eye, harmonics, position_rate, colour_rate, beta1, beta2, root, epsilon,
         ridge):  # fmt: skip
    """Adam over all points and the rows that train, straight from the gathered gradient.

    gradient: [6, N] (harmonics then follow from the direction, their basis times the colour's gradient) or [33, N].
    harmonics: whether they train. A rate of 0 leaves its rows and their moments alone. ridge: added to the positions'
    gradient, times the position.
    """
    count = parameters.shape[1]
    blocks = (count + BLOCK - 1) // BLOCK
    for block in prange(blocks):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, count)
        size = stop - start
        g = np.empty(BLOCK, np.float32)
        if colour_rate > _F0:
            direct = gradient.shape[0] if harmonics else 6
            for row in range(3, direct):
                _adam_row(parameters[row, start:stop], gradient[row, start:stop], first[row, start:stop],
                          second[row, start:stop], beta1, beta2, colour_rate, root, epsilon)  # fmt: skip
            if harmonics and direct == 6:
                values = np.empty((9, BLOCK), np.float32)
                _harmonics_of_block(
                    parameters[0, start:stop], parameters[1, start:stop], parameters[2, start:stop], eye, values
                )
                for k in range(9):
                    for c in range(3):
                        row = 6 + 3 * k + c
                        for i in range(size):
                            g[i] = values[k, i] * gradient[3 + c, start + i]
                        _adam_row(parameters[row, start:stop], g, first[row, start:stop], second[row, start:stop],
                                  beta1, beta2, colour_rate, root, epsilon)  # fmt: skip
        # Positions last: the harmonics above were rendered at the directions of the old ones.
        if position_rate > _F0:
            for row in range(3):
                for i in range(size):
                    g[i] = gradient[row, start + i] + ridge * parameters[row, start + i]
                _adam_row(parameters[row, start:stop], g, first[row, start:stop], second[row, start:stop],
                          beta1, beta2, position_rate, root, epsilon)  # fmt: skip


numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
