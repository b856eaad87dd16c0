"""What operations do to a cloud between stages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.points import HARMONICS, POINTS
from pointrad.render.base import SplatSettings
from pointrad.render.cpu.points import CpuRenderer
from pointrad.training import operations
from pointrad.training.config import (
    ClearHarmonicsConfig,
    DropFaintHarmonicsConfig,
    DuplicateConfig,
    Operation,
    RemoveOutliersConfig,
)
from tests.runs import random_cloud

REMOVE = RemoveOutliersConfig(op="remove_outliers", voxel=0.01, neighbours=20, deviations=2)


def apply(operation: Operation, cloud: Cloud, views: tuple[View, ...] = ()) -> Cloud:
    renderer = CpuRenderer(SplatSettings(0.1, 15, "point", (0.0, 0.0, 0.0)))
    return operations.apply(operation, cloud, views, renderer, np.random.default_rng(0))


def at(positions: torch.Tensor) -> Cloud:
    """A cloud of points [N, 3], each of a colour of its own."""
    return POINTS.start(positions, torch.linspace(0, 1, len(positions))[:, None].repeat(1, 3), seed=0)


def grid(side: int = 6) -> torch.Tensor:
    """[side^3, 3] points 0.1 apart, each in the middle of a voxel."""
    axis = 0.1 * torch.arange(side) + 0.005
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).reshape(-1, 3)


def columns(cloud: Cloud) -> set[tuple[float, ...]]:
    return {tuple(point) for point in cloud.parameters.T.tolist()}


def test_a_lone_far_point_is_removed_and_nothing_else() -> None:
    inliers = at(grid())
    cloud = Cloud(POINTS, torch.cat([inliers.parameters, at(torch.tensor([[3.0, 3, 3]])).parameters], dim=1))
    assert columns(apply(REMOVE, cloud)) == columns(inliers)


def test_points_crowded_in_one_voxel_become_the_one_nearest_to_their_centroid() -> None:
    crowd = torch.tensor([[0.101, 0.105, 0.105], [0.104, 0.105, 0.105], [0.109, 0.105, 0.105]])
    cloud = at(crowd)
    kept = apply(REMOVE, cloud)
    assert torch.equal(kept.parameters, cloud.parameters[:, 1:2])


def test_a_crowded_outlier_is_still_an_outlier() -> None:
    """Statistics are over voxels: a hundred points at one place far away do not count as each other's neighbours."""
    inliers = at(grid())
    far = at(torch.full((100, 3), 3.0))
    cloud = Cloud(POINTS, torch.cat([inliers.parameters, far.parameters], dim=1))
    assert columns(apply(REMOVE, cloud)) == columns(inliers)


def test_what_is_kept_keeps_its_parameters_unchanged() -> None:
    cloud = random_cloud(300)
    assert columns(apply(REMOVE, cloud)) < columns(cloud)


def test_a_single_point_is_no_outlier() -> None:
    cloud = at(torch.zeros(1, 3))
    assert len(apply(REMOVE, cloud)) == 1


@pytest.mark.parametrize("copies", [2, 3])
def test_duplicate_repeats_every_point_unchanged(copies: int) -> None:
    cloud = random_cloud(5)
    doubled = apply(DuplicateConfig(op="duplicate", copies=copies), cloud)
    assert torch.equal(doubled.parameters, torch.cat([cloud.parameters] * copies, dim=1))


def test_duplicates_are_merged_again_by_outlier_removal() -> None:
    cloud = at(grid())
    doubled = apply(DuplicateConfig(op="duplicate", copies=2), cloud)
    assert torch.equal(apply(REMOVE, doubled).parameters, apply(REMOVE, cloud).parameters)


@pytest.mark.parametrize(("quantile", "left"), [(0.0, 5), (0.5, 3), (1.0, 1)])
def test_drop_faint_harmonics_keeps_the_points_from_the_quantile_of_norms_up(quantile: float, left: int) -> None:
    cloud = random_cloud(5)
    cloud.parameters[HARMONICS] = torch.tensor([3.0, 1, 5, 2, 4])
    kept = apply(DropFaintHarmonicsConfig(op="drop_faint_harmonics", quantile=quantile), cloud)
    assert sorted(kept.parameters[HARMONICS.start].tolist()) == [5 - left + 1 + i for i in range(left)]


def test_an_operation_that_leaves_no_point_is_an_error() -> None:
    with pytest.raises(UserError, match="operation duplicate left none of 0 points"):
        apply(DuplicateConfig(op="duplicate", copies=2), Cloud(POINTS, torch.zeros(33, 0)))


def test_clearing_harmonics_changes_nothing_else() -> None:
    cloud = at(grid())
    cleared = apply(ClearHarmonicsConfig(op="clear_harmonics"), cloud)
    assert (cleared.parameters[HARMONICS] == 0).all()
    assert torch.equal(cleared.parameters[: HARMONICS.start], cloud.parameters[: HARMONICS.start])
    assert (cloud.parameters[HARMONICS] != 0).any()
