"""The CPU kernels of Gaussians: splatting in tiles, forward and backward, and the Adam update (Numba).

How it works, with a diagram, is in docs/gaussians_cpu.md. In short, per view:

    project    each Gaussian becomes a *splat* of 16 numbers and an *intersection* with every tile that it touches;
               which of the tile's cells it touches, squares of 4x4 pixels, is one 64-bit word
    bin        the intersections of each tile, in the order of the Gaussians
    composite  a tile at a time: its splats, sorted by depth, are added to the cells that they touch, front to back

and back:

    differentiate  a tile at a time, front to back again; the sums of each intersection have a place of their own
    adam           each Gaussian adds those of its intersections, turns them into its parameters' gradient, and moves

Only `project` knows Gaussians in space; `composite` and `differentiate` see splats, and `adam` goes back into space.
No number depends on how many threads there are: each is written by one thread, and all sums have a fixed order.

A splat: u, v (pixels); k, p, r, l with which log2 of its alpha is l + p t^2 + r dy^2, where t = dx - k dy, and dx, dy
lead from its centre to a pixel's; red, green, blue; depth; and what `_edges` needs. That is the covariance factorised:
even for splats a thousand times as long as wide nothing cancels.
"""

# Numba compiles these functions: they are written for its type inference and for LLVM's vectoriser, not for mypy.
# mypy: ignore-errors
from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numba.cpython.unsafe.numbers import trailing_zeros
from numpy.typing import NDArray

from pointrad import harmonics as sh
from pointrad.data.scene import Float32Array
from pointrad.kernel_cache import kernel
from pointrad.render import gaussians
from pointrad.render.cpu.point_kernels import begin_tiles, chunk_of, photometric, share_tiles, sort_by_depth
from pointrad.render.cpu.simd import (
    CELL,
    SIMD_WIDTH,
    any_of,
    broadcast,
    ceil,
    cells_between,
    count_bits,
    exp2,
    floor,
    flush_denormals,
    lines,
    load,
    load_cell,
    log2,
    maximum,
    minimum,
    multiply_add,
    prefetch,
    restore,
    select,
    sides,
    sqrt,
    store,
    store_cells,
    totals,
    transpose_square,
)

LINES = 8  # cells to a side of a tile: 64 cells are a word
TILE = LINES * CELL  # pixels
CELLS = LINES * LINES
SPLAT = 16  # numbers of a splat, and of what is summed over its pixels
# How many splats ahead of themselves kernels ask for a splat, and for where its sums will go.
AHEAD, FAR_AHEAD = 4, 12
ROWS_AHEAD = 4 * SIMD_WIDTH  # and how many Gaussians for the parameters of one
BLOCK = 256  # Gaussians whose gradient stays in the second cache
# Numbers from row to row of a block, so that not all rows fall on the same lines of the first cache.
LINE = BLOCK + SIMD_WIDTH
FORWARD_STATE, BACKWARD_STATE = 4 * SIMD_WIDTH, 5 * SIMD_WIDTH  # numbers of a cell while splats pass

# How kernels are to be written for the compiler's sake is said in `point_kernels`. What only other kernels call has no
# way in from Python or C.
_INNER: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_INLINE: dict[str, Any] = {**_INNER, "forceinline": True}
_PARALLEL: dict[str, Any] = {"parallel": True, "nogil": True, "error_model": "numpy"}

_F0, _F1, _F2, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
_ONE = np.uint64(1)
_TINY = np.float32(1e-30)
_SMALLEST, _LARGEST = np.float32(-80), np.float32(80)  # of natural logarithms

# Places of a splat's numbers; those of what is summed over its pixels follow `_differentiate_tile`.
_U, _V, _K, _P, _R, _L, _RED, _GREEN, _BLUE, _DEPTH, _CUTOFF, _TURN, _HEIGHT, _WIDTH2, _ACROSS = range(15)

_LOG2_E = np.float32(1 / math.log(2))
_HALF_LOG2_E = np.float32(-0.5 / math.log(2))
_LOG2_LEAST = np.float32(math.log2(gaussians.LEAST_ALPHA))
_MOST_ALPHA = np.float32(gaussians.MOST_ALPHA)
_OPAQUE = np.float32(gaussians.OPAQUE)
_BLUR = np.float32(gaussians.BLUR)
_NEAR = np.float32(gaussians.NEAR)
# Added to the squared Mahalanobis distance at which a splat ends, well over what rounding can do: no cell is missed in
# which a pixel would still take the splat.
_SLACK = np.float32(1e-2)

_SCALE, _ROTATION, _BASE = gaussians.SCALE.start, gaussians.ROTATION.start, gaussians.BASE.start
_OPACITY, _FIRST = gaussians.OPACITY, gaussians.FIRST_HARMONIC

_Y1, _Y2, _Y2_ZZ, _Y2_XX_YY = (np.float32(y) for y in (sh.Y1, sh.Y2, sh.Y2_ZZ, sh.Y2_XX_YY))
_Y3, _Y3_XYZ, _Y3_ZZ, _Y3_ZZZ, _Y3_XX_YY = (np.float32(y) for y in (sh.Y3, sh.Y3_XYZ, sh.Y3_ZZ, sh.Y3_ZZZ, sh.Y3_XX_YY))
_F3, _F4 = np.float32(3), np.float32(4)


class View(NamedTuple):
    """What kernels take of a camera.

    pose: [3, 4] float32, world to image axes (x right, y down, z ahead). lens: [4] float32, fx, fy, cx, cy. limits: [4]
    float32, the least and greatest x / z, then y / z, at which Jacobians are taken. eye: [3] float32.
    """

    pose: Float32Array
    lens: Float32Array
    limits: Float32Array
    eye: Float32Array
    width: int
    height: int


# ---------------------------------------------------------------------------------------------------------------------
# Gaussians in space


@njit(**_INLINE)
def _dot(a, b):
    return multiply_add(a[0], b[0], multiply_add(a[1], b[1], a[2] * b[2]))


@njit(**_INLINE)
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@njit(**_INLINE)
def _times(a, factors):
    return a[0] * factors[0], a[1] * factors[1], a[2] * factors[2]


@njit(**_INLINE)
def _row(parameters, row, at):
    return load(parameters, row * parameters.shape[1] + at)


@njit(**_INLINE)
def _to_camera(parameters, at, m):
    """The camera's x, y, z of sixteen Gaussians, term by term as in `projection.project`: so is the order of all."""
    px, py, pz = _row(parameters, 0, at), _row(parameters, 1, at), _row(parameters, 2, at)
    x = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
    y = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
    z = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
    return x, y, z


