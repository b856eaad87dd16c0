"""What a finished run started from: the hull of its masks as a mesh, and the points that its cloud began as."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointrad.errors import UserError
from pointrad.finished import beginning as module
from pointrad.finished.beginning import Mesh, Points, beginning, mesh_of, views_at_start
from pointrad.finished.load import FinishedRun, load_run
from pointrad.init.votes import Lattice, Votes
from pointrad.run.run import run
from tests.runs import QUICK, config, one_epoch_each, quick
from tests.scenes import write_tiny_scene

BOX = ((-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0))


def votes_of_ball(size: int, radius: float) -> Votes:
    lattice = Lattice(size, BOX)
    places = lattice.positions(np.stack(np.indices(lattice.shape), axis=-1))
    near = np.linalg.norm(places - (0.2, 0.1, 0.5), axis=-1) < radius
    return Votes(lattice, near.astype(np.uint16), 1, 1)


def volume(mesh: Mesh) -> float:
    """Of what its faces enclose; below 0 where they look inwards."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("most", [256, 16], ids=["of points", "of blocks of points"])
def test_the_mesh_is_the_surface_of_what_has_votes(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CELLS", most)
    mesh = mesh_of(votes_of_ball(61, 0.4))
    off_centre = np.linalg.norm(mesh.vertices - (0.2, 0.1, 0.5), axis=1)
    assert np.abs(off_centre - 0.4).max() < 2 / 61 if most == 256 else 4 / 61
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=0.05)


def test_a_hull_that_touches_the_bounds_is_closed() -> None:
    full = Votes(Lattice(8, BOX), np.ones((8, 8, 4), np.uint16), 1, 1)
    assert volume(mesh_of(full)) == pytest.approx(2 * 2 * 1, rel=0.05)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run that has kept its stages, whose masks have errors."""
    root, folder = write_tiny_scene(tmp_path_factory.mktemp("scenes")), tmp_path_factory.mktemp("runs") / "run"
    wrong = ("corruption=holes", "corruption.level=0.2", "artifacts.stages=true", "artifacts.views=[]")
    run(config(*QUICK, *one_epoch_each("demo"), f"dataset.root={root}", *wrong), folder)
    return load_run(folder)


@pytest.mark.integration
class TestARun:
    def test_started_from_the_points_that_are_found_again(self, trained: FinishedRun) -> None:
        found = beginning(trained, 0, views_at_start(trained, 0, None)).points
        assert isinstance(found, Points)
        expected = trained.at("init").cloud
        assert np.array_equal(trained.frame.from_world(found.positions).T.astype(np.float32), expected["position"])
        assert np.array_equal(found.colours.T, expected["base"])

    def test_has_a_hull_in_which_these_points_lie(self, trained: FinishedRun) -> None:
        found = beginning(trained, 0, views_at_start(trained, 0, None))
        assert isinstance(found.hull, Mesh)
        assert isinstance(found.points, Points)
        low, high = found.hull.vertices.min(axis=0), found.hull.vertices.max(axis=0)
        assert ((found.points.positions > low) & (found.points.positions < high)).all()

    def test_from_random_points_has_no_hull(self, trained: FinishedRun) -> None:
        words = quick("init=random", "init.points=7", f"dataset.root={trained.config.dataset.folder('tiny').parent}")
        scattered = replace(trained, config=config(*words))
        found = beginning(scattered, 0, views_at_start(scattered, 0, None))
        assert found.hull == "init=random has none"
        assert isinstance(found.points, Points)
        assert len(found.points.positions) == 7

    def test_whose_data_is_gone_says_so(self, trained: FinishedRun, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="nowhere"):
            views_at_start(trained, 0, tmp_path / "nowhere")


@pytest.mark.integration
def test_a_frame_of_a_moving_scene_has_a_hull_of_its_own_and_starts_from_the_frame_before(
    trained: FinishedRun,
) -> None:
    words = ("dataset=demo_moving", "schedule=sequence", "init.lattice=40", "init=hull", "tracker=none", "threads=1")
    moving = config(*words)
    its_run = replace(trained, config=moving, bounds=moving.init.box)
    first, later = (beginning(its_run, frame, views_at_start(its_run, frame, None)) for frame in (0, 9))
    assert isinstance(first.hull, Mesh)
    assert isinstance(later.hull, Mesh)
    assert isinstance(first.points, Points)
    assert later.points == "frame 9 starts from the splats of frame 8"
    assert np.linalg.norm(first.hull.vertices.mean(axis=0) - later.hull.vertices.mean(axis=0)) > 0.01
