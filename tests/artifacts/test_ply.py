"""Clouds as PLY: exact for us, coloured for viewers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData

from pointrad.artifacts.ply import read_ply, write_points
from pointrad.errors import UserError
from pointrad.model.points import POINTS
from tests.runs import random_cloud


def test_reading_back_is_exact(tmp_path: Path) -> None:
    cloud = random_cloud(7)
    write_points(tmp_path / "cloud.ply", cloud, cloud["base"])
    assert torch.equal(read_ply(tmp_path / "cloud.ply", POINTS).parameters, cloud.parameters)


def test_an_empty_cloud_can_be_written(tmp_path: Path) -> None:
    write_points(tmp_path / "cloud.ply", random_cloud(0), random_cloud(0)["base"])
    assert len(read_ply(tmp_path / "cloud.ply", POINTS)) == 0


def test_viewers_show_the_colours_given(tmp_path: Path) -> None:
    write_points(tmp_path / "cloud.ply", random_cloud(2), torch.tensor([[0.5, 2], [0.25, -1], [0.5, 1]]))
    vertices = PlyData.read(str(tmp_path / "cloud.ply"))["vertex"]
    seen = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=1)
    assert seen.dtype == np.uint8
    assert seen.tolist() == [[128, 64, 128], [255, 0, 255]]


def test_the_file_is_binary_little_endian(tmp_path: Path) -> None:
    write_points(tmp_path / "cloud.ply", random_cloud(1), random_cloud(1)["base"])
    header = (tmp_path / "cloud.ply").read_bytes().split(b"end_header")[0].decode()
    assert header.startswith("ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\n")
    assert "property uchar red\n" in header


@pytest.mark.parametrize("content", [None, b"", b"not a ply", b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n"])
def test_another_file_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.ply").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.ply"):
        read_ply(tmp_path / "x.ply", POINTS)


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    write_points(path, random_cloud(9), random_cloud(9)["base"])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"cloud\.ply"):
        read_ply(path, POINTS)