@njit(**_INLINE)
def _quaternion(parameters, at):
    """w, x, y, z of length 1, and 1 over the length that it had."""
    w, x = _row(parameters, _ROTATION, at), _row(parameters, _ROTATION + 1, at)
    y, z = _row(parameters, _ROTATION + 2, at), _row(parameters, _ROTATION + 3, at)
    scale = _F1 / sqrt(maximum(w * w + x * x + y * y + z * z, broadcast(_TINY)))
    return w * scale, x * scale, y * scale, z * scale, scale


@njit(**_INLINE)
def _axes(w, x, y, z):
    """The columns of the rotation: where the Gaussian's own axes point."""
    return (
        (_F1 - _F2 * (y * y + z * z), _F2 * (x * y + w * z), _F2 * (x * z - w * y)),
        (_F2 * (x * y - w * z), _F1 - _F2 * (x * x + z * z), _F2 * (y * z + w * x)),
        (_F2 * (x * z + w * y), _F2 * (y * z - w * x), _F1 - _F2 * (x * x + y * y)),
    )


@njit(**_INLINE)
def _scales(parameters, at):
    return _scale(parameters, 0, at), _scale(parameters, 1, at), _scale(parameters, 2, at)


@njit(**_INLINE)
def _scale(parameters, axis, at):
    """Clouds of discs have -inf for the logarithm of their thickness; `exp2` has its limits. NaN stays NaN."""
    logarithm = _row(parameters, _SCALE + axis, at)
    return exp2(minimum(broadcast(_LARGEST), maximum(broadcast(_SMALLEST), logarithm)) * _LOG2_E)


@njit(**_INLINE)
def _pixel_axes(x, y, inverse, m, lens, limits):
    """The Jacobian's rows in world axes: how far one world unit moves a splat across and down; and x / z, y / z there.

    inverse: 1 / z.
    """
    sx = minimum(maximum(x * inverse, broadcast(limits[0])), broadcast(limits[1]))
    sy = minimum(maximum(y * inverse, broadcast(limits[2])), broadcast(limits[3]))
    fx, fy = lens[0] * inverse, lens[1] * inverse
    across = fx * (m[0, 0] - sx * m[2, 0]), fx * (m[0, 1] - sx * m[2, 1]), fx * (m[0, 2] - sx * m[2, 2])
    down = fy * (m[1, 0] - sy * m[2, 0]), fy * (m[1, 1] - sy * m[2, 1]), fy * (m[1, 2] - sy * m[2, 2])
    return across, down, sx, sy


@njit(**_INLINE)
def _onto(axes, direction):
    return _dot(axes[0], direction), _dot(axes[1], direction), _dot(axes[2], direction)


@njit(**_INLINE)
def _covariance(across, down):
    """Var u, cov u v, var v, and the determinant, all with the blur, of a Gaussian's rows of scaled axes."""
    a, b, c = _dot(across, across), _dot(across, down), _dot(down, down)
    area = _cross(across, down)
    determinant = _dot(area, area) + _BLUR * (a + c + _BLUR)
    return a + _BLUR, b, c + _BLUR, determinant


@njit(**_INLINE)
def _odds_against(parameters, at):
    """exp(-logit): the opacity is 1 over 1 plus that."""
    logit = minimum(broadcast(_LARGEST), maximum(broadcast(_SMALLEST), _row(parameters, _OPACITY, at)))
    return exp2(logit * np.float32(-1 / math.log(2)))


@njit(**_INLINE)
def _direction(parameters, at, eye):
    x, y = _row(parameters, 0, at) - eye[0], _row(parameters, 1, at) - eye[1]
    z = _row(parameters, 2, at) - eye[2]
    scale = _F1 / sqrt(maximum(x * x + y * y + z * z, broadcast(_TINY)))
    return x * scale, y * scale, z * scale


@njit(**_INNER)
def _find_basis(parameters, at, eye, degree, basis):
    """basis [15, SIMD_WIDTH] out: the harmonics but for the first, as `harmonics.basis`, up to the degree."""
    x, y, z = _direction(parameters, at, eye)
    if degree > 0:
        store(basis, 0, -_Y1 * y)
        store(basis, SIMD_WIDTH, _Y1 * z)
        store(basis, 2 * SIMD_WIDTH, -_Y1 * x)
    if degree > 1:
        xx, yy, zz = x * x, y * y, z * z
        store(basis, 3 * SIMD_WIDTH, _Y2 * x * y)
        store(basis, 4 * SIMD_WIDTH, -_Y2 * y * z)
        store(basis, 5 * SIMD_WIDTH, _Y2_ZZ * (_F2 * zz - xx - yy))
        store(basis, 6 * SIMD_WIDTH, -_Y2 * x * z)
        store(basis, 7 * SIMD_WIDTH, _Y2_XX_YY * (xx - yy))
        if degree > 2:
            store(basis, 8 * SIMD_WIDTH, -_Y3 * y * (_F3 * xx - yy))
            store(basis, 9 * SIMD_WIDTH, _Y3_XYZ * x * y * z)
            store(basis, 10 * SIMD_WIDTH, -_Y3_ZZ * y * (_F4 * zz - xx - yy))
            store(basis, 11 * SIMD_WIDTH, _Y3_ZZZ * z * (_F2 * zz - _F3 * xx - _F3 * yy))
            store(basis, 12 * SIMD_WIDTH, -_Y3_ZZ * x * (_F4 * zz - xx - yy))
            store(basis, 13 * SIMD_WIDTH, _Y3_XX_YY * z * (xx - yy))
            store(basis, 14 * SIMD_WIDTH, -_Y3 * x * (xx - _F3 * yy))


@njit(**_INLINE)
def _colour(parameters, at, channel, basis, count):
    """One channel of the colour of sixteen Gaussians before it is cut at 0; count: of harmonics but the first."""
    value = _row(parameters, _BASE + channel, at)
    for k in range(count):
        value = multiply_add(load(basis, k * SIMD_WIDTH), _row(parameters, _FIRST + 3 * k + channel, at), value)
    return value


# ---------------------------------------------------------------------------------------------------------------------
# Project


