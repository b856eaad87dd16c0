"""Where a hull is, and what it has left."""

from __future__ import annotations

import numpy as np

from pointrad.init.renewal import among, scattered, widened
from pointrad.init.votes import Lattice, Votes
from tests.scenes import cube

LATTICE = Lattice(10, cube(0.0, 10.0))


def votes(*points: tuple[int, int, int]) -> Votes:
    counts = np.zeros(LATTICE.shape, np.uint16)
    for point in points:
        counts[point] = 3
    return Votes(LATTICE, counts, 3, 3)


def test_a_hull_is_widened_by_steps_on_every_axis() -> None:
    assert widened(votes((5, 5, 5)), 0).sum() == 1
    assert widened(votes((5, 5, 5)), 2).sum() == 5**3


def test_no_farther_than_its_lattice() -> None:
    assert widened(votes((0, 5, 9)), 1).sum() == 2 * 3 * 2


def test_a_hull_of_no_points_is_nowhere() -> None:
    assert not widened(votes(), 3).any()


def test_positions_are_of_the_nearest_point() -> None:
    cells = widened(votes((5, 5, 5)), 0)
    positions = np.array([[5.4, 4.6, 5.0], [5.6, 5.0, 5.0], [-3.0, 5.0, 5.0], [11.0, 5.0, 5.0]])
    assert among(cells, LATTICE, positions).tolist() == [True, False, False, False]


def test_positions_are_scattered_over_cells() -> None:
    cells = widened(votes((5, 5, 5)), 2)
    positions = scattered(cells, LATTICE, 50, seed=0)
    assert len(positions) == 50
    assert among(cells, LATTICE, positions).all()
    assert len(scattered(np.zeros_like(cells), LATTICE, 50, seed=0)) == 0
