"""The CPU renderer's kernels: splatting in tiles, forward and backward, and the Adam update (Numba).

How it works, with a diagram, is in docs/renderer.md. In short, per view:

    count      how many splats touch each tile
    bin        an *intersection* for every tile that a splat touches: its pixel coordinates, depth and colours, those of
               each tile in the order of the points; points that touch no pixel are left out
    composite  a tile at a time: sort its splats by depth and add them to its *cells* front to back; each cell keeps a
               list of its *contributors*, those that a pixel took

and back:

    differentiate  a cell at a time; each intersection sums into a place of its own
    adam           each point sums its intersections (`gather`) and moves: no atomics, so results do not depend on the
                   number of threads

`forward` calls the first three, `train` all five, with the loss between.

A *slot* is a place among the intersections in the order of the points. Binning cuts the points into a chunk per thread,
and keeps their order, so the chunks leave no trace in the result.
"""

# Numba compiles these functions: they are written for its type inference and for LLVM's vectoriser, not for mypy.
# mypy: ignore-errors
from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import njit, prange
from numba.cpython.unsafe.numbers import trailing_zeros
from numba.cpython.unsafe.tuple import tuple_setitem
from numpy.typing import NDArray

from pointrad.camera import to_pixels
from pointrad.data.scene import Float32Array
from pointrad.harmonics import Y0, Y1, Y2, Y2_XX_YY, Y2_ZZ
from pointrad.kernel_cache import kernel
from pointrad.render.cpu.simd import (
    CELL,
    GROUP,
    SIMD_WIDTH,
    across,
    add_totals,
    all_zero,
    any_of,
    bits,
    broadcast,
    ceil,
    copy_group,
    copysign,
    count_bits,
    down,
    floor,
    flush_denormals,
    is_nonzero,
    load,
    load_cell,
    maximum,
    minimum,
    multiply_add,
    numbers,
    prefetch,
    restore,
    select,
    sqrt,
    store,
    store_cells,
    total,
    transpose,
    zeros_like,
)

# Pixels of a tile. The larger, the fewer splats lie in several; beyond this size the cache and the balance between
# threads lose as much. The width divides those of usual images: padding is work in vain.
TILE_WIDTH = 80
TILE_HEIGHT = 32
TILE_COLUMNS, TILE_ROWS = TILE_WIDTH // CELL, TILE_HEIGHT // CELL
CELLS = TILE_ROWS * TILE_COLUMNS
# Which splats touch a cell is found as bits, so many to a word; of so many words at once, when a cell comes to them. A
# cell looks whether it is full once in so many words.
WORD = 64
WORDS_FOUND_AT_ONCE = 64
WORDS_AT_ONCE = 4
RADIX_BITS = 8
RADIX = 1 << RADIX_BITS
# Points of a block, 4 KB of each row: longer stretches leave the first cache.
BLOCK = 1024
# How far ahead of themselves kernels ask for points and for rows of an image.
AHEAD = 4 * SIMD_WIDTH
ROWS_AHEAD = 2
# Rows of an image that a thread takes at once, few enough for all threads to have as many.
BAND = 40

# A cell takes no more splats where the transmittance of all pixels that still would is below OPAQUE: what lies behind
# adds less than 1e-12 to them, far below float32's resolution of a colour (6e-8).
OPAQUE = np.float32(1e-12)

# error_model: a division by zero gives inf, as in C; Python's check for it would keep loops from being vectorised.
# So would max(a, b), whose NaN rules need branches: the loops over pixels write `a if a > b else b`.
#
# Whoever starts for the first time waits for the compiler, so for its sake: a parallel loop's body is a function of its
# own, which Numba's passes for parallel loops need not read; it takes the loop's number as int64, since these passes
# change its type and the body would be compiled for both; arrays are copied number by number, since an assigned slice
# brings all of Python's string formatting, for the message that it has another shape.
_PART: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_INLINE: dict[str, Any] = {"error_model": "numpy", "inline": "always"}
_PARALLEL: dict[str, Any] = {"parallel": True, "nogil": True, "error_model": "numpy"}

_F0 = np.float32(0)
_F1 = np.float32(1)
_F2 = np.float32(2)
_INFINITY = np.float32(np.inf)
_HALF = np.float32(0.5)
_Y0, _Y1, _Y2 = np.float32(Y0), np.float32(Y1), np.float32(Y2)
_Y2_ZZ, _Y2_XX_YY = np.float32(Y2_ZZ), np.float32(Y2_XX_YY)

_to_pixels = njit(**_INLINE)(to_pixels)


@njit(**_INLINE)
def chunk_of(index, chunks, count):
    """[start, stop) of chunk `index` of `chunks` of `count` items."""
    return index * count // chunks, (index + 1) * count // chunks


@njit(**_INLINE)
def _tile_range(centre, radius, size, tiles):
    """First of the tiles of `size` pixels along one axis that a splat's pixels can lie in, and how many.

    In floats, whose quotients of whole numbers below 2^24 round to no wrong side of a whole number.
    """
    first = maximum(floor(ceil(centre - radius - _HALF) / np.float32(size)), broadcast(_F0))
    last = minimum(floor(floor(centre + radius - _HALF) / np.float32(size)), broadcast(np.float32(tiles - 1)))
    return first, maximum(last - first + _F1, broadcast(_F0))


@njit(**_INLINE)
def _to_camera(parameters, i, m):
    """The camera's x, y, z of the points from the i-th on."""
    count = parameters.shape[1]
    px, py, pz = load(parameters, i), load(parameters, count + i), load(parameters, 2 * count + i)
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    return x, y, z


@njit(**_INLINE)
def _project(parameters, start, size, m, lens, width, height, radius, found, boxes):
    """Where a block of points lies in the image, and the tiles that the squares around their splats touch.

    lens: fx, fy, cx, cy, float32. found: [3 or more, BLOCK] float32 out, u, v and depth of each point.
    boxes: [3, BLOCK] float32 out, the first tile, how many (0 of a splat without a pixel in the image), and how many of
    them side by side.

    The arithmetic is spelt out term by term in float32 so that it equals `projection.project` to the last bit, and with
    it the order of the splats.
    """
    wide, high = np.float32(width), np.float32(height)
    columns, rows = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    # Whole vectors: beyond the last point, the positions' rows run into those of the colours.
    for i in range(0, size, SIMD_WIDTH):
        x, y, z = _to_camera(parameters, start + i, m)
        u, v = _to_pixels(x, y, z, lens)
        beside = (u + radius > _F0) & (u - radius < wide)
        inside = (z > _F0) & beside & (v + radius > _F0) & (v - radius < high)
        column, across = _tile_range(u, radius, TILE_WIDTH, columns)
        row, below = _tile_range(v, radius, TILE_HEIGHT, rows)
        store(found, i, u)
        store(found, BLOCK + i, v)
        store(found, 2 * BLOCK + i, z)
        store(boxes, i, row * np.float32(columns) + column)
        store(boxes, BLOCK + i, select(inside, across * below, broadcast(_F0)))
        store(boxes, 2 * BLOCK + i, across)