@njit(**_INNER)
def _project_group(parameters, at, view, degree, basis, found):
    """found [20, SIMD_WIDTH] out: the splats of sixteen Gaussians, a number to a row, and which tiles they might touch.

    The last four rows: the first and last of the tiles' rows, then columns; no rows where no pixel takes the splat.
    """
    m, lens = view.pose, view.lens
    x, y, z = _to_camera(parameters, at, m)
    ahead = broadcast(_NEAR) < z
    inverse = _F1 / select(ahead, z, broadcast(_F1))
    u, v = lens[0] * x * inverse + lens[2], lens[1] * y * inverse + lens[3]
    across, down, _, _ = _pixel_axes(x, y, inverse, m, lens, view.limits)
    qw, qx, qy, qz, _ = _quaternion(parameters, at)
    axes, scales = _axes(qw, qx, qy, qz), _scales(parameters, at)
    a, b, c, determinant = _covariance(_times(_onto(axes, across), scales), _times(_onto(axes, down), scales))
    k, width2 = b / c, determinant / c
    level = _F0 - log2(_F1 + _odds_against(parameters, at))
    cutoff = (level - _LOG2_LEAST) * np.float32(2 * math.log(2)) + _SLACK
    held = maximum(cutoff, broadcast(_F0))
    half_width, half_height = sqrt(held * a), sqrt(held * c)
    store(found, _U * SIMD_WIDTH, u)
    store(found, _V * SIMD_WIDTH, v)
    store(found, _K * SIMD_WIDTH, k)
    store(found, _P * SIMD_WIDTH, _HALF_LOG2_E / width2)
    store(found, _R * SIMD_WIDTH, _HALF_LOG2_E / c)
    store(found, _L * SIMD_WIDTH, level)
    store(found, _DEPTH * SIMD_WIDTH, z)
    store(found, _CUTOFF * SIMD_WIDTH, held)
    store(found, _TURN * SIMD_WIDTH, b * sqrt(held / a))
    store(found, _HEIGHT * SIMD_WIDTH, half_height)
    store(found, _WIDTH2 * SIMD_WIDTH, width2)
    store(found, _ACROSS * SIMD_WIDTH, _F1 / c)
    # The first and last pixel whose centres lie within.
    left, right = ceil(u - half_width - _HALF), floor(u + half_width - _HALF)
    top, bottom = ceil(v - half_height - _HALF), floor(v + half_height - _HALF)
    last_column, last_row = np.float32(view.width - 1), np.float32(view.height - 1)
    seen = ahead & (broadcast(_F0) < cutoff) & (left <= right) & (top <= bottom)
    seen = seen & (broadcast(_F0) <= right) & (broadcast(_F0) <= bottom) & (left <= last_column) & (top <= last_row)
    per_tile = np.float32(1 / TILE)
    store(found, 16 * SIMD_WIDTH, floor(maximum(top, broadcast(_F0)) * per_tile))
    store(found, 17 * SIMD_WIDTH, select(seen, floor(minimum(bottom, broadcast(last_row)) * per_tile), broadcast(-_F1)))
    store(found, 18 * SIMD_WIDTH, floor(maximum(left, broadcast(_F0)) * per_tile))
    store(found, 19 * SIMD_WIDTH, floor(minimum(right, broadcast(last_column)) * per_tile))
    count = (degree + 1) * (degree + 1) - 1
    _find_basis(parameters, at, view.eye, degree, basis)
    for channel in range(3):
        colour = _colour(parameters, at, channel, basis, count)
        store(found, (_RED + channel) * SIMD_WIDTH, maximum(broadcast(_F0), colour))


@njit(**_INNER)
def _copy_rest(parameters, at, rest):
    """rest [D, SIMD_WIDTH] out: the Gaussians from the at-th on, of which there may be fewer."""
    for row in range(len(parameters)):
        for i in range(min(SIMD_WIDTH, parameters.shape[1] - at)):
            rest[row, i] = parameters[row, at + i]


@njit(**_INLINE)
def _edges(splat, tile_row, columns, rows):
    """Between which columns of cells a splat lies in each of the 8 rows of cells of a tile: see `cells_between`.

    columns, rows: of the image's cells. Of the pixels' centres of a row of cells, the highest and the lowest bound a
    strip. The ellipse is convex: in the strip its right end lies at its rightmost point, or where the strip is nearest
    to that.
    """
    row = lines() + np.float32(tile_row * LINES)
    top = row * np.float32(CELL) + (_HALF - splat[_V])
    bottom = top + np.float32(CELL - 1)
    height = splat[_HEIGHT]
    touched = (top <= height) & (broadcast(-height) <= bottom) & (row < np.float32(rows))
    dy = minimum(maximum(sides() * splat[_TURN], top), bottom)
    dy = minimum(maximum(dy, broadcast(-height)), broadcast(height))
    half = sqrt(maximum((splat[_CUTOFF] - dy * dy * splat[_ACROSS]) * splat[_WIDTH2], broadcast(_F0)))
    x = multiply_add(sides(), half, multiply_add(dy, broadcast(splat[_K]), broadcast(splat[_U] - _HALF)))
    pixel = sides() * floor(sides() * x)
    # To the right the first cell beyond, to the left the first cell.
    cell = floor(pixel * np.float32(1 / CELL)) + (sides() + _F1) * _HALF
    return select(touched, minimum(maximum(cell, broadcast(_F0)), broadcast(np.float32(columns))), broadcast(_F0))


@njit(**{**_INNER, **_PARALLEL})
def project(parameters, view, degree, b):
    """`_project_chunk` of all chunks."""
    for chunk in prange(len(b.starts)):
        _project_chunk(np.int64(chunk), parameters, view, degree, b)


