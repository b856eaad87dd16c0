"""The CPU renderer's kernels: splatting in tiles, forward and backward, and the Adam update (Numba).

How it works, with a diagram, is in docs/renderer.md. In short, per view:

    project    every point: pixel coordinates, depth and colours; points that touch no pixel are left out
    bin        a *pair* for every tile that a splat touches; a tile's pairs are in the order of the points
    composite  a tile at a time: sort its splats by depth, line them up, and add them to its *cells* front to back

and back:

    differentiate  a cell at a time, back to front; each pair sums into a place of its own
    gather         each point sums its pairs: no atomics, so results do not depend on the number of threads

A *slot* is a place among the pairs in the order of the points. Binning cuts the points into a chunk per thread, and
keeps their order, so the chunks leave no trace in the result.
"""

# Numba compiles these functions: they are written for its type inference and for LLVM's vectoriser, not for mypy.
# mypy: ignore-errors
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange
from numba.cpython.unsafe.numbers import leading_zeros, trailing_zeros
from numba.cpython.unsafe.tuple import tuple_setitem
from numpy.typing import NDArray

from pointrad.harmonics import Y0, Y1, Y2, Y2_XX_YY, Y2_ZZ
from pointrad.render.lanes import (
    CELL,
    LANES,
    SUMS,
    across,
    add_totals,
    any_of,
    bits,
    ceil,
    down,
    floor,
    greatest,
    lanes,
    load,
    load_cell,
    maximum,
    minimum,
    nothing,
    numbers,
    prefetch,
    select,
    store,
    store_cell,
    total,
)
from pointrad.scene.types import Float32Array

# Pixels of a tile. The larger, the fewer splats lie in several; beyond this size the cache and the balance between
# threads lose as much. The width divides those of usual images: padding is work in vain.
TILE_WIDTH = 80
TILE_HEIGHT = 32
TILE_COLUMNS, TILE_ROWS = TILE_WIDTH // CELL, TILE_HEIGHT // CELL
CELLS = TILE_ROWS * TILE_COLUMNS
# Which splats touch a cell is kept as bits, so many to a word. A tile looks whether it is full once in so many pairs.
WORD = 64
PAIRS_AT_ONCE = 16 * WORD
# The place of a pair in its tile is kept in float32, which counts exactly up to here.
MOST_SPLATS_PER_TILE = 2**24
RADIX_BITS = 8
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
def project(parameters, world_to_image, focal, eye, width, height, radius, harmonics, channels, splats, depth, boxes,
            places, starts):  # fmt: skip
    """What each point looks like from the camera, and the tiles that its splat's square touches.

    splats: [N, S] float32 out, of each point u, v and its channels: RGB, with its harmonics (if on) at the
    camera-to-point direction, or all coefficients. depth: [N] float32 out, -1 for points behind the camera or beside
    the image. boxes: [N, 3] int32 out, the first tile, how many, and how many side by side; of 0 tiles if hidden.
    places: [chunks, tiles] int64 out, how many splats of each chunk of points touch each tile. starts: [chunks] int64
    out, how many tiles they touch in all.

    The arithmetic is spelt out term by term in float32 so that it equals `projection.project` to the last bit, and with
    it the order of the splats.
    """
    m = world_to_image
    half_width, half_height = np.float32(width) * _HALF, np.float32(height) * _HALF
    columns, rows = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    wide, high = np.float32(width), np.float32(height)
    for chunk in prange(len(starts)):
        chunk_start, chunk_stop = _chunk(chunk, len(starts), parameters.shape[1])
        counts = places[chunk]
        counts[:] = 0
        pairs = 0
        found = np.empty((6, BLOCK), np.float32)
        for start in range(chunk_start, chunk_stop, BLOCK):
            size = min(BLOCK, chunk_stop - start)
            # Whole vectors: beyond the last point, the positions' rows run into those of the colours.
            for i in range(0, size, LANES):
                x, y, z = _to_camera(parameters, start + i, m)
                pu, pv = focal * x / z + half_width, focal * y / z + half_height
                beside = (pu + radius > _F0) & (pu - radius < wide)
                inside = (z > _F0) & beside & (pv + radius > _F0) & (pv - radius < high)
                store(found, i, pu)
                store(found, BLOCK + i, pv)
                store(found, 2 * BLOCK + i, select(inside, z, lanes(-_F1)))
                first_column, side_by_side = _tile_range(pu, radius, TILE_WIDTH, columns)
                first_row, below = _tile_range(pv, radius, TILE_HEIGHT, rows)
                store(found, 3 * BLOCK + i, first_row * np.float32(columns) + first_column)
                store(found, 4 * BLOCK + i, select(inside, side_by_side * below, lanes(_F0)))
                store(found, 5 * BLOCK + i, side_by_side)
            for i in range(size):
                splat, box = splats[start + i], boxes[start + i]
                splat[0], splat[1], depth[start + i] = found[0, i], found[1, i], found[2, i]
                box[1] = np.int32(found[4, i])
                if box[1] > 0:
                    box[0], box[2] = np.int32(found[3, i]), np.int32(found[5, i])
                    pairs += box[1]
                    for n in range(box[1]):
                        counts[_tile(box, n, columns)] += 1
            _find_channels(parameters, start, start + size, eye, harmonics, channels, splats)
        starts[chunk] = pairs