@njit(**_INLINE)
def _tile(first, n, across, columns):
    """The n-th of the tiles that a splat touches, of all tiles of an image with so many columns."""
    return first if n == 0 else first + n // across * columns + n % across


@njit(**_PARALLEL)
def count_intersections(parameters, world_to_image, lens, width, height, radius, places, starts):
    """places: [chunks, tiles] int64 out, how many splats of each chunk of points touch each tile. starts: [chunks]
    int64 out, how many tiles they touch in all."""
    for chunk in prange(len(starts)):
        _count_chunk(np.int64(chunk), parameters, world_to_image, lens, width, height, radius, places, starts)


@njit(**_PART)
def _count_chunk(chunk, parameters, world_to_image, lens, width, height, radius, places, starts):
    columns = -(-width // TILE_WIDTH)
    chunk_start, chunk_stop = chunk_of(chunk, len(starts), parameters.shape[1])
    counts = places[chunk]
    counts[:] = 0
    total = 0
    found, boxes = np.empty((3, BLOCK), np.float32), np.empty((3, BLOCK), np.float32)
    for start in range(chunk_start, chunk_stop, BLOCK):
        size = min(BLOCK, chunk_stop - start)
        _project(parameters, start, size, world_to_image, lens, width, height, radius, found, boxes)
        for i in range(size):
            first, across = np.int64(boxes[0, i]), np.int64(boxes[2, i])
            for n in range(np.int64(boxes[1, i])):
                counts[np.uint64(_tile(first, n, across, columns))] += 1
            total += np.int64(boxes[1, i])
    starts[chunk] = total


@njit(**_PART)
def _find_channels(parameters, start, stop, eye, harmonics, channels, values):
    """values [C, BLOCK] out: the channels of a block of points, RGB towards the camera or all coefficients."""
    size = stop - start
    if not harmonics or len(channels) > 3:
        for c in range(len(channels)):
            for i in range(size):
                values[c, i] = parameters[3 + c, start + i]
        return
    whole = size // SIMD_WIDTH * SIMD_WIDTH
    for i in range(0, whole, SIMD_WIDTH):
        _find_colours(parameters, start + i, eye, values, i)
    if whole < size:
        # Beyond the last row there is nothing to read.
        rest = np.zeros((parameters.shape[0], SIMD_WIDTH), np.float32)
        for row in range(len(rest)):
            for i in range(size - whole):
                rest[row, i] = parameters[row, start + whole + i]
        _find_colours(rest, 0, eye, values, whole)


@njit(**_INLINE)
def _find_colours(parameters, at, eye, values, i):
    """values [3, BLOCK] out, from column i on: RGB towards the camera of the sixteen points from the at-th on."""
    count = parameters.shape[1]
    # So many rows at once are too many for the machine to see where each goes on.
    for row in range(3, len(parameters)):
        prefetch(parameters, row * count + at + AHEAD)
    basis = _basis(parameters, at, eye)
    for c in range(3):
        colour = load(parameters, (3 + c) * count + at)
        for k in range(9):
            colour = multiply_add(basis[k], load(parameters, (6 + 3 * k + c) * count + at), colour)
        store(values, c * BLOCK + i, colour)


@njit(**_INLINE)
def _basis(parameters, at, eye):
    """`harmonics.basis` at the directions from the camera to the sixteen points from the at-th on."""
    count = parameters.shape[1]
    x, y = load(parameters, at) - eye[0], load(parameters, count + at) - eye[1]
    z = load(parameters, 2 * count + at) - eye[2]
    scale = _F1 / sqrt(x * x + y * y + z * z)
    x, y, z = x * scale, y * scale, z * scale
    return (
        broadcast(_Y0),
        -_Y1 * y,
        _Y1 * z,
        -_Y1 * x,
        _Y2 * x * y,
        -_Y2 * y * z,
        _Y2_ZZ * (_F2 * z * z - x * x - y * y),
        -_Y2 * x * z,
        _Y2_XX_YY * (x * x - y * y),
    )


@njit(**_PART)
def begin_tiles(places, starts, tile_start):
    """Turn `count_intersections`' counts into where each chunk of points begins to write in each tile and in the slots.

    tile_start: [tiles + 1] int64 out, where the intersections of each tile begin.
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


@kernel(error_model="numpy")
def share_tiles(tile_start, tiles, shares):
    """Assign the tiles to threads, the fullest first and back and forth, so that all have about as much to do.

    tile_start: [tiles + 1] int64, the first intersection of each tile. tiles: [tiles] int64 out, thread after thread;
    shares: [threads + 1] int64 out, where each one's begin.
    """
    threads = shares.size - 1
    scratch = np.empty((2, tiles.size), np.uint64)
    free = np.empty((tiles.size, 2), np.uint32)[:, 0]  # a column, as `composite` passes: one type to compile for
    for tile in range(tiles.size):
        free[tile] = np.uint32(0xFFFFFFFF) - np.uint32(tile_start[tile + 1] - tile_start[tile])
    fullest_first = sort_by_depth(free, scratch[0], scratch[1])
    shares[0] = at = 0
    for thread in range(threads):
        for place in range(tiles.size):
            turn = place % (2 * threads)
            if min(turn, 2 * threads - 1 - turn) == thread:
                tiles[at] = _place(fullest_first[place])
                at += 1
        shares[thread + 1] = at


@njit(**_PARALLEL)
def bin_splats(parameters, world_to_image, lens, eye, width, height, radius, harmonics, channels, places, starts,
               binned, slot_start, slot_place):  # fmt: skip
    """Write the intersections of each tile, points in their own order.

    places, starts: as `begin_tiles` leaves them. binned: [P, S] float32 out, of each one u, v, the depth, and the
    channels: RGB, with its harmonics (if on) at the camera-to-point direction, or all coefficients. slot_start: [N + 1]
    int32 out, the first slot of each point; slot_place: [P] int32 out, each slot's place in `binned`. These two are
    empty where nothing will be differentiated.
    """
    for chunk in prange(len(starts)):
        _bin_chunk(np.int64(chunk), parameters, world_to_image, lens, eye, width, height, radius, harmonics, channels,
                   places, starts, binned, slot_start, slot_place)  # fmt: skip


@njit(**_PART)
def _bin_chunk(chunk, parameters, world_to_image, lens, eye, width, height, radius, harmonics, channels, places,
               starts, binned, slot_start, slot_place):  # fmt: skip
    chunks, columns, values = len(starts), -(-width // TILE_WIDTH), binned.shape[1]
    chunk_start, chunk_stop = chunk_of(chunk, chunks, parameters.shape[1])
    if chunk == 0:
        slot_start[:1] = 0
    place_in, slot = places[chunk], np.uint64(starts[chunk])
    found, boxes = np.zeros((values, BLOCK), np.float32), np.empty((3, BLOCK), np.float32)
    splats = np.empty((BLOCK, values), np.float32)
    for start in range(chunk_start, chunk_stop, BLOCK):
        size = min(BLOCK, chunk_stop - start)
        _project(parameters, start, size, world_to_image, lens, width, height, radius, found, boxes)
        _find_channels(parameters, start, start + size, eye, harmonics, channels, found[3:])
        for i in range(0, size, SIMD_WIDTH):
            for at in range(0, values, GROUP):
                transpose(found, at * BLOCK + i, BLOCK, splats, i * values + at, values)
        for i in range(size):
            first, across = np.int64(boxes[0, i]), np.int64(boxes[2, i])
            for n in range(np.int64(boxes[1, i])):
                tile = np.uint64(_tile(first, n, across, columns))
                place = place_in[tile]
                place_in[tile] = place + 1
                for at in range(0, values, GROUP):
                    copy_group(splats, i * values + at, binned, place * values + at)
                if slot_place.size:
                    slot_place[slot] = place
                slot += np.uint64(1)
            if slot_start.size:
                slot_start[np.uint64(start + i + 1)] = slot


@njit(**_PART)
def sort_by_depth(depth_bits, keys, spare):
    """The places of a tile's splats, nearest first and by place among equals: the low halves of what is returned.

    depth_bits: uint32, the bits of their depths: positive floats order as their bits do. keys, spare: uint64, room for
    the splats. Least-significant-digit radix sort over the bits in which the depths differ.
    """
    low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
    for place in range(depth_bits.size):
        key = depth_bits[place]
        keys[place] = np.uint64(key) << np.uint64(32) | np.uint64(place)
        low, high = min(low, key), max(high, key)
    if depth_bits.size == 0:
        return keys
    base, mask, one = np.uint64(low) << np.uint64(32), np.uint64(RADIX - 1), np.uint32(1)
    starts = np.empty(RADIX, np.uint32)
    shift = 0
    while (high - low) >> np.uint32(shift) > 0:
        distance = np.uint64(32 + shift)
        starts[:] = 0
        for place in range(keys.size):
            starts[(keys[place] - base) >> distance & mask] += one
        at = np.uint32(0)
        for digit in range(RADIX):
            count = starts[digit]
            starts[digit] = at
            at += count
        for place in range(keys.size):
            digit = (keys[place] - base) >> distance & mask
            spare[starts[digit]] = keys[place]
            starts[digit] += one
        keys, spare = spare, keys
        shift += RADIX_BITS
    return keys


@njit(**_INLINE)
def _place(key):
    """The place in a key of `sort_by_depth`."""
    return key & np.uint64(0xFFFFFFFF)


@kernel(error_model="numpy")
def _find_touched(keys, binned, radius, left, top, first, last, touched):
    """Which splats of a tile touch which rows and columns of its cells.

    keys: of splats in `binned`, front to back. left, top: the first pixel's centre. touched: [TILE_ROWS + TILE_COLUMNS,
    words] uint64 out, from word `first` to before `last`; each has a bit for each of 64 splats: whether it touches this
    row, this column.
    """
    centres = np.empty((2, WORD), np.float32)
    for word in range(first, last):
        start = word * WORD
        centres[:] = np.inf
        for n in range(min(WORD, keys.size - start)):
            splat = binned[_place(keys[start + n])]
            centres[0, n], centres[1, n] = splat[1], splat[0]
        for line in range(TILE_ROWS + TILE_COLUMNS):
            axis = np.int64(line >= TILE_ROWS)
            pixel = (left if axis else top) + np.float32((line - TILE_ROWS * axis) * CELL)
            nearest, farthest = broadcast(pixel - radius), broadcast(pixel + np.float32(CELL - 1) + radius)
            line_bits = np.uint64(0)
            for n in range(0, WORD, SIMD_WIDTH):
                centre = load(centres, axis * WORD + n)
                # Not `<`: both borders may have been rounded onto the centre of a splat that hits.
                line_bits |= bits((nearest <= centre) & (centre <= farthest)) << np.uint64(n)
            touched[line, word] = line_bits


@njit(**_INLINE)
def _centres(cell, left, top):
    """The pixels' centres of a tile's cell; left, top: of the tile's first pixel."""
    x = across() + (left + np.float32(cell % TILE_COLUMNS * CELL))
    return x, down() + (top + np.float32(cell // TILE_COLUMNS * CELL))


# How many values a splat has is part of the kernels' types: they take the numbers of the channels as a tuple, and LLVM
# unrolls over it. (Functions made for a number would be compiled anew in each process: of closures, Numba's cache finds
# only those that hold no other compiled function.)
CHANNELS = tuple(range(3))
ALL_CHANNELS = tuple(range(30))


@njit(**_PART)
def _decode(word, first, places, n):
    """Write the places of a word's bits, of which the lowest is `first`, from places[n] on; returns where they end.

    Up to three places beyond are overwritten, too: four at a time, since a branch per bit would be mispredicted.
    """
    end = n + count_bits(word)
    while n < end:
        for _ in range(4):
            places[n] = first + np.uint64(trailing_zeros(word))
            word &= word - np.uint64(1)
            n += np.uint64(1)
    return end


@njit(**_INLINE)
def _hit_test(splat, x, y, square, open_hits):
    """The squared distances of pixels to a splat, and which of them take it: those near enough that take another.

    In one comparison with `open_hits`, for which the next splat waits; an `and` of two would take LLVM two after
    another.
    """
    dx, dy = x - splat[0], y - splat[1]
    d2 = dx * dx + dy * dy
    return d2, select(d2 < square, broadcast(_F0), broadcast(_INFINITY)) < open_hits


@njit(**_INLINE)
def _composite_cell(
    cell, keys, binned, radius, nearest, left, top, channels, touched, known, places, contributors, end, listed
):
    """Add splats to a cell, front to back, until all its pixels are full.

    touched: as `_find_touched` leaves it, of the first `known` words; more are found where they are needed.
    contributors: out from `end` on, if `listed` is 1, the places in `binned` of the splats that any pixel took. places:
    scratch. Returns the channels, the transmittance, and where `known` and `end` are now.
    """
    count = len(channels)
    square, inverse = radius * radius, _F1 / (radius * radius)
    t, open_hits, colours = broadcast(_F1), broadcast(nearest), zeros_like(channels)
    x, y = _centres(cell, left, top)
    row, column = touched[cell // TILE_COLUMNS], touched[TILE_ROWS + cell % TILE_COLUMNS]
    words = touched.shape[1]
    for first in range(0, words, WORDS_AT_ONCE):
        last = min(first + WORDS_AT_ONCE, words)
        if known < last:
            known = min(first + WORDS_FOUND_AT_ONCE, words)
            _find_touched(keys, binned, radius, left, top, first, known, touched)
        n = np.uint64(0)
        for word in range(first, last):
            n = _decode(row[word] & column[word], np.uint64(word * WORD), places, n)
        for k in range(n):
            place = _place(keys[places[k]])
            splat = binned[place]
            d2, hit = _hit_test(splat, x, y, square, open_hits)
            passes = select(hit, t * (d2 * inverse), t)
            for c in range(count):
                colours = tuple_setitem(colours, c, multiply_add(t - passes, splat[3 + c], colours[c]))
            t = passes
            open_hits = select(hit, open_hits - _F1, open_hits)
            contributors[end] = np.uint32(place)
            end += np.uint64(any_of(hit)) & listed
        # Whether no pixel takes another hit that could be seen.
        if not any_of((open_hits > _F0) & (broadcast(OPAQUE) <= t)):
            break
    return colours, t, known, end


@njit(**_PARALLEL)
def composite(binned, tile_start, tiles, shares, radius, nearest, channels, background, contributors, cell_start, blank,
              image):  # fmt: skip
    """Composite all tiles (docs/method.md).

    binned: as `bin_splats` leaves it. tiles, shares: as `share_tiles` assigns them. background: RGB, behind the first
    three channels. image: [channels, H', W'] out, H', W' being the image size rounded up to whole tiles; kept from call
    to call, since tiles without splats are not written again. blank: [T] bool out, which have none; False before the
    first call.

    contributors: [P, `most_cells`] uint32 out, for each tile the places (among its own) of the splats that its first
    cell took front to back, then its next cell, and so on. cell_start: [T, CELLS + 1] uint64 out, where the cells begin
    in the tile's `contributors`. These two are empty where nothing will be differentiated.
    """
    for thread in prange(shares.size - 1):
        _composite_share(np.int64(thread), binned, tile_start, tiles, shares, radius, nearest, channels, background,
                         contributors, cell_start, blank, image)  # fmt: skip


@njit(**_PART, forceinline=True)  # a sixth faster, with all in the cache
def _composite_share(thread, binned, tile_start, tiles, shares, radius, nearest, channels, background, contributors,
                     cell_start, blank, image):  # fmt: skip
    line, plane = image.shape[2], image[0].size
    columns = line // TILE_WIDTH
    count = len(channels)
    size = count * SIMD_WIDTH
    depths = binned.view(np.uint32)[:, 2]
    listed = np.uint64(cell_start.size > 0)
    mode = flush_denormals()
    places = np.empty(WORDS_AT_ONCE * WORD + 3, np.uint64)
    strip = np.empty(CELL * size, np.float32)  # cells side by side
    unlisted, unlisted_start = np.empty(1, np.uint32), np.empty(CELLS + 1, np.uint64)
    for tile in tiles[shares[thread] : shares[thread + 1]]:
        of_tile = slice(tile_start[tile], tile_start[tile + 1])
        of_cells = contributors[of_tile].reshape(-1) if listed else unlisted
        starts = cell_start[tile] if listed else unlisted_start
        is_blank = of_tile.start == of_tile.stop
        if is_blank:
            starts[:] = 0
            if blank[tile]:
                continue
        blank[tile] = is_blank
        left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
        scratch = np.empty((2, of_tile.stop - of_tile.start), np.uint64)
        tile_binned = binned[of_tile]
        keys = sort_by_depth(depths[of_tile], scratch[0], scratch[1])
        touched = np.empty((TILE_ROWS + TILE_COLUMNS, (keys.size + WORD - 1) // WORD), np.uint64)
        known, end = 0, np.uint64(0)
        for cell in range(CELLS):
            starts[cell] = end
            colours, t, known, end = _composite_cell(
                cell, keys, tile_binned, radius, nearest, np.float32(left) + _HALF, np.float32(top) + _HALF,
                channels, touched, known, places, of_cells, end, listed,
            )  # fmt: skip
            at = cell % CELL * size
            for c in range(count):
                colour = multiply_add(t, background[c], colours[c]) if c < 3 else colours[c]
                store(strip, at + c * SIMD_WIDTH, colour)
            if cell % CELL == CELL - 1:
                to = (top + cell // TILE_COLUMNS * CELL) * line + left + (cell % TILE_COLUMNS - CELL + 1) * CELL
                for c in range(count):
                    store_cells(image, c * plane + to, line, strip, c * SIMD_WIDTH, size)
        starts[CELLS] = end
    restore(mode)


def most_cells(radius: float) -> int:
    """How many cells of a tile a splat can touch: those it covers, and one more on each side."""
    across = int(2 * radius) // CELL + 2
    return min(across, TILE_ROWS) * min(across, TILE_COLUMNS)


@njit(**_PART)
def _differentiate_cell(g, b, nearest, x, y, binned, contributors, radius, channels, kept, slots):
    """Add the gradients of a cell's contributors to their slots.

    contributors: their places, front to back. g: the image's gradient, of each channel. b: its product with what lies
    behind the splats. kept: room for the transmittance before each splat and the splat's weight, both 0 where it is not
    hit.
    """
    square, inverse = radius * radius, _F1 / (radius * radius)
    t, open_hits = broadcast(_F1), broadcast(nearest)
    for k in range(contributors.size):
        d2, hit = _hit_test(binned[contributors[k]], x, y, square, open_hits)
        q = d2 * inverse
        store(kept, 2 * SIMD_WIDTH * k, select(hit, t, broadcast(_F0)))
        store(kept, 2 * SIMD_WIDTH * k + SIMD_WIDTH, select(hit, _F1 - q, broadcast(_F0)))
        t = select(hit, t * q, t)
        open_hits = select(hit, open_hits - _F1, open_hits)
    for k in range(contributors.size - 1, -1, -1):
        place = contributors[np.uint64(k)]
        splat = binned[place]
        dx, dy = x - splat[0], y - splat[1]
        t, w = load(kept, 2 * SIMD_WIDTH * k), load(kept, 2 * SIMD_WIDTH * k + SIMD_WIDTH)
        s = g[0] * splat[3]
        for c in range(1, len(channels)):
            s = multiply_add(g[c], splat[3 + c], s)
        before = s - b
        b = multiply_add(w, before, b)
        dw, a = t * before, t * w
        values = zeros_like(channels + (0, 0))  # noqa: RUF005 (Numba concatenates)
        values = tuple_setitem(values, 0, dw * dx)
        values = tuple_setitem(values, 1, dw * dy)
        for c in range(len(channels)):
            values = tuple_setitem(values, 2 + c, a * g[c])
        add_totals(slots, np.int64(place) * slots.shape[1], values)


@kernel(**_PARALLEL)
def differentiate(binned, tile_start, tiles, shares, radius, nearest, channels, background, contributors, cell_start,
                  gradient, slots):  # fmt: skip
    """Gradients of every intersection: slots [P, S] out, with respect to u and v, times radius^2 / 2, and the channels.

    gradient: [channels, H', W'] of the loss with respect to `image`. binned, contributors, cell_start: as forward left
    them.

    With A the colour behind a splat of weight w and colour c, dC/dw = T (c - A). The transmittance T is found once
    more, front to back; then only b = g . A, the product with the pixel's gradient g, is carried back to front.
    """
    for thread in prange(shares.size - 1):
        _differentiate_share(np.int64(thread), binned, tile_start, tiles, shares, radius, nearest, channels, background,
                             contributors, cell_start, gradient, slots)  # fmt: skip


@njit(**_PART)
def _differentiate_share(thread, binned, tile_start, tiles, shares, radius, nearest, channels, background, contributors,
                         cell_start, gradient, slots):  # fmt: skip
    line, plane = gradient.shape[2], gradient[0].size
    columns = line // TILE_WIDTH
    mode = flush_denormals()
    for tile in tiles[shares[thread] : shares[thread + 1]]:
        of_tile = slice(tile_start[tile], tile_start[tile + 1])
        tile_binned, of_cells, tile_slots = binned[of_tile], contributors[of_tile].reshape(-1), slots[of_tile]
        starts = cell_start[tile]
        tile_slots[:] = _F0
        # A cell takes no more splats than its pixels do together.
        kept = np.empty(2 * SIMD_WIDTH * min(len(tile_binned), np.int64(SIMD_WIDTH * nearest)), np.float32)
        left, top = (tile % columns) * TILE_WIDTH, (tile // columns) * TILE_HEIGHT
        for cell in range(CELLS):
            of_cell = of_cells[starts[cell] : starts[cell + 1]]
            if of_cell.size == 0:
                continue
            x, y = _centres(cell, np.float32(left) + _HALF, np.float32(top) + _HALF)
            at = (top + cell // TILE_COLUMNS * CELL) * line + left + cell % TILE_COLUMNS * CELL
            g = zeros_like(channels)
            for c in range(len(channels)):
                g = tuple_setitem(g, c, load_cell(gradient, c * plane + at, line))
            b = broadcast(_F0)
            for c in range(3):
                b = multiply_add(g[c], background[c], b)
            _differentiate_cell(g, b, nearest, x, y, tile_binned, of_cell, radius, channels, kept, tile_slots)
    restore(mode)


@kernel(**_PARALLEL)
def gather(parameters, world_to_image, lens, radius, channels, slot_start, slot_place, slots, gradient):
    """Sum each point's slots into gradient [3 + channels, N] out: with respect to its position, then its channels."""
    for block in prange((parameters.shape[1] + BLOCK - 1) // BLOCK):
        _gather_block(np.int64(block), parameters, world_to_image, lens, radius, channels, slot_start, slot_place,
                      slots, gradient)  # fmt: skip


@njit(**_PART)
def _gather_block(block, parameters, world_to_image, lens, radius, channels, slot_start, slot_place, slots, gradient):
    mode = flush_denormals()
    start, stop = block * BLOCK, min((block + 1) * BLOCK, parameters.shape[1])
    found = np.empty((3 + len(channels), BLOCK), np.float32)
    _gather(parameters, start, stop, world_to_image, lens, radius, channels, slot_start, slot_place, slots, found)
    for row in range(len(found)):
        for i in range(stop - start):
            gradient[row, start + i] = found[row, i]
    restore(mode)


@njit(**_PART)
def _gather(parameters, start, stop, m, lens, radius, channels, slot_start, slot_place, slots, gradient):
    """`gather` of a block of points into gradient [3 + channels, BLOCK] out."""
    fx, fy, _, _ = lens
    scale_u, scale_v = _F2 * fx / (radius * radius), _F2 * fy / (radius * radius)
    moves = np.zeros((2, BLOCK), np.float32)  # du, dv
    gradient[3:] = _F0
    for i in range(stop - start):
        for slot in range(slot_start[start + i], slot_start[start + i + 1]):
            values = slots[slot_place[slot]]
            moves[0, i] += values[0]
            moves[1, i] += values[1]
            for c in range(len(channels)):
                gradient[3 + c, i] += values[2 + c]
    # Whole vectors: beyond the last point, the positions' rows run into those of the colours.
    for i in range(0, stop - start, SIMD_WIDTH):
        x, y, z = _to_camera(parameters, start + i, m)
        z = select(z > _F0, z, broadcast(_F1))
        dx, dy = load(moves, i) * scale_u / z, load(moves, BLOCK + i) * scale_v / z
        dz = (dx * x + dy * y) * -_F1 / z
        for row in range(3):
            store(gradient, row * BLOCK + i, m[0, row] * dx + m[1, row] * dy + m[2, row] * dz)


class Buffers(NamedTuple):
    """All that lies between a cloud of N points and its image, and on the way back; T tiles, room for P intersections.

    S: how many values a splat has, rounded up to whole groups of `simd.GROUP`. Empty, where nothing will be
    differentiated: contributors, cell_start, slot_start, slot_place, gradient, slots and gathered.
    """

    places: NDArray[np.int64]  # [threads, T]
    starts: NDArray[np.int64]  # [threads]
    tile_start: NDArray[np.int64]  # [T + 1]
    tiles: NDArray[np.int64]  # [T]
    shares: NDArray[np.int64]  # [threads + 1]
    binned: Float32Array  # [P, S], the splats of each tile in points' order
    slot_start: NDArray[np.int32]  # [N + 1]
    slot_place: NDArray[np.int32]  # [P]
    contributors: NDArray[np.uint32]  # [P, `most_cells`], of which a few are touched
    cell_start: NDArray[np.uint64]  # [T, CELLS + 1]
    blank: NDArray[np.bool_]  # [T]
    composited: Float32Array  # [channels, H', W']
    gradient: Float32Array  # [3, H', W'], of a loss with respect to the image
    slots: Float32Array  # [P, S]
    gathered: Float32Array  # [3 + channels, N]


def allocate(
    points: int,
    channels: int,
    threads: int,
    cells: int,
    width: int,
    height: int,
    intersections: int,
    differentiable: bool,
) -> Buffers:
    """Buffers for views of width x height pixels, splats that touch up to `cells`, and up to so many intersections."""
    values = -(-(3 + channels) // GROUP) * GROUP
    back = int(differentiable)
    f32, i32, i64 = np.float32, np.int32, np.int64
    return Buffers(
        starts=np.empty(threads, i64),
        shares=np.empty(threads + 1, i64),
        binned=np.empty((intersections, values), f32),
        slot_start=np.empty(back * (points + 1), i32),
        slot_place=np.empty(back * intersections, i32),
        contributors=np.empty((back * intersections, cells), np.uint32),
        slots=np.empty((back * intersections, values), f32),
        gathered=np.empty((3 + channels, back * points), f32),
        **_allocate_picture(channels, width, height, threads, back),
    )


def resize(b: Buffers, width: int, height: int) -> Buffers:
    """The buffers for views of another size; room for points and intersections, most of them, stays as it is."""
    return b._replace(**_allocate_picture(len(b.composited), width, height, len(b.starts), len(b.gradient) // 3))


def _allocate_picture(channels: int, width: int, height: int, threads: int, back: int) -> dict[str, NDArray[Any]]:
    """Those that go by the picture's size. back: 1 where there is a way back, else 0."""
    columns, rows = -(-width // TILE_WIDTH), -(-height // TILE_HEIGHT)
    padded = rows * TILE_HEIGHT, columns * TILE_WIDTH
    tiles = rows * columns
    return {
        "places": np.empty((threads, tiles), np.int64),
        "tile_start": np.empty(tiles + 1, np.int64),
        "tiles": np.empty(tiles, np.int64),
        "cell_start": np.empty((back * tiles, CELLS + 1), np.uint64),
        "blank": np.zeros(tiles, np.bool_),
        "composited": np.empty((channels, *padded), np.float32),
        "gradient": np.zeros((back * 3, *padded), np.float32),  # whose padding no kernel writes
    }


# A pass over a view is one call: after each kernel, Python's own data would have to come back from memory.


@kernel(nogil=True, error_model="numpy")
def forward(parameters, world_to_image, lens, eye, width, height, radius, nearest, harmonics, channels, background,
            b):  # fmt: skip
    """Splat `parameters` [33, N] into `b`; returns how many intersections there are.

    Where `b` lacks room for so many, no image is made.
    """
    count_intersections(parameters, world_to_image, lens, width, height, radius, b.places, b.starts)
    begin_tiles(b.places, b.starts, b.tile_start)
    intersections = b.tile_start[-1]
    if intersections > len(b.binned):
        return intersections
    share_tiles(b.tile_start, b.tiles, b.shares)
    bin_splats(parameters, world_to_image, lens, eye, width, height, radius, harmonics, channels, b.places, b.starts,
               b.binned, b.slot_start, b.slot_place)  # fmt: skip
    composite(b.binned, b.tile_start, b.tiles, b.shares, radius, nearest, channels, background, b.contributors,
              b.cell_start, b.blank, b.composited)  # fmt: skip
    return intersections


@kernel(**_PARALLEL)
def show(image, shown):
    """shown [3, H, W] out: an image [3, H', W'], clamped."""
    for y in prange(shown.shape[1]):
        _show_row(np.int64(y), image, shown)


@njit(**_PART)
def _show_row(y, image, shown):
    channels, _, width = shown.shape
    for c in range(channels):
        for x in range(width):
            colour = image[c, y, x]
            # Not the other way round, which would turn NaN into black and hide that training diverged.
            colour = _F0 if colour < _F0 else colour
            shown[c, y, x] = _F1 if colour > _F1 else colour


@kernel(**_PARALLEL)
def photometric(image, target, weight, gradient_weight, shifts, gradient):
    """The photometric loss (docs/method.md) of a composited image and its gradient; returns (loss, MSE).

    image: [3, H', W'] as composited; target: [3, H, W]; weight: [H, W], of each pixel's error, or [1, 1], of all of
    them. gradient: [3, H', W'] out; what lies beyond H and W, but for whole vectors, is left alone.
    """
    height, width = target.shape[1:]
    weights = np.empty((2, shifts.size), np.float32)  # of a difference across, down
    for k in range(shifts.size):
        weights[0, k] = _weight(gradient_weight / shifts.size, 3 * height * (width - shifts[k]))
        weights[1, k] = _weight(gradient_weight / shifts.size, 3 * (height - shifts[k]) * width)
    sums = np.empty((height, 2))
    for band in prange((height + BAND - 1) // BAND):
        _differentiate_band(np.int64(band), image, target, weight, shifts, weights, gradient, sums)
    mse = _sum_in_order(sums[:, :1]) / (3 * height * width)
    return mse + _sum_in_order(sums[:, 1:]), mse


@njit(**_PART)
def _differentiate_band(band, image, target, weight, shifts, weights, gradient, sums):
    """`photometric` of a band of rows; sums: [H, 2] out, of each row the squared errors and the gradient loss."""
    height, width = target.shape[1:]
    margin = _greatest(shifts) if shifts.size else np.int64(0)
    start, stop = band * BAND, min((band + 1) * BAND, height)
    # As many rows as meet each other: of the errors, NaN around the image, so that no difference counts across its
    # border, and how far each moves with its colour. Around an object errors are 0: each row keeps where they are
    # not, between `first` and `last`.
    rows = 2 * margin + 1
    errors = np.empty((3, rows, margin + (width + SIMD_WIDTH - 1) // SIMD_WIDTH * SIMD_WIDTH + margin), np.float32)
    moves = np.empty(errors.shape, np.float32)
    errors[:] = np.float32(np.nan)
    first, last = np.empty(rows, np.int64), np.empty(rows, np.int64)
    for y in range(start - margin, stop + margin):
        row = y % rows
        if y < 0 or y >= height:
            errors[:, row] = np.float32(np.nan)
            first[row], last[row] = width, 0
        else:
            squares, first[row], last[row] = _find_errors(image, target, weight, y, margin, errors, moves)
            if start <= y < stop:
                sums[y, 0] = squares
        if start <= y - margin:
            extent = _least(first) - margin, _greatest(last) + margin
            sums[y - margin, 1] = _find_gradient(
                height, width, shifts, weights, y - margin, margin, extent, errors, moves, gradient
            )


@njit(**_PART)
def _least(numbers):
    least = numbers[0]
    for number in numbers:
        least = min(least, number)
    return least


@njit(**_PART)
def _greatest(numbers):
    greatest = numbers[0]
    for number in numbers:
        greatest = max(greatest, number)
    return greatest


@njit(**_PART)
def _find_errors(image, target, weight, y, margin, errors, moves):
    """Errors of a row of the image; returns the sum of their squares, and between which pixels not all are 0."""
    height, width = target.shape[1:]
    rows, line = errors.shape[1:]
    squares = broadcast(_F0)
    first, last = width, 0
    rest, rest_of_weights = np.empty(SIMD_WIDTH, np.float32), np.empty(SIMD_WIDTH, np.float32)
    alike = weight.size == 1
    for c in range(3):
        for x in range(0, width, SIMD_WIDTH):
            colour = load(image, c * image[0].size + y * image.shape[2] + x)
            if x + SIMD_WIDTH <= width:
                wanted = load(target, (c * height + y) * width + x)
                counts = broadcast(weight[0, 0]) if alike else load(weight, y * width + x)
            else:
                for i in range(width - x):
                    rest[i], rest_of_weights[i] = target[c, y, x + i], weight[0, 0] if alike else weight[y, x + i]
                wanted, counts = load(rest, 0), load(rest_of_weights, 0)
            prefetch(image, c * image[0].size + (y + ROWS_AHEAD) * image.shape[2] + x)
            prefetch(target, (c * height + y + ROWS_AHEAD) * width + x)
            inside = numbers() + np.float32(x) < np.float32(width)
            # In this order, a colour that is NaN stays so: black would hide that training diverged.
            shown = minimum(broadcast(_F1), maximum(broadcast(_F0), colour))
            e = (shown - wanted) * counts
            counted = select(inside, e, broadcast(_F0))
            squares = multiply_add(counted, counted, squares)
            if not all_zero(counted):
                first, last = min(first, x), max(last, x + SIMD_WIDTH)
            at = (c * rows + y % rows) * line + margin + x
            store(errors, at, select(inside, e, broadcast(np.float32(np.nan))))
            clamped_not = (colour <= _F1) & (broadcast(_F0) <= colour) & inside
            store(moves, at, select(clamped_not, counts, broadcast(_F0)))
    return total(squares), first, last


@njit(**_PART)
def _find_gradient(height, width, shifts, weights, y, margin, extent, errors, moves, gradient):
    """The gradient of a row of the image, 0 beyond `extent`; returns its part of the gradient loss."""
    rows, line = errors.shape[1:]
    differences = broadcast(_F0)
    plane = gradient[0].size
    for x in range(0, width, SIMD_WIDTH):
        if x + SIMD_WIDTH <= extent[0] or extent[1] <= x:
            for c in range(3):
                store(gradient, c * plane + y * gradient.shape[2] + x, broadcast(_F0))
            continue
        for c in range(3):
            column = c * rows * line + margin + x
            at = column + y % rows * line
            here = load(errors, at)
            g = here * (_F2 / np.float32(3 * height * width))
            for k in range(shifts.size):
                shift = shifts[k]
                across, down = weights[0, k], weights[1, k]
                left, right = here - load(errors, at - shift), here - load(errors, at + shift)
                up = here - load(errors, column + (y - shift) % rows * line)
                below = here - load(errors, column + (y + shift) % rows * line)
                g = _add_sign(_add_sign(_add_sign(_add_sign(g, left, across), right, across), up, down), below, down)
                differences = _add_size(_add_size(differences, left, across), up, down)
            counts = load(moves, at)
            g = select(counts > _F0, g * counts, broadcast(_F0))
            store(gradient, c * plane + y * gradient.shape[2] + x, g)
    return total(differences)


@njit(**_PART)
def _weight(weight, count):
    """Of each of `count` differences; 0 where there are none."""
    return weight / count if count > 0 else 0.0


# Where there is no neighbour, the difference is NaN and adds nothing.
@njit(**_INLINE)
def _add_sign(sums, difference, weight):
    return select(is_nonzero(difference), sums + copysign(broadcast(weight), difference), sums)


@njit(**_INLINE)
def _add_size(sums, difference, weight):
    return select(is_nonzero(difference), multiply_add(difference, copysign(broadcast(weight), difference), sums), sums)


@njit(**_PART)
def _sum_in_order(values):
    """Sum of a matrix; in a parallel kernel, Numba would make .sum() a sum per thread, which rounds otherwise."""
    total = 0.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            total += values[row, column]
    return total


@njit(**_INLINE)
def _move(parameters, first, second, at, gradient, rate, adam):
    """One Adam update of sixteen parameters from the at-th on.

    adam: beta1, beta2, 1 / sqrt(1 - beta2^t) and epsilon. rate: lr / (1 - beta1^t).
    """
    beta1, beta2, root, epsilon = adam
    # The same points' next row is what will be needed next, and too far away for the machine to foresee it.
    ahead = at + parameters.shape[1]
    prefetch(parameters, ahead)
    prefetch(first, ahead)
    prefetch(second, ahead)
    m = multiply_add(broadcast(beta1), load(first, at), (_F1 - beta1) * gradient)
    v = multiply_add(broadcast(beta2), load(second, at), (_F1 - beta2) * gradient * gradient)
    store(first, at, m)
    store(second, at, v)
    store(parameters, at, load(parameters, at) - rate * m / multiply_add(sqrt(v), broadcast(root), broadcast(epsilon)))


@njit(**_PART)
def _move_points(parameters, first, second, start, size, gradient, direct, eye, harmonics, position_rate, colour_rate,
                 adam, ridge):  # fmt: skip
    """Adam over a block of whole vectors of points; gradient: as `_gather` leaves it."""
    count = parameters.shape[1]
    if colour_rate > _F0:
        for row in range(3, direct):
            for i in range(0, size, SIMD_WIDTH):
                _move(parameters, first, second, row * count + start + i, load(gradient, row * BLOCK + i),
                      colour_rate, adam)  # fmt: skip
        if harmonics and direct == 6:
            values = np.empty((9, BLOCK), np.float32)
            for i in range(0, size, SIMD_WIDTH):
                basis = _basis(parameters, start + i, eye)
                for k in range(9):
                    store(values, k * BLOCK + i, basis[k])
            for k in range(9):
                for c in range(3):
                    for i in range(0, size, SIMD_WIDTH):
                        _move(parameters, first, second, (6 + 3 * k + c) * count + start + i,
                              load(values, k * BLOCK + i) * load(gradient, (3 + c) * BLOCK + i), colour_rate,
                              adam)  # fmt: skip
    # Positions last: the harmonics above were rendered at the directions of the old ones.
    if position_rate > _F0:
        for row in range(3):
            for i in range(0, size, SIMD_WIDTH):
                at = row * count + start + i
                _move(parameters, first, second, at,
                      multiply_add(broadcast(ridge), load(parameters, at), load(gradient, row * BLOCK + i)),
                      position_rate, adam)  # fmt: skip


@kernel(**_PARALLEL)
def adam(parameters, world_to_image, lens, radius, channels, slot_start, slot_place, slots, first, second, eye,
         harmonics, position_rate, colour_rate, beta1, beta2, root, epsilon, ridge):  # fmt: skip
    """Adam over all points and the rows that train, straight from the slots: `gather` a block at a time.

    harmonics: whether they train; their gradient is their basis times the colour's, unless all channels were
    composited. A rate of 0 leaves its rows and their moments alone. ridge: added to the positions' gradient, times the
    position.
    """
    constants = beta1, beta2, root, epsilon
    for block in prange((parameters.shape[1] + BLOCK - 1) // BLOCK):
        _adam_block(np.int64(block), parameters, world_to_image, lens, radius, channels, slot_start, slot_place, slots,
                    first, second, eye, harmonics, position_rate, colour_rate, constants, ridge)  # fmt: skip


@njit(**_PART)
def _adam_block(block, parameters, world_to_image, lens, radius, channels, slot_start, slot_place, slots, first, second,
                eye, harmonics, position_rate, colour_rate, constants, ridge):  # fmt: skip
    mode = flush_denormals()
    direct = 3 + len(channels) if harmonics else 6
    start, stop = block * BLOCK, min((block + 1) * BLOCK, parameters.shape[1])
    gradient = np.empty((3 + len(channels), BLOCK), np.float32)
    _gather(parameters, start, stop, world_to_image, lens, radius, channels, slot_start, slot_place, slots, gradient)
    whole = (stop - start) // SIMD_WIDTH * SIMD_WIDTH
    _move_points(parameters, first, second, start, whole, gradient, direct, eye, harmonics, position_rate, colour_rate,
                 constants, ridge)  # fmt: skip
    if start + whole < stop:
        rest = stop - start - whole
        padded = np.zeros((3, parameters.shape[0], SIMD_WIDTH), np.float32)
        sources = parameters, first, second
        for n in range(3):
            for row in range(parameters.shape[0]):
                for i in range(rest):
                    padded[n, row, i] = sources[n][row, start + whole + i]
        for row in range(len(gradient)):
            for i in range(rest):
                gradient[row, i] = gradient[row, whole + i]
        _move_points(padded[0], padded[1], padded[2], np.int64(0), np.int64(SIMD_WIDTH), gradient, direct, eye,
                     harmonics, position_rate, colour_rate, constants, ridge)  # fmt: skip
        for n in range(3):
            for row in range(parameters.shape[0]):
                for i in range(rest):
                    sources[n][row, start + whole + i] = padded[n, row, i]
    restore(mode)


@kernel(nogil=True, error_model="numpy")
def train(parameters, world_to_image, lens, eye, width, height, radius, nearest, harmonics, channels, background, b,
          target, weight, gradient_weight, shifts, first, second, position_rate, colour_rate, beta1, beta2, root,
          epsilon, losses):  # fmt: skip
    """A step on one view: `forward`, `photometric`, `differentiate` and `adam`; returns the number of intersections.

    Three channels only. losses: [2] float64 out, as `photometric` returns them. Where `b` lacks room, no point moves.
    """
    intersections = forward(parameters, world_to_image, lens, eye, width, height, radius, nearest, harmonics, channels,
                            background, b)  # fmt: skip
    if intersections > len(b.binned):
        return intersections
    losses[0], losses[1] = photometric(b.composited, target, weight, gradient_weight, shifts, b.gradient)
    differentiate(b.binned, b.tile_start, b.tiles, b.shares, radius, nearest, channels, background, b.contributors,
                  b.cell_start, b.gradient, b.slots)  # fmt: skip
    adam(parameters, world_to_image, lens, radius, channels, b.slot_start, b.slot_place, b.slots, first, second, eye,
         harmonics, position_rate, colour_rate, beta1, beta2, root, epsilon, _F0)  # fmt: skip
    return intersections


numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]