@njit(**_INNER)
def _project_chunk(chunk, parameters, view, degree, b):
    """Find the splats of a chunk of Gaussians and their intersections with tiles.

    Of `b` it fills splats, ranges, tile_of, splat_of, cells, and places, loads and starts: how many intersections
    the chunk has in each tile, of how many cells, and in all. Where there is no room for more, they are counted only.
    """
    tile_columns = -(-view.width // TILE)
    columns, rows = -(-view.width // CELL), -(-view.height // CELL)
    count = parameters.shape[1]
    groups, chunks = (count + SIMD_WIDTH - 1) // SIMD_WIDTH, len(b.starts)
    capacity = len(b.cells) // chunks
    mode = flush_denormals()
    first_group, last_group = chunk_of(chunk, chunks, groups)
    counts, loads = b.places[chunk], b.loads[chunk]
    for tile in range(counts.size):
        counts[tile] = loads[tile] = 0
    basis, found = np.empty((15, SIMD_WIDTH), np.float32), np.zeros((20, SIMD_WIDTH), np.float32)
    # Beyond the last row there is nothing to read.
    rest = np.zeros((parameters.shape[0], SIMD_WIDTH), np.float32)
    begin = end = chunk * capacity
    for group in range(first_group, last_group):
        at = group * SIMD_WIDTH
        source, first = parameters, at
        if at + SIMD_WIDTH > count:
            _copy_rest(parameters, at, rest)
            source, first = rest, 0
        for row in range(len(parameters)):
            prefetch(parameters, row * count + at + ROWS_AHEAD)
        _project_group(source, first, view, degree, basis, found)
        transpose_square(found, 0, SIMD_WIDTH, b.splats, at * SPLAT, SPLAT)
        for i in range(min(SIMD_WIDTH, count - at)):
            index = np.uint64(at + i)
            splat = b.splats[index]
            b.ranges[index, 0] = end
            first_column, last_column = np.int64(found[18, i]), np.int64(found[19, i])
            for tile_row in range(np.int64(found[16, i]), np.int64(found[17, i]) + 1):
                edges = _edges(splat, tile_row, columns, rows)
                for tile_column in range(first_column, last_column + 1):
                    cells = cells_between(edges, np.float32(tile_column * LINES))
                    if cells == 0:
                        continue
                    tile = np.uint64(tile_row * tile_columns + tile_column)
                    if end < begin + capacity:
                        place = np.uint64(end)
                        b.tile_of[place] = tile
                        b.splat_of[place] = index
                        b.cells[place] = cells
                    counts[tile] += 1
                    loads[tile] += count_bits(cells)
                    end += 1
            b.ranges[index, 1] = end
    b.starts[chunk] = end - begin
    restore(mode)


@njit(**{**_INNER, **_PARALLEL})
def bin_splats(b):
    """Write the intersections of each tile into `b.binned`, in the order of the Gaussians, and their depths' bits.

    b.places: where each chunk begins to write in each tile, as `begin_tiles` leaves it. b.found: of each chunk, how
    many there are.
    """
    for chunk in prange(len(b.found)):
        _bin_chunk(np.int64(chunk), b)


@njit(**_INNER)
def _bin_chunk(chunk, b):
    place_in, depths = b.places[chunk], b.splats.view(np.uint32)
    begin = chunk * (len(b.cells) // len(b.found))
    for intersection in range(begin, begin + b.found[chunk]):
        tile = np.uint64(b.tile_of[np.uint64(intersection)])
        place = np.uint64(place_in[tile])
        place_in[tile] += 1
        b.binned[place] = intersection
        b.depths[place] = depths[np.uint64(b.splat_of[np.uint64(intersection)]), _DEPTH]


# ---------------------------------------------------------------------------------------------------------------------
# Composite


@njit(**_INLINE)
def _log_alpha(x, y, u, v, k, p, r, level):
    """log2 of the alpha of a splat at pixels x, y; t and dy on the way."""
    dy = y - v
    t = multiply_add(dy, broadcast(-k), x - u)
    return multiply_add(p * t, t, multiply_add(r * dy, dy, broadcast(level))), t, dy


@njit(**_INNER)
def _composite_tile(b, left, top, order, indices, hit_cells, state):
    """Add a tile's splats to the state of its cells: transmittance, red, green and blue of 16 pixels each.

    order, indices, hit_cells: intersections front to back, of which splats, and of which cells; the latter and b.cells
    become those that each splat hits: of which a pixel took it.
    """
    opened = ~np.uint64(0)
    for n in range(order.size):
        prefetch(b.splats, indices[np.uint64(min(n + AHEAD, order.size - 1))] * SPLAT)
        intersection = np.uint64(order[np.uint64(n)])
        left_over = hit_cells[np.uint64(n)] & opened
        hits = np.uint64(0)
        splat = b.splats[np.uint64(indices[np.uint64(n)])]
        u, v, k, p, r, level = splat[_U] - left, splat[_V] - top, splat[_K], splat[_P], splat[_R], splat[_L]
        red, green, blue = splat[_RED], splat[_GREEN], splat[_BLUE]
        while left_over:
            cell = np.uint64(trailing_zeros(left_over))
            bit = left_over & (~left_over + _ONE)
            left_over ^= bit
            at = cell * np.uint64(FORWARD_STATE)
            x = load(b.grid, (cell & np.uint64(LINES - 1)) * np.uint64(SIMD_WIDTH))
            y = load(b.grid, (np.uint64(LINES) + cell // np.uint64(LINES)) * np.uint64(SIMD_WIDTH))
            t = load(state, at)
            log_alpha, _, _ = _log_alpha(x, y, u, v, k, p, r, level)
            hit = (broadcast(_LOG2_LEAST) <= log_alpha) & (broadcast(_OPAQUE) <= t)
            if any_of(hit):
                hits |= bit
                alpha = select(hit, minimum(exp2(log_alpha), broadcast(_MOST_ALPHA)), broadcast(_F0))
                weight = alpha * t
                t = t - weight
                store(state, at, t)
                at += np.uint64(SIMD_WIDTH)
                store(state, at, multiply_add(weight, broadcast(red), load(state, at)))
                at += np.uint64(SIMD_WIDTH)
                store(state, at, multiply_add(weight, broadcast(green), load(state, at)))
                at += np.uint64(SIMD_WIDTH)
                store(state, at, multiply_add(weight, broadcast(blue), load(state, at)))
            elif not any_of(broadcast(_OPAQUE) <= t):
                opened ^= bit
        hit_cells[np.uint64(n)] = hits
        b.cells[intersection] = hits


@njit(**{**_INNER, **_PARALLEL})
def composite(background, b):
    """Composite all tiles. Leaves in `b` the image, the order of each tile's intersections and the cells they hit."""
    for thread in prange(b.shares.size - 1):
        mode = flush_denormals()
        for n in range(b.shares[thread], b.shares[thread + 1]):
            _show_tile(b.tiles[n], background, b, b.states[thread])
        restore(mode)


@njit(**_INNER)
def _show_tile(tile, background, b, state):
    """Composite a tile and write it into the image."""
    of_tile = slice(b.tile_start[tile], b.tile_start[tile + 1])
    is_blank = of_tile.start == of_tile.stop
    if is_blank and b.blank[tile]:
        return
    b.blank[tile] = is_blank
    keys = sort_by_depth(b.depths[of_tile], b.keys[of_tile], b.spare[of_tile])
    binned, order, indices, hit_cells = b.binned[of_tile], b.order[of_tile], b.indices[of_tile], b.hit_cells[of_tile]
    for n in range(keys.size):
        intersection = np.uint64(binned[keys[n] & np.uint64(0xFFFFFFFF)])
        order[n], indices[n], hit_cells[n] = intersection, b.splat_of[intersection], b.cells[intersection]
    for cell in range(CELLS):
        store(state, cell * FORWARD_STATE, broadcast(_F1))
        for c in range(1, 4):
            store(state, cell * FORWARD_STATE + c * SIMD_WIDTH, broadcast(_F0))
    line, plane = b.image.shape[2], b.image[0].size
    left, top = tile % (line // TILE) * TILE, tile // (line // TILE) * TILE
    _composite_tile(b, np.float32(left), np.float32(top), order, indices, hit_cells, state)
    for cell in range(CELLS):
        t = load(state, cell * FORWARD_STATE)
        for c in range(3):
            at = cell * FORWARD_STATE + (c + 1) * SIMD_WIDTH
            store(state, at, multiply_add(t, broadcast(background[c]), load(state, at)))
    for cell in range(0, CELLS, CELL):
        to = (top + cell // LINES * CELL) * line + left + cell % LINES * CELL
        for c in range(4):
            # Red, green, blue, and the transmittance last.
            at = cell * FORWARD_STATE + (c + 1) % 4 * SIMD_WIDTH
            store_cells(b.image, c * plane + to, line, state, at, FORWARD_STATE)


# ---------------------------------------------------------------------------------------------------------------------
# Differentiate


@njit(**_INNER)
def _differentiate_tile(b, left, top, order, indices, hit_cells, state):
    """Sum the gradient of each of a tile's intersections over the pixels that took it, into b.sums.

    state: of each cell the transmittance so far, g . C of what is still to come, and g, the image's gradient.

    With w = dL/d(alpha) alpha the sums are w, w t, w dy, w t^2, w t dy, w dy^2, and g times the weight in the image.
    """
    for n in range(order.size):
        prefetch(b.splats, indices[np.uint64(min(n + AHEAD, order.size - 1))] * SPLAT)
        prefetch(b.sums, order[np.uint64(min(n + FAR_AHEAD, order.size - 1))] * SPLAT)
        left_over = hit_cells[np.uint64(n)]
        if left_over == 0:
            continue
        splat = b.splats[np.uint64(indices[np.uint64(n)])]
        u, v, k, p, r, level = splat[_U] - left, splat[_V] - top, splat[_K], splat[_P], splat[_R], splat[_L]
        red, green, blue = splat[_RED], splat[_GREEN], splat[_BLUE]
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = broadcast(_F0)
        while left_over:
            cell = np.uint64(trailing_zeros(left_over))
            left_over &= left_over - _ONE
            at = cell * np.uint64(BACKWARD_STATE)
            x = load(b.grid, (cell & np.uint64(LINES - 1)) * np.uint64(SIMD_WIDTH))
            y = load(b.grid, (np.uint64(LINES) + cell // np.uint64(LINES)) * np.uint64(SIMD_WIDTH))
            transmittance, behind = load(state, at), load(state, at + np.uint64(SIMD_WIDTH))
            g0, g1 = load(state, at + np.uint64(2 * SIMD_WIDTH)), load(state, at + np.uint64(3 * SIMD_WIDTH))
            g2 = load(state, at + np.uint64(4 * SIMD_WIDTH))
            log_alpha, t, dy = _log_alpha(x, y, u, v, k, p, r, level)
            hit = (broadcast(_LOG2_LEAST) <= log_alpha) & (broadcast(_OPAQUE) <= transmittance)
            full = exp2(log_alpha)
            alpha = select(hit, minimum(full, broadcast(_MOST_ALPHA)), broadcast(_F0))
            weight = alpha * transmittance
            shade = multiply_add(g0, broadcast(red), multiply_add(g1, broadcast(green), g2 * blue))
            behind = behind - weight * shade
            store(state, at, transmittance - weight)
            store(state, at + np.uint64(SIMD_WIDTH), behind)
            s6, s7, s8 = multiply_add(weight, g0, s6), multiply_add(weight, g1, s7), multiply_add(weight, g2, s8)
            slope = transmittance * shade - behind / (_F1 - alpha)
            w = select(full < _MOST_ALPHA, slope * alpha, broadcast(_F0))
            wt, wy = w * t, w * dy
            s0, s1, s2 = s0 + w, s1 + wt, s2 + wy
            s3, s4, s5 = multiply_add(wt, t, s3), multiply_add(wt, dy, s4), multiply_add(wy, dy, s5)
        store(b.sums, order[np.uint64(n)] * SPLAT, totals((s0, s1, s2, s3, s4, s5, s6, s7, s8)))


@kernel(**_PARALLEL)
def differentiate(gradient, b):
    """Sums of each intersection over its pixels into b.sums, given the gradient [3, H', W'] of the image.

    A pixel's colour is a sum of T_i alpha_i c_i over what it took: alpha_k scales its own term, and 1 - alpha_k all
    behind. So dL/d(alpha_k) = T_k g . c_k - R / (1 - alpha_k), with R the part of g . C that lies behind: g . C less
    what came so far. One pass, front to back, and no pixel need keep more than its end, the image.
    """
    for thread in prange(b.shares.size - 1):
        mode = flush_denormals()
        for n in range(b.shares[thread], b.shares[thread + 1]):
            _enter_tile(b.tiles[n], gradient, b, b.states[thread])
        restore(mode)


@njit(**_INNER)
def _enter_tile(tile, gradient, b, state):
    """Differentiate a tile, beginning with what its pixels' gradients are."""
    of_tile = slice(b.tile_start[tile], b.tile_start[tile + 1])
    if of_tile.start == of_tile.stop:
        return
    line, plane = b.image.shape[2], b.image[0].size
    left, top = tile % (line // TILE) * TILE, tile // (line // TILE) * TILE
    for cell in range(CELLS):
        pixel = (top + cell // LINES * CELL) * line + left + cell % LINES * CELL
        at = cell * BACKWARD_STATE
        behind = broadcast(_F0)
        for c in range(3):
            g = load_cell(gradient, c * plane + pixel, line)
            behind = multiply_add(g, load_cell(b.image, c * plane + pixel, line), behind)
            store(state, at + (2 + c) * SIMD_WIDTH, g)
        store(state, at, broadcast(_F1))
        store(state, at + SIMD_WIDTH, behind)
    _differentiate_tile(
        b, np.float32(left), np.float32(top), b.order[of_tile], b.indices[of_tile], b.hit_cells[of_tile], state
    )


# ---------------------------------------------------------------------------------------------------------------------
# Back into space


@njit(**_INNER)
def _gather(b, start, count, sums, seen):
    """Add the sums of each Gaussian's intersections; returns whether any pixel took any of sixteen.

    sums [SIMD_WIDTH, SIMD_WIDTH] out: a row for each sum, a column for each Gaussian. seen [SIMD_WIDTH] out: 1 where a
    pixel took it.
    """
    found = False
    rows = np.empty((SIMD_WIDTH, SIMD_WIDTH), np.float32)
    for i in range(SIMD_WIDTH):
        total = broadcast(_F0)
        taken = False
        if i < count:
            for intersection in range(b.ranges[np.uint64(start + i), 0], b.ranges[np.uint64(start + i), 1]):
                if b.cells[np.uint64(intersection)] != 0:
                    taken = True
                    total = total + load(b.sums, intersection * SPLAT)
        store(rows, i * SIMD_WIDTH, total)
        seen[i] = _F1 if taken else _F0
        found |= taken
    if found:
        transpose_square(rows, 0, SIMD_WIDTH, sums, 0, SIMD_WIDTH)
    return found


@njit(**_INNER)
def _differentiate_group(parameters, at, view, degree, sums, basis, gradient, column):
    """gradient [D, LINE] out, sixteen columns: of the parameters of sixteen Gaussians, given `_gather`'s sums.

    Returns the gradient with respect to u and v.
    """
    m, lens, limits = view.pose, view.lens, view.limits
    x, y, z = _to_camera(parameters, at, m)
    inverse = _F1 / select(broadcast(_NEAR) < z, z, broadcast(_F1))
    across, down, sx, sy = _pixel_axes(x, y, inverse, m, lens, limits)
    qw, qx, qy, qz, shrink = _quaternion(parameters, at)
    axes, scales = _axes(qw, qx, qy, qz), _scales(parameters, at)
    onto_across, onto_down = _onto(axes, across), _onto(axes, down)
    m1, m2 = _times(onto_across, scales), _times(onto_down, scales)
    _, b, c, determinant = _covariance(m1, m2)
    ey, k, ex = _F1 / c, b / c, c / determinant
    # The splat's.
    wt, wy = load(sums, SIMD_WIDTH), load(sums, 2 * SIMD_WIDTH)
    gu = ex * wt
    gv = ey * wy - k * gu
    gk = ex * load(sums, 4 * SIMD_WIDTH)
    # Its covariance's: 1 / ex = a - b^2 / c.
    ga = ex * ex * load(sums, 3 * SIMD_WIDTH) * _HALF
    gb = ey * gk - _F2 * k * ga
    gc = k * k * ga - k * ey * gk + ey * ey * load(sums, 5 * SIMD_WIDTH) * _HALF
    # Those of the scaled axes m1 and m2, seen across and down.
    g1 = _F2 * ga * m1[0] + gb * m2[0], _F2 * ga * m1[1] + gb * m2[1], _F2 * ga * m1[2] + gb * m2[2]
    g2 = _F2 * gc * m2[0] + gb * m1[0], _F2 * gc * m2[1] + gb * m1[1], _F2 * gc * m2[2] + gb * m1[2]
    for axis in range(3):
        store(gradient, (_SCALE + axis) * LINE + column, g1[axis] * m1[axis] + g2[axis] * m2[axis])
    g1, g2 = _times(g1, scales), _times(g2, scales)
    _store_rotation(qw, qx, qy, qz, shrink, across, down, g1, g2, gradient, column)
    # The Jacobian's, in world axes, and through it and the centre the position's.
    j1 = _along(axes, g1)
    j2 = _along(axes, g2)
    ahead = m[2, 0], m[2, 1], m[2, 2]
    fx, fy = lens[0], lens[1]
    gx, gy = gu * fx, gv * fy
    gsx = (j1[0] * ahead[0] + j1[1] * ahead[1] + j1[2] * ahead[2]) * inverse * (_F0 - fx)
    gsy = (j2[0] * ahead[0] + j2[1] * ahead[1] + j2[2] * ahead[2]) * inverse * (_F0 - fy)
    gx = gx + select((broadcast(limits[0]) < sx) & (sx < limits[1]), gsx, broadcast(_F0))
    gy = gy + select((broadcast(limits[2]) < sy) & (sy < limits[3]), gsy, broadcast(_F0))
    gz = _F0 - inverse * (_dot(across, j1) + _dot(down, j2) + inverse * (x * gx + y * gy))
    gx, gy = gx * inverse, gy * inverse
    for axis in range(3):
        store(gradient, axis * LINE + column, m[0, axis] * gx + m[1, axis] * gy + m[2, axis] * gz)
    odds = _odds_against(parameters, at)
    store(gradient, _OPACITY * LINE + column, load(sums, 0) * odds / (_F1 + odds))
    count = (degree + 1) * (degree + 1) - 1
    _find_basis(parameters, at, view.eye, degree, basis)
    for channel in range(3):
        colour = _colour(parameters, at, channel, basis, count)
        g = select(broadcast(_F0) < colour, load(sums, (6 + channel) * SIMD_WIDTH), broadcast(_F0))
        store(gradient, (_BASE + channel) * LINE + column, g)
        for n in range(count):
            store(gradient, (_FIRST + 3 * n + channel) * LINE + column, load(basis, n * SIMD_WIDTH) * g)
    return gu, gv


@njit(**_INLINE)
def _along(axes, g):
    """The direction that has these parts along the axes."""
    return (
        axes[0][0] * g[0] + axes[1][0] * g[1] + axes[2][0] * g[2],
        axes[0][1] * g[0] + axes[1][1] * g[1] + axes[2][1] * g[2],
        axes[0][2] * g[0] + axes[1][2] * g[1] + axes[2][2] * g[2],
    )


@njit(**_INLINE)
def _store_rotation(w, x, y, z, shrink, across, down, g1, g2, gradient, column):
    """The quaternion's gradient; g1, g2: those of the parts along the axes of `across` and `down`."""
    d00, d01, d02 = _outer(across, down, g1, g2, 0)
    d10, d11, d12 = _outer(across, down, g1, g2, 1)
    d20, d21, d22 = _outer(across, down, g1, g2, 2)
    gw = _F2 * (z * (d10 - d01) + y * (d02 - d20) + x * (d21 - d12))
    gx = _F2 * (y * (d01 + d10) + z * (d02 + d20) + w * (d21 - d12)) - _F4 * x * (d11 + d22)
    gy = _F2 * (x * (d01 + d10) + z * (d12 + d21) + w * (d02 - d20)) - _F4 * y * (d00 + d22)
    gz = _F2 * (x * (d02 + d20) + y * (d12 + d21) + w * (d10 - d01)) - _F4 * z * (d00 + d11)
    along = w * gw + x * gx + y * gy + z * gz
    store(gradient, _ROTATION * LINE + column, (gw - w * along) * shrink)
    store(gradient, (_ROTATION + 1) * LINE + column, (gx - x * along) * shrink)
    store(gradient, (_ROTATION + 2) * LINE + column, (gy - y * along) * shrink)
    store(gradient, (_ROTATION + 3) * LINE + column, (gz - z * along) * shrink)


@njit(**_INLINE)
def _outer(across, down, g1, g2, row):
    """A row of the rotation's gradient."""
    return (
        across[row] * g1[0] + down[row] * g2[0],
        across[row] * g1[1] + down[row] * g2[1],
        across[row] * g1[2] + down[row] * g2[2],
    )


@kernel(**_PARALLEL)
def gather(parameters, view, degree, b, gradient):
    """gradient [D, N] out: of all parameters, after `differentiate`."""
    for group in prange((parameters.shape[1] + SIMD_WIDTH - 1) // SIMD_WIDTH):
        mode = flush_denormals()
        _gather_group(np.int64(group * SIMD_WIDTH), parameters, view, degree, b, gradient)
        restore(mode)


@njit(**_INNER)
def _gather_group(at, parameters, view, degree, b, gradient):
    size = min(SIMD_WIDTH, parameters.shape[1] - at)
    sums, basis = np.empty((SIMD_WIDTH, SIMD_WIDTH), np.float32), np.empty((15, SIMD_WIDTH), np.float32)
    seen, found = np.empty(SIMD_WIDTH, np.float32), np.zeros((len(parameters), LINE), np.float32)
    if _gather(b, at, size, sums, seen):
        padded = np.zeros((len(parameters), SIMD_WIDTH), np.float32)
        _copy_rest(parameters, at, padded)
        _differentiate_group(padded, np.int64(0), view, degree, sums, basis, found, np.int64(0))
    for row in range(len(parameters)):
        for i in range(size):
            gradient[row, at + i] = found[row, i] if seen[i] else _F0


@njit(**_INLINE)
def _move(parameters, first, second, at, gradient, seen, rate, adam):
    """One Adam update of sixteen parameters from the at-th on, of the Gaussians that were seen."""
    beta1, beta2, root, epsilon = adam
    ahead = at + parameters.shape[1]
    prefetch(parameters, ahead)
    prefetch(first, ahead)
    prefetch(second, ahead)
    old_m, old_v, old = load(first, at), load(second, at), load(parameters, at)
    m = multiply_add(broadcast(beta1), old_m, (_F1 - beta1) * gradient)
    v = multiply_add(broadcast(beta2), old_v, (_F1 - beta2) * gradient * gradient)
    new = old - rate * m / multiply_add(sqrt(v), broadcast(root), broadcast(epsilon))
    store(first, at, select(seen, m, old_m))
    store(second, at, select(seen, v, old_v))
    store(parameters, at, select(seen, new, old))


@njit(**_INNER)
def _move_rest(parameters, first, second, row, start, gradient, column, seen, rate, adam):
    """`_move` of the last Gaussians, which are no whole group; column: where they begin in `gradient` and `seen`."""
    rest = np.zeros((3, SIMD_WIDTH), np.float32)
    size = parameters.shape[1] - start
    arrays = parameters, first, second
    for n in range(3):
        for i in range(size):
            rest[n, i] = arrays[n][row, start + i]
    _move(rest[:1], rest[1:2], rest[2:], 0, load(gradient, row * LINE + column), broadcast(_F0) < load(seen, column),
          rate, adam)  # fmt: skip
    for n in range(3):
        for i in range(size):
            arrays[n][row, start + i] = rest[n, i]


@kernel(**_PARALLEL)
def adam(parameters, view, degree, b, first, second, rates, beta1, beta2, root, epsilon, screen_gradient):
    """Adam over all Gaussians that a pixel took, straight from the sums of their intersections; a block at a time.

    rates: [D], each row's learning rate over 1 - beta1^t; 0 leaves the row and its moments alone. root: 1 / sqrt(1 -
    beta2^t). screen_gradient: [N], to which is added how long the gradient of each one's centre is, in units of half
    the image's width.
    """
    for block in prange((parameters.shape[1] + BLOCK - 1) // BLOCK):
        mode = flush_denormals()
        _adam_block(block * BLOCK, parameters, view, degree, b, first, second, rates, (beta1, beta2, root, epsilon),
                    screen_gradient)  # fmt: skip
        restore(mode)


@njit(**_INNER)
def _adam_block(start, parameters, view, degree, b, first, second, rates, constants, screen_gradient):
    count = parameters.shape[1]
    rows = _FIRST + 3 * ((degree + 1) * (degree + 1) - 1)
    gradient = np.empty((len(parameters), LINE), np.float32)
    sums, basis = np.empty((SIMD_WIDTH, SIMD_WIDTH), np.float32), np.empty((15, SIMD_WIDTH), np.float32)
    seen, columns = np.empty(BLOCK, np.float32), np.empty(BLOCK // SIMD_WIDTH, np.int64)
    groups = 0
    for column in range(0, min(BLOCK, count - start), SIMD_WIDTH):
        at = start + column
        size = min(SIMD_WIDTH, count - at)
        if not _gather(b, at, size, sums, seen[column : column + SIMD_WIDTH]):
            continue
        source, place = parameters, at
        if size < SIMD_WIDTH:
            padded = np.zeros((len(parameters), SIMD_WIDTH), np.float32)
            _copy_rest(parameters, at, padded)
            source, place = padded, 0
        for row in range(rows):
            prefetch(parameters, row * count + at + ROWS_AHEAD)
        gu, gv = _differentiate_group(source, place, view, degree, sums, basis, gradient, column)
        columns[groups] = column
        groups += 1
        length = sqrt(gu * gu + gv * gv) * (np.float32(view.width) * _HALF)
        store(sums, 0, select(broadcast(_F0) < load(seen, column), length, broadcast(_F0)))
        for i in range(size):
            screen_gradient[at + i] += sums[0, i]
    for row in range(rows):
        rate = rates[row]
        if rate == _F0:
            continue
        for n in range(groups):
            column = columns[n]
            if start + column + SIMD_WIDTH <= count:
                _move(parameters, first, second, row * count + start + column, load(gradient, row * LINE + column),
                      broadcast(_F0) < load(seen, column), rate, constants)  # fmt: skip
            else:
                _move_rest(parameters, first, second, row, start + column, gradient, column, seen, rate, constants)


# ---------------------------------------------------------------------------------------------------------------------
# A pass over a view


class Buffers(NamedTuple):
    """All that lies between N Gaussians and their image, and on the way back; T tiles, room for P intersections."""

    splats: Float32Array  # [N, SPLAT], N rounded up to whole groups
    ranges: NDArray[np.int32]  # [N, 2], between which intersections each one's lie
    tile_of: NDArray[np.int32]  # [P]
    splat_of: NDArray[np.int32]  # [P]
    cells: NDArray[np.uint64]  # [P], those of its tile that a splat touches; once composited, those that took it
    places: NDArray[np.int64]  # [threads, T]
    loads: NDArray[np.int64]  # [threads, T]
    starts: NDArray[np.int64]  # [threads]
    found: NDArray[np.int64]  # [threads]
    tile_start: NDArray[np.int64]  # [T + 1]
    load_start: NDArray[np.int64]  # [T + 1]
    tiles: NDArray[np.int64]  # [T]
    shares: NDArray[np.int64]  # [threads + 1]
    binned: NDArray[np.int32]  # [P]
    depths: NDArray[np.uint32]  # [P]
    keys: NDArray[np.uint64]  # [P]
    spare: NDArray[np.uint64]  # [P]
    order: NDArray[np.int32]  # [P], the intersections of each tile front to back
    indices: NDArray[np.int32]  # [P], their splats
    hit_cells: NDArray[np.uint64]  # [P], their cells
    grid: Float32Array  # [16, SIMD_WIDTH], pixels' centres in a tile's columns of cells, then rows
    states: Float32Array  # [threads, CELLS * BACKWARD_STATE]
    blank: NDArray[np.bool_]  # [T]
    image: Float32Array  # [4, H', W'], red, green, blue over the background, and the transmittance
    gradient: Float32Array  # [3, H', W'], of a loss with respect to the image
    sums: Float32Array  # [P, SPLAT]


def _aligned(*shape: int) -> Float32Array:
    """Zeros that begin where a line of the cache does: of vectors of 64 bytes no other costs two lines."""
    line = 64 // 4
    buffer = np.zeros(math.prod(shape) + line, np.float32)
    start = -(buffer.ctypes.data // 4) % line
    return buffer[start : start + math.prod(shape)].reshape(shape)


def allocate(count: int, threads: int, width: int, height: int, intersections: int) -> Buffers:
    """Buffers for so many Gaussians, views of width x height pixels and up to so many intersections per thread."""
    whole = -(-count // SIMD_WIDTH) * SIMD_WIDTH
    capacity = threads * intersections
    centres = np.arange(TILE, dtype=np.float32).reshape(LINES, 1, CELL) + np.float32(0.5)
    across = np.broadcast_to(centres, (LINES, CELL, CELL)).reshape(LINES, SIMD_WIDTH)
    down = np.broadcast_to(centres.reshape(LINES, CELL, 1), (LINES, CELL, CELL)).reshape(LINES, SIMD_WIDTH)
    grid = _aligned(2 * LINES, SIMD_WIDTH)
    grid[:LINES], grid[LINES:] = across, down
    i32, u32, i64, u64 = np.int32, np.uint32, np.int64, np.uint64
    return Buffers(
        splats=_aligned(whole, SPLAT),
        ranges=np.zeros((whole, 2), i32),
        tile_of=np.empty(capacity, i32),
        splat_of=np.empty(capacity, i32),
        cells=np.empty(capacity, u64),
        starts=np.empty(threads, i64),
        found=np.empty(threads, i64),
        shares=np.empty(threads + 1, i64),
        binned=np.empty(capacity, i32),
        depths=np.empty(capacity, u32),
        keys=np.empty(capacity, u64),
        spare=np.empty(capacity, u64),
        order=np.empty(capacity, i32),
        indices=np.empty(capacity, i32),
        hit_cells=np.empty(capacity, u64),
        grid=grid,
        states=_aligned(threads, CELLS * BACKWARD_STATE),
        sums=_aligned(capacity, SPLAT),
        **_allocate_picture(width, height, threads),
    )


def resize(b: Buffers, width: int, height: int) -> Buffers:
    """The buffers for views of another size; room for Gaussians and intersections, most of them, stays as it is."""
    return b._replace(**_allocate_picture(width, height, len(b.starts)))


def _allocate_picture(width: int, height: int, threads: int) -> dict[str, NDArray[Any]]:
    """Those that go by the picture's size."""
    columns, rows = -(-width // TILE), -(-height // TILE)
    tiles, padded = columns * rows, (rows * TILE, columns * TILE)
    return {
        "places": np.empty((threads, tiles), np.int64),
        "loads": np.empty((threads, tiles), np.int64),
        "tile_start": np.empty(tiles + 1, np.int64),
        "load_start": np.zeros(tiles + 1, np.int64),
        "tiles": np.empty(tiles, np.int64),
        "blank": np.zeros(tiles, np.bool_),
        "image": _aligned(4, *padded),
        "gradient": _aligned(3, *padded),  # whose padding no kernel writes
    }


@kernel(nogil=True, error_model="numpy")
def forward(parameters, view, degree, background, b):
    """Splat `parameters` [D, N] into `b`; returns how many intersections the fullest chunk has.

    Where `b` lacks room for so many, no image is made.
    """
    project(parameters, view, degree, b)
    most = 0
    for chunk in range(b.starts.size):
        most = max(most, b.starts[chunk])
        b.found[chunk] = b.starts[chunk]
    if most > len(b.cells) // len(b.starts):
        return most
    begin_tiles(b.places, b.starts, b.tile_start)
    for tile in range(b.places.shape[1]):
        b.load_start[tile + 1] = b.load_start[tile]
        for chunk in range(b.starts.size):
            b.load_start[tile + 1] += b.loads[chunk, tile]
    share_tiles(b.load_start, b.tiles, b.shares)
    bin_splats(b)
    composite(background, b)
    return most


@kernel(nogil=True, error_model="numpy")
def composite_depth(b):
    """Composite depths in place of colours, over nothing: b.image's first plane out. The splats' colours are lost."""
    for index in range(len(b.splats)):
        b.splats[index, _RED] = b.splats[index, _DEPTH]
    composite(np.zeros(3, np.float32), b)


@kernel(nogil=True, error_model="numpy")
def train(parameters, view, degree, background, b, target, weight, gradient_weight, shifts, first, second, rates,
          beta1, beta2, root, epsilon, screen_gradient, losses):  # fmt: skip
    """A step on one view: `forward`, `photometric`, `differentiate` and `adam`; returns what `forward` does.

    losses: [2] float64 out, as `photometric` returns them. Where `b` lacks room, no Gaussian moves.
    """
    most = forward(parameters, view, degree, background, b)
    if most > len(b.cells) // len(b.starts):
        return most
    losses[0], losses[1] = photometric(b.image, target, weight, gradient_weight, shifts, b.gradient)
    differentiate(b.gradient, b)
    adam(parameters, view, degree, b, first, second, rates, beta1, beta2, root, epsilon, screen_gradient)
    return most
