"""The vectors that the CPU kernels compute with do to each lane what their names say."""

from __future__ import annotations

import platform

import numpy as np
import pytest
from numba import njit
from numba.cpython.unsafe.tuple import tuple_setitem

from pointrad.data.scene import Float32Array
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
    copy_group,
    copysign,
    count_bits,
    down,
    flush_denormals,
    is_nonzero,
    load,
    load_cell,
    multiply_add,
    prefetch,
    restore,
    select,
    store,
    store_cells,
    total,
    transpose,
    zeros_like,
)

WIDTH = 20  # of an image, pixels


@njit
def _copy_four_cells(source: Float32Array, at: int, target: Float32Array, to: int) -> None:
    cells = np.empty(CELL * SIMD_WIDTH, np.float32)
    for n in range(CELL):
        store(cells, n * SIMD_WIDTH, load_cell(source, at + n * CELL, WIDTH))
    store_cells(target, to, WIDTH, cells, 0, SIMD_WIDTH)


@njit
def _places(out: Float32Array) -> None:
    store(out, 0, down() * np.float32(CELL) + across())


@njit
def _sums(vectors: Float32Array, like: tuple[int, ...], out: Float32Array) -> None:
    values = zeros_like(like)
    for n in range(len(like)):
        values = tuple_setitem(values, n, load(vectors, n * SIMD_WIDTH))
    add_totals(out, 0, values)


@njit
def _scalars(values: Float32Array, limit: np.float32) -> tuple[float, int, bool, bool]:
    here = load(values, 0)
    return total(here), bits(here < broadcast(limit)), any_of(here < broadcast(limit)), all_zero(here)


@njit
def _signed(values: Float32Array, out: Float32Array) -> None:
    here = load(values, 0)
    store(out, 0, select(is_nonzero(here), copysign(broadcast(np.float32(2)), here), broadcast(np.float32(0))))


@njit
def _multiply_add(a: Float32Array, b: Float32Array, c: Float32Array, out: Float32Array) -> None:
    store(out, 0, multiply_add(load(a, 0), load(b, 0), load(c, 0)))


@njit
def _transpose(source: Float32Array, target: Float32Array) -> None:
    for at in range(0, source.shape[0], GROUP):
        transpose(source, at * SIMD_WIDTH, SIMD_WIDTH, target, at, source.shape[0])


@njit
def _copy_group(source: Float32Array, target: Float32Array) -> None:
    copy_group(source, 1, target, 2)


@njit
def _count_bits(number: np.uint64) -> int:
    return count_bits(number)


def test_cells_are_squares_of_an_image_side_by_side() -> None:
    image = np.arange(8 * WIDTH, dtype=np.float32).reshape(8, WIDTH)
    copied = np.zeros_like(image)
    _copy_four_cells(image, 2 * WIDTH + 3, copied, WIDTH + 1)
    expected = np.zeros_like(image)
    expected[1 : 1 + CELL, 1 : 1 + SIMD_WIDTH] = image[2 : 2 + CELL, 3 : 3 + SIMD_WIDTH]
    np.testing.assert_array_equal(copied, expected)


def test_lanes_of_a_cell_go_row_by_row() -> None:
    out = np.zeros(SIMD_WIDTH, np.float32)
    _places(out)
    np.testing.assert_array_equal(out, np.arange(SIMD_WIDTH))


@pytest.mark.parametrize("count", [1, 5, 8, 32])
def test_totals_are_added_in_the_order_of_their_vectors(count: int) -> None:
    # Whole numbers: their sums are exact in any order.
    vectors = np.random.default_rng(0).integers(-99, 99, (count, SIMD_WIDTH)).astype(np.float32)
    groups = -(-count // GROUP) * GROUP
    out = np.arange(groups, dtype=np.float32)
    _sums(vectors, tuple(range(count)), out)
    np.testing.assert_array_equal(out, np.arange(groups) + np.pad(vectors.sum(1), (0, groups - count)))


def test_sum_and_bits_of_lanes() -> None:
    values = np.random.default_rng(1).permutation(SIMD_WIDTH).astype(np.float32)
    assert _scalars(values, np.float32(5)) == (
        values.sum(),
        sum(1 << n for n in range(SIMD_WIDTH) if values[n] < 5),
        True,
        False,
    )


@pytest.mark.parametrize("value", [0.0, np.nan, 1e-45])
def test_lanes_are_all_zero_only_where_each_is(value: float) -> None:
    values = np.zeros(SIMD_WIDTH, np.float32)
    values[-1] = value
    assert _scalars(values, np.float32(0))[1:] == (0, False, value == 0)


def test_what_is_neither_zero_nor_nan_has_a_sign() -> None:
    values = np.resize(np.array([3, -0.5, 0, -0.0, np.nan, np.inf, -np.inf, 1e-45], np.float32), SIMD_WIDTH)
    out = np.empty(SIMD_WIDTH, np.float32)
    _signed(values, out)
    np.testing.assert_array_equal(out, np.resize(np.array([2, -2, 0, 0, 0, 2, -2, 2], np.float32), SIMD_WIDTH))


def test_multiply_add_rounds_once() -> None:
    a, b, c = np.random.default_rng(2).normal(size=(3, SIMD_WIDTH)).astype(np.float32)
    out = np.empty(SIMD_WIDTH, np.float32)
    _multiply_add(a, b, c, out)
    np.testing.assert_array_equal(out, (a.astype(np.float64) * b + c).astype(np.float32))


@pytest.mark.parametrize("rows", [GROUP, 5 * GROUP])
def test_transposed_columns_are_rows(rows: int) -> None:
    source = np.arange(rows * SIMD_WIDTH, dtype=np.float32).reshape(rows, SIMD_WIDTH)
    target = np.zeros((SIMD_WIDTH, rows), np.float32)
    _transpose(source, target)
    np.testing.assert_array_equal(target, source.T)


def test_a_group_is_copied_and_no_more() -> None:
    source, target = np.arange(1, 20, dtype=np.float32), np.zeros(20, np.float32)
    _copy_group(source, target)
    np.testing.assert_array_equal(target, np.concatenate([[0, 0], source[1 : 1 + GROUP], np.zeros(18 - GROUP)]))


@pytest.mark.parametrize("number", [0, 1, 0b1011, 2**64 - 1])
def test_bits_of_a_word_are_counted(number: int) -> None:
    assert _count_bits(np.uint64(number)) == number.bit_count()


@njit
def _halve(values: Float32Array, at: int, flushing: bool) -> None:
    if flushing:
        mode = flush_denormals()
        store(values, at, load(values, at) * np.float32(0.5))
        restore(mode)
    else:
        store(values, at, load(values, at) * np.float32(0.5))


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="denormals are slow on x86 alone")
def test_denormals_are_zero_until_it_is_undone() -> None:
    values = np.full(2 * SIMD_WIDTH, np.finfo(np.float32).tiny)
    _halve(values, 0, True)
    _halve(values, SIMD_WIDTH, False)
    np.testing.assert_array_equal(values[:SIMD_WIDTH], 0)
    np.testing.assert_array_equal(values[SIMD_WIDTH:], np.finfo(np.float32).tiny / 2)


@njit
def _ask_for(array: Float32Array, index: int) -> None:
    prefetch(array, index)


@pytest.mark.parametrize("index", [0, 10**6, 10**15, -(10**15)])
def test_asking_for_what_is_nowhere_does_nothing(index: int) -> None:
    array = np.ones(SIMD_WIDTH, np.float32)
    _ask_for(array, index)
    assert (array == 1).all()
