"""The CPU renderer's kernels: splatting in tiles, forward and backward, and the Adam update (Numba).

How it works, with a diagram, is in docs/renderer.md. In short, per view:

    project    every point: pixel coordinates and depth; points that touch no pixel are left out
    sort       the visible points by depth, stable in their index (radix sort); a place in this order is a *rank*
    bin        a *pair* for every tile that a splat touches; a tile's pairs are in depth order
    pack       the visible points' positions and colours, in depth order
    composite  a tile at a time, front to back, eight neighbouring pixels at once

and back:

    differentiate  a tile at a time, back to front; each pair adds to a *slot* of its own
    gather         each point sums its slots: no atomics, so results do not depend on the number of threads

Sorting and binning cut the points into a chunk per thread; both are stable, so the chunks leave no trace in the result.
"""

# Numba compiles these functions: they are written for its type inference and for LLVM's vectoriser, not for mypy.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange
from numba.cpython.unsafe.tuple import tuple_setitem
from numpy.typing import NDArray

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
# The place of a pair in its tile is kept in float32, which counts exactly up to here.
MOST_SPLATS_PER_TILE = 2**24
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
def count_pairs(order, total, boxes, columns, starts, rank_of, slot_start, pairs_per_tile, tile_start):
    """Count the splats of each tile, and turn this and the tiles of each splat into starting places.

    boxes: as `project` leaves them; starts: [chunks, 2] int64, its totals, summed over the chunks before by the sort.
    rank_of: [N] int32 out, the rank of each visible point. slot_start: [N + 1] int32 out, the first slot of each point,
    of which hidden ones have none; empty where nothing will be differentiated. pairs_per_tile: [chunks, tiles] int64
    out, where each chunk of ranks begins to write in each tile. tile_start: [tiles + 1] int64 out, where the pairs of
    each tile begin.
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
    at = 0
    for tile in range(tiles):
        tile_start[tile] = at
        for chunk in range(chunks):
            count = pairs_per_tile[chunk, tile]
            pairs_per_tile[chunk, tile] = at
            at += count
    tile_start[tiles] = at


@njit(cache=True)
def share_tiles(tile_start, tiles, shares):
    """Deal the tiles to threads, the fullest first and back and forth, so that all have about as much to do.

    tile_start: [tiles + 1] int64, the first pair of each tile. tiles: [tiles] int64 out, thread after thread; shares:
    [threads + 1] int64 out, where each one's begin. Returns how many pairs the fullest tile has.
    """
    threads = shares.size - 1
    fullest_first = np.argsort(tile_start[:-1] - tile_start[1:], kind="mergesort")
    shares[0] = at = 0
    for thread in range(threads):
        for place in range(fullest_first.size):
            turn = place % (2 * threads)
            if min(turn, 2 * threads - 1 - turn) == thread:
                tiles[at] = fullest_first[place]
                at += 1
        shares[thread + 1] = at
    fullest = fullest_first[0]
    return tile_start[fullest + 1] - tile_start[fullest]


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


# How many values a splat has is part of the kernels' types: they take the numbers of the channels as a tuple, and LLVM
# unrolls over it. (Functions made for a number would be compiled anew in each process: of closures, Numba's cache finds
# only those that hold no other compiled function.)
CHANNELS = tuple(range(3))
ALL_CHANNELS = tuple(range(30))


@njit(cache=True, inline="always")
def _planes(channels):
    """Where the planes of a tile's state begin, one float32 array, row by row, and where they end.

    First come the channels, or their gradients. Then the transmittance, and a plane that has both, of an open pixel the
    hits that it still takes, negated, and of a full one, which took its last hit or is opaque, the place of the pair
    that filled it: counts and places are floats too (exact below 2^24), so that all lanes have one width. Backward has
    one more, the colour behind.
    """
    t0 = len(channels) * PIXELS
    return t0, t0 + PIXELS, t0 + 2 * PIXELS, t0 + 3 * PIXELS


@njit(cache=True, inline="always", error_model="numpy")
def _colours(splats, rank, channels):
    """What a splat has in each channel, in all lanes."""
    colours = nothing(channels)
    for c in range(len(channels)):
        colours = tuple_setitem(colours, c, lanes(splats[rank, 2 + c]))
    return colours


@njit(cache=True, error_model="numpy")
def _composite(f, splats, ranks, left, top, radius, channels):
    """Add a tile's splats to its planes, front to back."""
    t0, k0, b0, _ = _planes(channels)
    square, inverse = radius * radius, _F1 / (radius * radius)
    limits = np.full(CELLS * LANES, np.float32(np.inf))
    for place in range(ranks.size):
        if place % PAIRS_BETWEEN == 0 and not _close_cells(f[k0:b0], limits):
            return
        rank = ranks[place]
        u, v = splats[rank, 0] - left - _HALF, splats[rank, 1] - top - _HALF
        box, j = _box(u, v, radius), np.float32(place)
        if not _reaches(limits, box, j):
            continue
        colours = _colours(splats, rank, channels)
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
                for c in range(len(channels)):
                    store(f, c * PIXELS + at, load(f, c * PIXELS + at) + a * colours[c])
                t = select(hit, t * maximum(q, lanes(SMALLEST_Q)), t)
                store(f, t0 + at, t)
                more = state + _F1
                store(f, k0 + at, select(hit, select((more < _F0) & (lanes(OPAQUE) <= t), more, lanes(j)), state))