@njit(cache=True, error_model="numpy")
def _find_channels(parameters, start, stop, eye, harmonics, channels, splats):
    """The channels of a block of points."""
    size = stop - start
    if len(channels) > 3:
        for i in range(start, stop):
            for c in range(len(channels)):
                splats[i, 2 + c] = parameters[3 + c, i]
        return
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
        splat = splats[start + i]
        splat[2], splat[3], splat[4] = colours[0, i], colours[1, i], colours[2, i]


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


# Functions of slices that count from 0: Numba lets `a[start + i]` count from the end where it is negative, and the test
# for that keeps LLVM from making vectors of a loop.
@njit(cache=True, error_model="numpy")
def _add_product(out, a, b):
    for i in range(b.size):
        out[i] += a[i] * b[i]


@njit(cache=True, error_model="numpy")
def _multiply(out, a, b):
    for i in range(b.size):
        out[i] = a[i] * b[i]


@njit(cache=True, error_model="numpy")
def _add_ridge(out, gradient, ridge, positions):
    for i in range(positions.size):
        out[i] = gradient[i] + ridge * positions[i]


@njit(cache=True)
def begin_tiles(places, starts, tile_start):
    """Turn `project`'s counts into where each chunk of points begins to write in each tile, and in the slots.

    tile_start: [tiles + 1] int64 out, where the pairs of each tile begin.
    """
    chunks, tiles = places.shape
    at = 0
    for tile in range(tiles):
        tile_start[tile] = at
        for chunk in range(chunks):
            count = places[chunk, tile]
            places[chunk, tile] = at
            at += count
    tile_start[tiles] = at
    at = 0
    for chunk in range(chunks):
        count = starts[chunk]
        starts[chunk] = at
        at += count


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
def bin_points(boxes, columns, places, starts, pair_point, slot_start, slot_pair):
    """Write the pairs of each tile, points in their own order.

    places, starts: as `begin_tiles` leaves them. pair_point: [P] int32 out, the point of each pair. slot_start: [N + 1]
    int32 out, the first slot of each point; slot_pair: [P] int32 out, the pair of each slot. These two are empty where
    nothing will be differentiated.
    """
    chunks = places.shape[0]
    slot_start[:1] = 0
    for chunk in prange(chunks):
        start, stop = _chunk(chunk, chunks, len(boxes))
        place_in, slot = places[chunk], starts[chunk]
        for i in range(start, stop):
            box = boxes[i]
            for n in range(box[1]):
                tile = _tile(box, n, columns)
                place = place_in[tile]
                place_in[tile] = place + 1
                pair_point[place] = i
                if slot_pair.size:
                    slot_pair[slot] = place
                    slot += 1
            if slot_start.size:
                slot_start[i + 1] = slot


