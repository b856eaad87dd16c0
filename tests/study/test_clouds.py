"""Clouds inside the report: what is packed of a run's files."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from pointrad.artifacts.camera_file import CAMERAS_FILE, write_cameras
from pointrad.artifacts.ply import write_points
from pointrad.camera import Camera
from pointrad.study.report import clouds
from pointrad.study.report.clouds import pack_clouds, packed
from tests.runs import random_cloud
from tests.scenes import camera, ring, sphere_view


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    cloud = random_cloud(points=201)
    write_points(tmp_path / "cloud.ply", cloud, torch.full((3, 201), 0.2))
    write_cameras(tmp_path / CAMERAS_FILE, [sphere_view(seen_by())])
    return tmp_path


def seen_by() -> Camera:
    return camera(ring(1)[0])


def unpacked(text: str | None) -> tuple[np.ndarray, np.ndarray]:
    assert text
    content = base64.b64decode(text)
    count = len(content) // 9
    places = np.frombuffer(content, "<u2", 3 * count).reshape(count, 3)
    return places / 32767.5 - 1, np.frombuffer(content, np.uint8, 3 * count, 6 * count).reshape(count, 3)


def test_points_are_seen_as_by_the_first_training_camera(run_dir: Path) -> None:
    places, colours = unpacked(packed(run_dir, 1000))
    positions = random_cloud(points=201)["position"].T.double().numpy()
    expected = (positions - np.median(positions, axis=0)) @ seen_by().camera_to_world[:3, :3]
    inside = np.abs(places).max(axis=1) < 1
    factor = np.abs(expected[inside]).max() / np.abs(places[inside]).max()
    np.testing.assert_allclose(factor * places[inside], expected[inside], atol=1e-3)
    assert inside.mean() > 0.95
    assert (colours == 51).all()


def test_of_a_large_cloud_some_points_are_taken(run_dir: Path) -> None:
    assert len(unpacked(packed(run_dir, 50))[0]) == 50


@pytest.mark.parametrize("missing", ["cloud.ply", CAMERAS_FILE])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_run_without_its_files_has_none(run_dir: Path, missing: str, damaged: bool) -> None:
    (run_dir / missing).unlink()
    if damaged:
        (run_dir / missing).write_text("{")
    assert packed(run_dir, 50) is None
    assert pack_clouds([run_dir]) == {}


def test_too_many_runs_for_a_page_have_none(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(pack_clouds([run_dir])) == [run_dir]
    monkeypatch.setattr(clouds, "_BUDGET", 9 * 400)
    assert pack_clouds([run_dir]) == {}
