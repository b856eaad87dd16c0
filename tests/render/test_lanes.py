"""The vectors that the CPU kernels compute with do to each lane what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.cpython.unsafe.tuple import tuple_setitem

from pointrad.render.lanes import (
    CELL,
    LANES,
    SUMS,
    across,
    add_totals,
    bits,
    down,
    greatest,
    lanes,
    load,
    load_cell,
    nothing,
    store,
    store_cell,
    total,
)
from pointrad.scene.types import Float32Array

WIDTH = 12  # of an image, pixels


@njit
def _copy_cell(source: Float32Array, at: int, target: Float32Array, to: int) -> None:
    store_cell(target, to, WIDTH, load_cell(source, at, WIDTH))


@njit
def _places(out: Float32Array) -> None:
    store(out, 0, down() * np.float32(CELL) + across())


@njit
def _sums(vectors: Float32Array, like: tuple[int, ...], out: Float32Array) -> None:
    values = nothing(like)
    for n in range(len(like)):
        values = tuple_setitem(values, n, load(vectors, n * LANES))
    add_totals(out, 0, values)


@njit
def _scalars(values: Float32Array, limit: np.float32) -> tuple[float, float, int]:
    here = load(values, 0)
    return total(here), greatest(here), bits(here < lanes(limit))


def test_a_cell_is_a_square_of_an_image() -> None:
    image = np.arange(8 * WIDTH, dtype=np.float32).reshape(8, WIDTH)
    copied = np.zeros_like(image)
    _copy_cell(image, 2 * WIDTH + 3, copied, WIDTH + 5)
    expected = np.zeros_like(image)
    expected[1 : 1 + CELL, 5 : 5 + CELL] = image[2 : 2 + CELL, 3 : 3 + CELL]
    np.testing.assert_array_equal(copied, expected)


def test_lanes_of_a_cell_go_row_by_row() -> None:
    out = np.zeros(LANES, np.float32)
    _places(out)
    np.testing.assert_array_equal(out, np.arange(LANES))


@pytest.mark.parametrize("count", [1, 5, 8, 32])
def test_totals_are_added_in_the_order_of_their_vectors(count: int) -> None:
    # Whole numbers: their sums are exact in any order.
    vectors = np.random.default_rng(0).integers(-99, 99, (count, LANES)).astype(np.float32)
    groups = -(-count // SUMS) * SUMS
    out = np.arange(groups, dtype=np.float32)
    _sums(vectors, tuple(range(count)), out)
    np.testing.assert_array_equal(out, np.arange(groups) + np.pad(vectors.sum(1), (0, groups - count)))


def test_sum_greatest_and_bits_of_lanes() -> None:
    values = np.random.default_rng(1).permutation(LANES).astype(np.float32)
    found, most, mask = _scalars(values, np.float32(5))
    assert (found, most) == (values.sum(), LANES - 1)
    assert mask == sum(1 << lane for lane in range(LANES) if values[lane] < 5)