@njit(**_PARALLEL)
def composite(splats, pair_rank, tile_start, tiles, shares, radius, nearest, channels, image, transmittance, last):
    """Composite all tiles (spec, section 5).

    image: [channels, H', W'] out, without background; transmittance: [H', W'] out; last: [H', W'] float32 out, the
    pair of the tile that made each pixel full, inf where none did. H', W': the image size rounded up to whole
    tiles. tiles, shares: as `share_tiles` deals them.
    """
    t0, k0, b0, _ = _planes(channels)
    columns = last.shape[1] // TILE_WIDTH
    for thread in prange(shares.size - 1):
        for tile in tiles[shares[thread] : shares[thread + 1]]:
            left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
            f = np.zeros(b0, np.float32)
            f[t0:k0] = _F1
            f[k0:b0] = -nearest
            ranks = pair_rank[tile_start[tile] : tile_start[tile + 1]]
            _composite(f, splats, ranks, np.float32(left), np.float32(top), radius, channels)
            _leave_open(f[k0:b0])
            line, plane = last.shape[1], last.size
            at = top * line + left
            for c in range(len(channels)):
                _copy_tile(f, c * PIXELS, TILE_WIDTH, image, c * plane + at, line)
            _copy_tile(f, t0, TILE_WIDTH, transmittance, at, line)
            _copy_tile(f, k0, TILE_WIDTH, last, at, line)


@njit(cache=True, error_model="numpy")
def _differentiate(f, splats, ranks, pair_slots, left, top, radius, channels, slots):
    """Write the gradients of a tile's pairs to their slots, back to front."""
    t0, k0, b0, _ = _planes(channels)
    square, inverse = radius * radius, _F1 / (radius * radius)
    limits = np.empty(CELLS * LANES, np.float32)
    _limit_cells(f[k0:b0], limits)
    for place in range(ranks.size - 1, -1, -1):
        rank = ranks[place]
        u, v = splats[rank, 0] - left - _HALF, splats[rank, 1] - top - _HALF
        box, j = _box(u, v, radius), np.float32(place)
        slot = pair_slots[place]
        if not _reaches(limits, box, j):
            for value in range(2 + len(channels)):
                slots[slot, value] = _F0
            continue
        colours = _colours(splats, rank, channels)
        first_row, last_row, column, vectors = box
        du, dv, sums = lanes(_F0), lanes(_F0), nothing(channels)
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
                for c in range(len(channels)):
                    s = s + load(f, c * PIXELS + at) * colours[c]
                t, b = load(f, t0 + at), load(f, b0 + at)
                t = select(hit, t / maximum(q, lanes(SMALLEST_Q)), t)
                store(f, t0 + at, t)
                store(f, b0 + at, select(hit, w * s + q * b, b))
                dw = select(hit, t * (s - b), lanes(_F0))
                across = across + dw
                dv = dv + dw * dy
                a = select(hit, t * w, lanes(_F0))
                for c in range(len(channels)):
                    sums = tuple_setitem(sums, c, sums[c] + a * load(f, c * PIXELS + at))
            # dx is the same in all rows.
            du = du + across * dx
        slots[slot, 0] = total(du) * (_F2 * inverse)
        slots[slot, 1] = total(dv) * (_F2 * inverse)
        for c in range(len(channels)):
            slots[slot, 2 + c] = total(sums[c])


