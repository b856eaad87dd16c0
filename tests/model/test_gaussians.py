"""What a fresh cloud of Gaussians is, and what becomes of it in a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData

from pointrad.artifacts.ply import read_ply, read_splats, write_splats
from pointrad.data.frame import SceneFrame
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.gaussians import Gaussians

GAUSSIANS = Gaussians(degree=2, opacity=0.3, most=None)


def random_gaussians(count: int = 5, degree: int = 2) -> Cloud:
    model = Gaussians(degree, opacity=0.3, most=None)
    generator = torch.Generator().manual_seed(0)
    return Cloud(model, torch.randn(model.width, count, generator=generator))


def test_fresh_gaussians_are_balls_as_large_as_their_neighbours_are_far() -> None:
    line = torch.tensor([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0], [0.3, 0, 0]])
    cloud = GAUSSIANS.start(line, torch.full((4, 3), 0.25), seed=0)
    expected = [(0.1 + 0.2 + 0.3) / 3, (0.1 + 0.1 + 0.2) / 3, (0.1 + 0.1 + 0.2) / 3, (0.1 + 0.2 + 0.3) / 3]
    torch.testing.assert_close(cloud["scale"].exp(), torch.tensor(expected).expand(3, 4))
    torch.testing.assert_close(cloud["opacity"].sigmoid(), torch.full((1, 4), 0.3))
    assert cloud["rotation"].T.tolist() == [[1, 0, 0, 0]] * 4
    assert torch.equal(cloud["base"], torch.full((3, 4), 0.25))
    assert (cloud["harmonics"] == 0).all()
    assert torch.equal(cloud["position"].T, line)


@pytest.mark.parametrize("places", [[[1.0, 2, 3]], [[1.0, 2, 3]] * 3], ids=["alone", "at one place"])
def test_gaussians_without_neighbours_have_a_size_all_the_same(places: list[list[float]]) -> None:
    cloud = GAUSSIANS.start(torch.tensor(places), torch.zeros(len(places), 3), seed=0)
    assert cloud["scale"].isfinite().all()


@pytest.mark.parametrize(("degree", "width"), [(0, 14), (1, 23), (2, 38), (3, 59)])
def test_a_degree_has_its_coefficients(degree: int, width: int) -> None:
    assert Gaussians(degree, 0.5, None).width == width


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_a_file_holds_every_parameter(degree: int, tmp_path: Path) -> None:
    cloud = random_gaussians(degree=degree)
    write_splats(tmp_path / "splats.ply", cloud)
    torch.testing.assert_close(read_splats(tmp_path / "splats.ply")[0].parameters, cloud.parameters)


def test_a_file_has_the_columns_of_3d_gaussian_splatting_in_their_order(tmp_path: Path) -> None:
    cloud = random_gaussians(degree=1)
    write_splats(tmp_path / "splats.ply", cloud)
    vertices = PlyData.read(str(tmp_path / "splats.ply"))["vertex"].data
    assert list(vertices.dtype.names) == [
        *("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"), *(f"f_rest_{n}" for n in range(9)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]  # fmt: skip
    assert {str(dtype) for dtype, _ in vertices.dtype.fields.values()} == {"float32"}
    np.testing.assert_allclose(0.5 + 0.28209479 * vertices["f_dc_1"], cloud["base"][1], rtol=1e-5)
    # Channel by channel: after red's three coefficients come green's.
    np.testing.assert_array_equal(vertices["f_rest_4"], cloud["harmonics"][3 * 1 + 1])


def test_a_file_of_another_degree_is_an_error_that_says_which(tmp_path: Path) -> None:
    write_splats(tmp_path / "splats.ply", random_gaussians(degree=1))
    with pytest.raises(UserError, match=r"splats\.ply: .* 9 values of harmonics, .*model\.sh_degree=2 has 24"):
        read_ply(tmp_path / "splats.ply", GAUSSIANS)


def test_in_world_units_gaussians_lie_elsewhere_and_are_larger() -> None:
    cloud = random_gaussians()
    moved = GAUSSIANS.to_world(cloud, SceneFrame(np.array([1.0, 2, 3]), 10.0))
    torch.testing.assert_close(moved["position"], 10 * cloud["position"] + torch.tensor([[1.0], [2], [3]]))
    torch.testing.assert_close(moved["scale"], cloud["scale"] + math.log(10))
    for name in ("rotation", "opacity", "base", "harmonics"):
        assert torch.equal(moved[name], cloud[name])