@njit(cache=True, error_model="numpy")
def _sort_by_depth(points, depth_bits, keys, spare):
    """The places of a tile's points, nearest first and by place among equals: the low halves of what is returned.

    depth_bits: [N] uint32, the bits of `depth`: positive floats order as their bits do. keys, spare: uint64, room for
    the points. Least-significant-digit radix sort over the bits in which the depths differ.
    """
    low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
    for place in range(points.size):
        key = depth_bits[points[place]]
        keys[place] = np.uint64(key) << np.uint64(32) | np.uint64(place)
        low, high = min(low, key), max(high, key)
    if points.size == 0:
        return keys
    base, mask, one = np.uint64(low) << np.uint64(32), np.uint64(RADIX - 1), np.uint32(1)
    starts = np.empty(RADIX, np.uint32)
    shift = 0
    while (high - low) >> np.uint32(shift) > 0:
        distance = np.uint64(32 + shift)
        starts[:] = 0
        for place in range(points.size):
            starts[(keys[place] - base) >> distance & mask] += one
        at = np.uint32(0)
        for digit in range(RADIX):
            count = starts[digit]
            starts[digit] = at
            at += count
        for place in range(points.size):
            digit = (keys[place] - base) >> distance & mask
            spare[starts[digit]] = keys[place]
            starts[digit] += one
        keys, spare = spare, keys
        shift += RADIX_BITS
    return keys


@njit(cache=True, inline="always")
def _place(key):
    """The place in a key of `_sort_by_depth`."""
    return np.int64(key & np.uint64(0xFFFFFFFF))


