"""Which cells of a tile are looked at for a splat."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pointrad.render.cpu.point_kernels import CELL, TILE_COLUMNS, TILE_ROWS, _find_touched


@settings(max_examples=300, deadline=None, derandomize=True)  # the first is compiled
@given(
    radius=st.floats(0.5, 60, width=32),
    cell=st.integers(0, TILE_COLUMNS - 1),
    left=st.integers(0, 50).map(lambda n: n * CELL * TILE_COLUMNS),
    before=st.booleans(),
    step=st.integers(-1, 1),
)
def test_every_cell_with_a_pixel_that_a_splat_hits_is_looked_at(
    radius: float, cell: int, left: int, before: bool, step: int
) -> None:
    """At the very edge: a radius away from a cell's first or last pixel, and one float nearer or farther."""
    first = np.float32(left + 0.5)
    r = np.float32(radius)
    pixel = first + np.float32(CELL * cell + (0 if before else CELL - 1))
    centre = pixel - r if before else pixel + r
    if step:
        centre = np.nextafter(centre, np.float32(step * np.inf), dtype=np.float32)
    columns = _columns_touched(centre, r, first)
    for column in range(TILE_COLUMNS):
        pixels = first + np.arange(CELL * column, CELL * (column + 1), dtype=np.float32)
        distance = pixels - centre
        if (distance * distance < r * r).any():
            assert columns[column], f"column {column} of a splat at {centre}"


def _columns_touched(u: np.float32, radius: np.float32, left: np.float32) -> list[bool]:
    splat = np.zeros((1, 8), np.float32)
    splat[0, :2] = u, np.float32(0.5)
    touched = np.zeros((TILE_ROWS + TILE_COLUMNS, 1), np.uint64)
    _find_touched(np.zeros(1, np.uint64), splat, radius, left, np.float32(0.5), 0, 1, touched)
    return [bool(word) for word in touched[TILE_ROWS:, 0]]