@njit(**_PARALLEL)
def differentiate(splats, pair_rank, pair_slot, tile_start, tiles, shares, radius, channels, gradient, behind,
                  transmittance, last, slots):  # fmt: skip
    """Gradients of every pair: slots [P, 2 + channels] out, with respect to u, v and the channels.

    gradient: [channels, H', W'] of the loss with respect to `image`. behind: [H', W'], the gradient's product
    with what lies behind the last splat (the background). transmittance, last: as forward left them.

    Back to front, with A the colour behind a splat: dC/dw = T (c - A); only its product b = g . A with the
    pixel's gradient g is carried. T is recovered by dividing by q = 1 - w, which loses no precision since forward
    multiplied by the same q.
    """
    t0, k0, b0, end = _planes(channels)
    columns = last.shape[1] // TILE_WIDTH
    for thread in prange(shares.size - 1):
        for tile in tiles[shares[thread] : shares[thread + 1]]:
            left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
            line, plane = last.shape[1], last.size
            at = top * line + left
            f = np.empty(end, np.float32)
            for c in range(len(channels)):
                _copy_tile(gradient, c * plane + at, line, f, c * PIXELS, TILE_WIDTH)
            _copy_tile(transmittance, at, line, f, t0, TILE_WIDTH)
            _copy_tile(behind, at, line, f, b0, TILE_WIDTH)
            _copy_tile(last, at, line, f, k0, TILE_WIDTH)
            pairs = slice(tile_start[tile], tile_start[tile + 1])
            _differentiate(
                f, splats, pair_rank[pairs], pair_slot[pairs], np.float32(left), np.float32(top), radius, channels,
                slots,
            )  # fmt: skip


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


class Buffers(NamedTuple):
    """All that lies between a cloud of N points and its image, and on the way back; T tiles, room for P pairs.

    Empty, where nothing will be differentiated: slot_start, pair_slot, slots and gathered.
    """

    u: Float32Array  # [N], as `project` leaves them
    v: Float32Array
    depth: Float32Array
    boxes: NDArray[np.int32]  # [N, 3]
    rank_of: NDArray[np.int32]  # [N]
    starts: NDArray[np.int64]  # [threads, 2]
    keys: NDArray[np.uint32]  # [N], what the radix sort reads and writes in turn
    order: NDArray[np.int32]
    keys_other: NDArray[np.uint32]
    order_other: NDArray[np.int32]
    histogram: NDArray[np.uint32]  # [threads, RADIX]
    slot_start: NDArray[np.int32]  # [N + 1]
    places: NDArray[np.int64]  # [threads, T]
    tile_start: NDArray[np.int64]  # [T + 1]
    tiles: NDArray[np.int64]  # [T]
    shares: NDArray[np.int64]  # [threads + 1]
    pair_rank: NDArray[np.int32]  # [P]
    pair_slot: NDArray[np.int32]
    splats: Float32Array  # [N, 2 + channels]
    composited: Float32Array  # [channels, H', W'], without background
    transmittance: Float32Array  # [H', W']
    last: Float32Array  # [H', W']
    slots: Float32Array  # [P, 2 + channels]
    gathered: Float32Array  # [3 + channels, N]


