"""Clouds as PLY: exact for us, coloured for viewers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData

from pointrad.artifacts.ply import read_ply, write_ply
from pointrad.errors import UserError


def test_reading_back_is_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cloud = [rng.standard_normal(shape, dtype=np.float32) for shape in ((7, 3), (7, 3), (7, 9, 3))]
    write_ply(tmp_path / "cloud.ply", *cloud)
    for written, read in zip(cloud, read_ply(tmp_path / "cloud.ply"), strict=True):
        np.testing.assert_array_equal(written, read, strict=True)


def test_an_empty_cloud_can_be_written(tmp_path: Path) -> None:
    empty = np.zeros((0, 3), np.float32)
    write_ply(tmp_path / "cloud.ply", empty, empty, np.zeros((0, 9, 3), np.float32))
    assert read_ply(tmp_path / "cloud.ply").harmonics.shape == (0, 9, 3)


def test_viewers_show_the_colour_that_holds_for_every_direction(tmp_path: Path) -> None:
    harmonics = np.zeros((2, 9, 3), np.float32)
    harmonics[0, 0] = [1, -1, 0]
    harmonics[:, 1:] = 5
    write_ply(tmp_path / "cloud.ply", np.zeros((2, 3), np.float32), np.array([[0.5] * 3, [2, -1, 1]], "f4"), harmonics)
    vertices = PlyData.read(str(tmp_path / "cloud.ply"))["vertex"]
    seen = np.stack([vertices[name] for name in ("red", "green", "blue")], axis=1)
    assert seen.dtype == np.uint8
    assert seen.tolist() == [[199, 56, 128], [255, 0, 255]]


def test_the_file_is_binary_little_endian(tmp_path: Path) -> None:
    write_ply(tmp_path / "cloud.ply", *(np.zeros(shape, np.float32) for shape in ((1, 3), (1, 3), (1, 9, 3))))
    header = (tmp_path / "cloud.ply").read_bytes().split(b"end_header")[0].decode()
    assert header.startswith("ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\n")
    assert "property uchar red\n" in header


@pytest.mark.parametrize("content", [None, b"", b"not a ply", b"ply\nformat ascii 1.0\nelement vertex 0\nend_header\n"])
def test_another_file_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.ply").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.ply"):
        read_ply(tmp_path / "x.ply")


def test_a_file_cut_short_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    write_ply(path, *(np.zeros(shape, np.float32) for shape in ((9, 3), (9, 3), (9, 9, 3))))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match=r"cloud\.ply"):
        read_ply(path)
