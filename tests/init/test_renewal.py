"""Where a hull is, what it has left, and which pictures."""

from __future__ import annotations

import numpy as np

from pointrad.init.renewal import among, scattered, told_to_leave, widened
from pointrad.init.votes import Lattice, Votes
from tests.scenes import cube, sphere_views

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


def test_an_object_leaves_the_pictures_outside_of_which_part_of_it_was() -> None:
    views = sphere_views(4, 32, 24)
    assert not any(view.leaves for view in told_to_leave(views, np.zeros((1, 3))))
    beside = np.array([[0.0, 0.0, 0.0], views[0].camera.camera_to_world[:3, :3] @ [30.0, 0.0, 0.0]])
    assert told_to_leave(views, beside)[0].leaves
    behind = 2 * views[1].camera.position[None]
    assert told_to_leave(views, behind)[1].leaves