@njit(cache=True, error_model="numpy")
def _line_up(keys, points, splats, radius, left, top, channels, lined, reach):
    """Copy splats of a tile front to back, and find the cells that each touches.

    lined: [pairs, S] out, u and v in the tile, the channels, and then the place that the pair has among the points.
    reach: [words, TILE_ROWS + TILE_COLUMNS] uint64 out, for each 64 splats a bit each: whether it touches this row,
    this column of cells.
    """
    low, high = np.empty((2, WORD), np.float32), np.empty((2, WORD), np.float32)
    for start in range(0, keys.size, WORD):
        size = min(WORD, keys.size - start)
        # They lie anywhere: all are asked for before the first is needed.
        for n in range(size):
            prefetch(splats, np.int64(points[_place(keys[start + n])]) * splats.shape[1])
        low[:] = np.inf
        for n in range(size):
            place = _place(keys[start + n])
            i = points[place]
            u, v = splats[i, 0] - left - _HALF, splats[i, 1] - top - _HALF
            lined[start + n, 0], lined[start + n, 1] = u, v
            for c in range(len(channels)):
                lined[start + n, 2 + c] = splats[i, 2 + c]
            lined[start + n, 2 + len(channels)] = np.float32(place)
            low[0, n], low[1, n], high[0, n], high[1, n] = v - radius, u - radius, v + radius, u + radius
        words = reach[start // WORD]
        for line in range(TILE_ROWS + TILE_COLUMNS):
            axis = np.int64(line >= TILE_ROWS)
            first = np.float32((line - TILE_ROWS * axis) * CELL)
            word = np.uint64(0)
            for n in range(0, WORD, LANES):
                touches = load(low, axis * WORD + n) <= lanes(first + np.float32(CELL - 1))
                touches = touches & (lanes(first) <= load(high, axis * WORD + n))
                word |= bits(touches) << np.uint64(n)
            words[line] = word


# How many values a splat has is part of the kernels' types: they take the numbers of the channels as a tuple, and LLVM
# unrolls over it. (Functions made for a number would be compiled anew in each process: of closures, Numba's cache finds
# only those that hold no other compiled function.)
CHANNELS = tuple(range(3))
ALL_CHANNELS = tuple(range(30))


@njit(cache=True, inline="always", error_model="numpy")
def _composite_cell(state, cell, lined, reach, start, radius, channels):
    """Add splats to a cell, front to back, until all its pixels are full; returns whether any is not.

    state: of each cell, 16 lanes after 16 lanes: the channels, the transmittance, how many hits are still taken, and
    the place of the last taken. start: the place of the first of the splats.
    """
    count = len(channels)
    square, inverse = radius * radius, _F1 / (radius * radius)
    at = cell * (count + 3) * LANES
    t, open_hits = load(state, at + count * LANES), load(state, at + (count + 1) * LANES)
    if not any_of((open_hits > _F0) & (lanes(OPAQUE) <= t)):
        return False
    x = across() + np.float32(cell % TILE_COLUMNS * CELL)
    y = down() + np.float32(cell // TILE_COLUMNS * CELL)
    last = load(state, at + (count + 2) * LANES)
    colours = nothing(channels)
    for c in range(count):
        colours = tuple_setitem(colours, c, load(state, at + c * LANES))
    for word in range(reach.shape[0]):
        touching = reach[word, cell // TILE_COLUMNS] & reach[word, TILE_ROWS + cell % TILE_COLUMNS]
        while touching:
            place = word * WORD + np.int64(trailing_zeros(touching))
            touching &= touching - np.uint64(1)
            splat = lined[place]
            dx, dy = x - splat[0], y - splat[1]
            d2 = dx * dx + dy * dy
            q = d2 * inverse
            hit = (d2 < square) & (open_hits > _F0) & (lanes(OPAQUE) <= t)
            a = select(hit, t * (_F1 - q), lanes(_F0))
            for c in range(count):
                colours = tuple_setitem(colours, c, colours[c] + a * splat[2 + c])
            t = select(hit, t * maximum(q, lanes(SMALLEST_Q)), t)
            open_hits = select(hit, open_hits - _F1, open_hits)
            last = select(hit, lanes(np.float32(start + place)), last)
        if not any_of((open_hits > _F0) & (lanes(OPAQUE) <= t)):
            break
    for c in range(count):
        store(state, at + c * LANES, colours[c])
    store(state, at + count * LANES, t)
    store(state, at + (count + 1) * LANES, open_hits)
    store(state, at + (count + 2) * LANES, last)
    return any_of((open_hits > _F0) & (lanes(OPAQUE) <= t))


@njit(cache=True, error_model="numpy")
def _composite(state, points, keys, splats, radius, left, top, channels, lined, reach):
    """Line up the splats of a tile, and add them to its cells, as many as are taken."""
    for start in range(0, keys.size, PAIRS_AT_ONCE):
        part = slice(start, min(start + PAIRS_AT_ONCE, keys.size))
        here, words = lined[part], reach[start // WORD : (part.stop + WORD - 1) // WORD]
        _line_up(keys[part], points, splats, radius, left, top, channels, here, words)
        any_open = False
        for cell in range(CELLS):
            any_open |= _composite_cell(state, cell, here, words, start, radius, channels)
        if not any_open:
            return


@njit(**_PARALLEL)
def composite(splats, depth_bits, pair_point, tile_start, tiles, shares, radius, nearest, channels, lined, reach,
              image, transmittance, last):  # fmt: skip
    """Composite all tiles (spec, section 5).

    lined: [P, S] float32 and reach: [P / 64 + tiles, TILE_ROWS + TILE_COLUMNS] uint64 out, as `_line_up` leaves them,
    of splats that were needed. image: [channels, H', W'] out, without background; transmittance: [H', W'] out; last:
    [H', W'] float32 out, the last pair of the tile that each pixel took, -1 where none. H', W': the image size rounded
    up to whole tiles. tiles, shares: as `share_tiles` deals them.
    """
    columns, line, plane = last.shape[1] // TILE_WIDTH, last.shape[1], last.size
    count = len(channels)
    for thread in prange(shares.size - 1):
        state = np.empty(CELLS * (count + 3) * LANES, np.float32)
        for tile in tiles[shares[thread] : shares[thread + 1]]:
            left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
            for at in range(0, state.size, (count + 3) * LANES):
                for c in range(count):
                    store(state, at + c * LANES, lanes(_F0))
                store(state, at + count * LANES, lanes(_F1))
                store(state, at + (count + 1) * LANES, lanes(nearest))
                store(state, at + (count + 2) * LANES, lanes(-_F1))
            pairs = slice(tile_start[tile], tile_start[tile + 1])
            points = pair_point[pairs]
            room = np.empty((2, points.size), np.uint64)
            keys = _sort_by_depth(points, depth_bits, room[0], room[1])
            _composite(state, points, keys, splats, radius, np.float32(left), np.float32(top), channels, lined[pairs],
                       reach[_first_word(tile_start, tile) : _first_word(tile_start, tile + 1)])  # fmt: skip
            for cell in range(CELLS):
                to = (top + cell // TILE_COLUMNS * CELL) * line + left + cell % TILE_COLUMNS * CELL
                at = cell * (count + 3) * LANES
                for c in range(count):
                    store_cell(image, c * plane + to, line, load(state, at + c * LANES))
                store_cell(transmittance, to, line, load(state, at + count * LANES))
                store_cell(last, to, line, load(state, at + (count + 2) * LANES))


@njit(cache=True, inline="always", error_model="numpy")
def _first_word(tile_start, tile):
    """Where a tile's words begin in `reach`: so many of 64 pairs each fit before the next one's."""
    return tile_start[tile] // WORD + tile


@njit(cache=True, error_model="numpy")
def _differentiate_cell(g, t, b, last, cell, lined, reach, radius, channels, slots):
    """Add the gradients of a cell's pairs to their slots, back to front."""
    square, inverse = radius * radius, _F1 / (radius * radius)
    x = across() + np.float32(cell % TILE_COLUMNS * CELL)
    y = down() + np.float32(cell // TILE_COLUMNS * CELL)
    for word in range(np.int64(greatest(last)) // WORD, -1, -1):
        touching = reach[word, cell // TILE_COLUMNS] & reach[word, TILE_ROWS + cell % TILE_COLUMNS]
        while touching:
            bit = np.uint64(63) - np.uint64(leading_zeros(touching))
            touching ^= np.uint64(1) << bit
            place = word * WORD + np.int64(bit)
            splat = lined[place]
            dx, dy = x - splat[0], y - splat[1]
            d2 = dx * dx + dy * dy
            q = d2 * inverse
            hit = (d2 < square) & (np.float32(place) <= last)
            w = _F1 - q
            s = lanes(_F0)
            for c in range(len(channels)):
                s = s + g[c] * splat[2 + c]
            t = select(hit, t / maximum(q, lanes(SMALLEST_Q)), t)
            dw = select(hit, t * (s - b), lanes(_F0))
            b = select(hit, w * s + q * b, b)
            a = select(hit, t * w, lanes(_F0))
            values = nothing(channels + (0, 0))  # noqa: RUF005 (Numba concatenates)
            values = tuple_setitem(values, 0, dw * dx)
            values = tuple_setitem(values, 1, dw * dy)
            for c in range(len(channels)):
                values = tuple_setitem(values, 2 + c, a * g[c])
            add_totals(slots, np.int64(splat[2 + len(channels)]) * slots.shape[1], values)


@njit(**_PARALLEL)
def differentiate(tile_start, tiles, shares, radius, channels, lined, reach, gradient, behind, transmittance, last,
                  slots):  # fmt: skip
    """Gradients of every pair: slots [P, S] out, with respect to u and v, times radius^2 / 2, and the channels.

    gradient: [channels, H', W'] of the loss with respect to `image`. behind: [H', W'], the gradient's product
    with what lies behind the last splat (the background). lined, reach, transmittance, last: as forward left them.

    Back to front, with A the colour behind a splat: dC/dw = T (c - A); only its product b = g . A with the
    pixel's gradient g is carried. T is recovered by dividing by q = 1 - w, which loses no precision since forward
    multiplied by the same q.
    """
    columns, line, plane = last.shape[1] // TILE_WIDTH, last.shape[1], last.size
    for thread in prange(shares.size - 1):
        for tile in tiles[shares[thread] : shares[thread + 1]]:
            left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
            pairs = slice(tile_start[tile], tile_start[tile + 1])
            if pairs.start == pairs.stop:
                continue
            words = reach[_first_word(tile_start, tile) : _first_word(tile_start, tile + 1)]
            tile_slots, tile_lined = slots[pairs], lined[pairs]
            for at in range(0, tile_lined.size, LANES):
                prefetch(tile_lined, at)
            tile_slots[:] = _F0
            for cell in range(CELLS):
                at = (top + cell // TILE_COLUMNS * CELL) * line + left + cell % TILE_COLUMNS * CELL
                taken = load_cell(last, at, line)
                if not any_of(lanes(_F0) <= taken):
                    continue
                g = nothing(channels)
                for c in range(len(channels)):
                    g = tuple_setitem(g, c, load_cell(gradient, c * plane + at, line))
                _differentiate_cell(
                    g, load_cell(transmittance, at, line), load_cell(behind, at, line), taken, cell, tile_lined,
                    words, radius, channels, tile_slots,
                )  # fmt: skip


@njit(**_PARALLEL)
def gather(parameters, world_to_image, focal, radius, channels, slot_start, slot_pair, slots, gradient):
    """Sum each point's slots into gradient [3 + channels, N] out: with respect to its position, then its channels."""
    m = world_to_image
    scale = _F2 * focal / (radius * radius)
    count = parameters.shape[1]
    for block in prange((count + BLOCK - 1) // BLOCK):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, count)
        size = stop - start
        sums = np.zeros((2 + len(channels), BLOCK), np.float32)
        for i in range(size):
            for slot in range(slot_start[start + i], slot_start[start + i + 1]):
                values = slots[slot_pair[slot]]
                for value in range(2 + len(channels)):
                    sums[value, i] += values[value]
        # Whole vectors: beyond the last point, the positions' rows run into those of the colours.
        moved = np.empty((3, BLOCK), np.float32)
        for i in range(0, size, LANES):
            x, y, z = _to_camera(parameters, start + i, m)
            z = select(z > _F0, z, lanes(_F1))
            dx, dy = load(sums, i) * scale / z, load(sums, BLOCK + i) * scale / z
            dz = (dx * x + dy * y) * -_F1 / z
            for row in range(3):
                store(moved, row * BLOCK + i, m[0, row] * dx + m[1, row] * dy + m[2, row] * dz)
        for row in range(3):
            gradient[row, start:stop] = moved[row, :size]
        for c in range(len(channels)):
            gradient[3 + c, start:stop] = sums[2 + c, :size]


class Buffers(NamedTuple):
    """All that lies between a cloud of N points and its image, and on the way back; T tiles, room for P pairs.

    S: how many values a splat has, rounded up to a group of `add_totals`. Empty, where nothing will be differentiated:
    slot_start, slot_pair, slots and gathered.
    """

    splats: Float32Array  # [N, S], as `project` leaves them
    depth: Float32Array  # [N]
    boxes: NDArray[np.int32]  # [N, 3]
    places: NDArray[np.int64]  # [threads, T]
    starts: NDArray[np.int64]  # [threads]
    tile_start: NDArray[np.int64]  # [T + 1]
    tiles: NDArray[np.int64]  # [T]
    shares: NDArray[np.int64]  # [threads + 1]
    pair_point: NDArray[np.int32]  # [P]
    slot_start: NDArray[np.int32]  # [N + 1]
    slot_pair: NDArray[np.int32]  # [P]
    lined: Float32Array  # [P, S], the splats of each tile front to back
    reach: NDArray[np.uint64]  # [P / 64 + T, TILE_ROWS + TILE_COLUMNS]
    composited: Float32Array  # [channels, H', W'], without background
    transmittance: Float32Array  # [H', W']
    last: Float32Array  # [H', W']
    slots: Float32Array  # [P, S]
    gathered: Float32Array  # [3 + channels, N]


def allocate(
    points: int, channels: int, width: int, height: int, threads: int, pairs: int, differentiable: bool
) -> Buffers:
    """Buffers for views of width x height pixels and up to so many pairs."""
    columns, rows = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    padded = rows * TILE_HEIGHT, columns * TILE_WIDTH
    tiles = rows * columns
    values = -(-(2 + channels + 1) // SUMS) * SUMS
    back = int(differentiable)
    f32, i32, i64 = np.float32, np.int32, np.int64
    return Buffers(
        splats=np.empty((points, values), f32),
        depth=np.empty(points, f32),
        boxes=np.empty((points, 3), i32),
        places=np.empty((threads, tiles), i64),
        starts=np.empty(threads, i64),
        tile_start=np.empty(tiles + 1, i64),
        tiles=np.empty(tiles, i64),
        shares=np.empty(threads + 1, i64),
        pair_point=np.empty(pairs, i32),
        slot_start=np.empty(back * (points + 1), i32),
        slot_pair=np.empty(back * pairs, i32),
        lined=np.empty((pairs, values), f32),
        reach=np.empty((pairs // WORD + tiles, TILE_ROWS + TILE_COLUMNS), np.uint64),
        composited=np.empty((channels, *padded), f32),
        transmittance=np.empty(padded, f32),
        last=np.empty(padded, f32),
        slots=np.empty((back * pairs, values), f32),
        gathered=np.empty((3 + channels, back * points), f32),
    )


# A pass over a view is one call: after each kernel, Python's own data would have to come back from memory.


@njit(cache=True, nogil=True, error_model="numpy")
def forward(parameters, world_to_image, focal, eye, width, height, radius, nearest, harmonics, channels, b):
    """Splat `parameters` [33, N] into `b`; returns how many pairs there are, and how many the fullest tile has.

    Where `b` lacks room for so many pairs, or for so many in a tile, no image is made.
    """
    columns = b.last.shape[1] // TILE_WIDTH
    project(parameters, world_to_image, focal, eye, width, height, radius, harmonics, channels, b.splats, b.depth,
            b.boxes, b.places, b.starts)  # fmt: skip
    begin_tiles(b.places, b.starts, b.tile_start)
    pairs, fullest = b.tile_start[-1], share_tiles(b.tile_start, b.tiles, b.shares)
    if pairs > b.pair_point.size or fullest >= MOST_SPLATS_PER_TILE:
        return pairs, fullest
    bin_points(b.boxes, columns, b.places, b.starts, b.pair_point, b.slot_start, b.slot_pair)
    composite(b.splats, b.depth.view(np.uint32), b.pair_point, b.tile_start, b.tiles, b.shares, radius, nearest,
              channels, b.lined, b.reach, b.composited, b.transmittance, b.last)  # fmt: skip
    return pairs, fullest


@njit(cache=True, nogil=True, error_model="numpy")
def backward(parameters, world_to_image, focal, radius, channels, gradient, behind, b):
    """What `forward` left in `b`, differentiated into b.gathered; gradient, behind: as `differentiate` takes them."""
    differentiate(b.tile_start, b.tiles, b.shares, radius, channels, b.lined, b.reach, gradient, behind,
                  b.transmittance, b.last, b.slots)  # fmt: skip
    gather(parameters, world_to_image, focal, radius, channels, b.slot_start, b.slot_pair, b.slots, b.gathered)


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
    weights_across = np.array(
        [_weight(gradient_weight / shifts.size, 3 * height * (width - s)) for s in shifts], np.float32
    )
    weights_down = np.array(
        [_weight(gradient_weight / shifts.size, 3 * (height - s) * width) for s in shifts], np.float32
    )
    sums = np.empty((height, 2))
    # Where the errors of a row begin and end. Around an object they are 0, and so are the gradients beyond the shifts.
    wrong = np.empty((height, 2), np.int64)
    doubtful = np.float32(unknown_share)
    for y in prange(height):
        squares = lanes(_F0)
        first, end = width, 0
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
                if bits(inside & (e <= _F0) & (lanes(_F0) <= e)) != bits(inside):
                    first, end = min(first, x), max(end, x + LANES)
                e = select(inside, e, lanes(np.float32(np.nan)))
                store(error, c * plane + (y + margin) * line + margin + x, e)
                moves = (colour <= _F1) & (lanes(_F0) <= colour) & inside
                store(gradient, at, select(moves, select(known, lanes(_F1), lanes(doubtful)), lanes(_F0)))
        sums[y, 0] = total(squares)
        wrong[y, 0], wrong[y, 1] = first, end
    for y in prange(height):
        differences = lanes(_F0)
        first, end = width, 0
        for near in range(max(0, y - margin), min(height, y + margin + 1)):
            first, end = min(first, wrong[near, 0] - margin), max(end, wrong[near, 1] + margin)
        for x in range(0, width, LANES):
            if x + LANES <= first or end <= x:
                for c in range(3):
                    store(gradient, c * padded_plane + y * padded_line + x, lanes(_F0))
                store(behind, y * padded_line + x, lanes(_F0))
                continue
            product = lanes(_F0)
            for c in range(3):
                at = c * plane + (y + margin) * line + margin + x
                here = load(error, at)
                g = here * (_F2 / np.float32(pixels))
                for k in range(shifts.size):
                    beside, above = shifts[k], shifts[k] * line
                    left, up = here - load(error, at - beside), here - load(error, at - above)
                    from_left, from_up = _signs(left, weights_across[k]), _signs(up, weights_down[k])
                    g = g + from_left + _signs(here - load(error, at + beside), weights_across[k])
                    g = g + from_up + _signs(here - load(error, at + above), weights_down[k])
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
                        _multiply(g, values[k], gradient[3 + c, start:stop])
                        _adam_row(parameters[row, start:stop], g, first[row, start:stop], second[row, start:stop],
                                  beta1, beta2, colour_rate, root, epsilon)  # fmt: skip
        # Positions last: the harmonics above were rendered at the directions of the old ones.
        if position_rate > _F0:
            for row in range(3):
                _add_ridge(g, gradient[row, start:stop], ridge, parameters[row, start:stop])
                _adam_row(parameters[row, start:stop], g, first[row, start:stop], second[row, start:stop],
                          beta1, beta2, position_rate, root, epsilon)  # fmt: skip


numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