def allocate(
    points: int, channels: int, width: int, height: int, threads: int, pairs: int, differentiable: bool
) -> Buffers:
    """Buffers for views of width x height pixels and up to so many pairs."""
    columns, rows = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    padded = rows * TILE_HEIGHT, columns * TILE_WIDTH
    tiles = rows * columns
    back = int(differentiable)
    f32, i32, i64, u32 = np.float32, np.int32, np.int64, np.uint32
    return Buffers(
        u=np.empty(points, f32),
        v=np.empty(points, f32),
        depth=np.empty(points, f32),
        boxes=np.empty((points, 3), i32),
        rank_of=np.empty(points, i32),
        starts=np.empty((threads, 2), i64),
        keys=np.empty(points, u32),
        order=np.empty(points, i32),
        keys_other=np.empty(points, u32),
        order_other=np.empty(points, i32),
        histogram=np.empty((threads, RADIX), u32),
        slot_start=np.empty(back * (points + 1), i32),
        places=np.empty((threads, tiles), i64),
        tile_start=np.empty(tiles + 1, i64),
        tiles=np.empty(tiles, i64),
        shares=np.empty(threads + 1, i64),
        pair_rank=np.empty(pairs, i32),
        pair_slot=np.empty(back * pairs, i32),
        splats=np.empty((points, 2 + channels), f32),
        composited=np.empty((channels, *padded), f32),
        transmittance=np.empty(padded, f32),
        last=np.empty(padded, f32),
        slots=np.empty((back * pairs, 2 + channels), f32),
        gathered=np.empty((3 + channels, back * points), f32),
    )


# A pass over a view is one call: after each kernel, Python's own data would have to come back from memory.


@njit(cache=True, nogil=True, error_model="numpy")
def forward(parameters, world_to_image, focal, eye, width, height, radius, nearest, harmonics, channels, b):
    """Splat `parameters` [33, N] into `b`; returns how many pairs there are, and how many the fullest tile has.

    Where `b` lacks room for so many pairs, or for so many in a tile, no image is made.
    """
    columns = b.last.shape[1] // TILE_WIDTH
    project(parameters, world_to_image, focal, width, height, radius, b.u, b.v, b.depth, b.boxes, b.rank_of, b.starts)
    bits = b.depth.view(np.uint32)
    visible, swapped = sort_by_depth(bits, b.starts, b.keys, b.order, b.keys_other, b.order_other, b.histogram)
    order = b.order_other if swapped else b.order
    count_pairs(order, visible, b.boxes, columns, b.starts, b.rank_of, b.slot_start, b.places, b.tile_start)
    pairs, fullest = b.tile_start[-1], share_tiles(b.tile_start, b.tiles, b.shares)
    if pairs > b.pair_rank.size or fullest >= MOST_SPLATS_PER_TILE:
        return pairs, fullest
    fill_pairs(order, visible, b.boxes, columns, b.slot_start, b.places, b.pair_rank, b.pair_slot)
    if len(channels) == 3:
        pack_colours(parameters, b.u, b.v, b.rank_of, eye, harmonics, b.splats)
    else:
        pack_coefficients(parameters, b.u, b.v, b.rank_of, b.splats)
    composite(b.splats, b.pair_rank, b.tile_start, b.tiles, b.shares, radius, nearest, channels, b.composited,
              b.transmittance, b.last)  # fmt: skip
    return pairs, fullest


@njit(cache=True, nogil=True, error_model="numpy")
def backward(parameters, world_to_image, focal, radius, channels, gradient, behind, b):
    """What `forward` left in `b`, differentiated into b.gathered; gradient, behind: as `differentiate` takes them."""
    differentiate(b.splats, b.pair_rank, b.pair_slot, b.tile_start, b.tiles, b.shares, radius, channels, gradient,
                  behind, b.transmittance, b.last, b.slots)  # fmt: skip
    gather(parameters, world_to_image, focal, b.slot_start, b.slots, b.gathered)


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
