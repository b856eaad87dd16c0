"""What is done to a cloud before, within and after stages. An operation names the groups it changes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.render.cpu.threads import torch_on_one_thread
from pointrad.training import densify
from pointrad.training.config import (
    ClearHarmonicsConfig,
    CustomOperationConfig,
    DropFaintHarmonicsConfig,
    DuplicateConfig,
    FadeConfig,
    LimitOpacityConfig,
    Operation,
    PruneTransparentConfig,
    PruneUnsupportedConfig,
    RelocateConfig,
    RemoveOutliersConfig,
    ReplenishConfig,
    ShrinkConfig,
    SplitConfig,
)
from pointrad.training.contributions import prune_unsupported, replenish


def apply(
    operation: Operation, cloud: Cloud, views: Sequence[View], renderer: Renderer, rng: np.random.Generator
) -> Cloud:
    """The cloud after `operation`, which may ask the training views and draw from `rng`.

    Raises UserError where no point would be left, or more than the model may have.
    """
    with torch_on_one_thread():
        result = _result(operation, cloud, views, renderer, rng)
    if len(result) == 0:
        raise UserError(f"schedule: operation {operation.op} left none of {len(cloud)} points; soften {operation}")
    if cloud.model.most is not None and len(result) > max(cloud.model.most, len(cloud)):
        raise UserError(
            f"schedule: operation {operation.op} made {len(result)} of {len(cloud)} points; model.max_points and "
            f"model.max_mb allow {cloud.model.most}"
        )
    return result


def _result(
    operation: Operation, cloud: Cloud, views: Sequence[View], renderer: Renderer, rng: np.random.Generator
) -> Cloud:
    match operation:
        case RemoveOutliersConfig():
            return remove_outliers(cloud, operation)
        case DuplicateConfig():
            return cloud.select(torch.arange(len(cloud), device=cloud.parameters.device).repeat(operation.copies))
        case DropFaintHarmonicsConfig():
            return drop_faint_harmonics(cloud, operation.quantile)
        case PruneUnsupportedConfig():
            return prune_unsupported(cloud, operation, views, renderer)
        case ReplenishConfig():
            return replenish(cloud, operation, views, renderer)
        case ClearHarmonicsConfig():
            return cloud.changed(harmonics=0)
        case SplitConfig():
            return densify.split(cloud, operation, rng)
        case RelocateConfig():
            return densify.relocate(cloud, operation, rng)
        case PruneTransparentConfig():
            return cloud.select(densify.opacities(cloud) >= operation.opacity)
        case LimitOpacityConfig():
            return densify.with_opacities(cloud, densify.opacities(cloud).clamp(max=operation.opacity))
        case FadeConfig():
            return densify.with_opacities(cloud, densify.opacities(cloud) * operation.factor)
        case ShrinkConfig():
            return cloud.changed(scale=cloud["scale"] + math.log(operation.factor))
        case CustomOperationConfig():
            return operation.apply(cloud, views, renderer, rng)


def remove_outliers(cloud: Cloud, config: RemoveOutliersConfig) -> Cloud:
    """Statistical outlier removal on voxel centroids (docs/method.md), so that crowding does not hide an outlier.

    Centroids whose mean distance to their nearest `neighbours` exceeds the mean by more than `deviations` standard
    deviations go; each that stays keeps the parameters of the original point nearest to it.
    """
    from scipy.spatial import KDTree  # not above: slow to import, and the first step would wait for it

    positions = cloud["position"].T.double().cpu().numpy()
    centroids = _voxel_centroids(positions, config.voxel)
    neighbours = min(config.neighbours, len(centroids) - 1)
    if neighbours > 0:
        distances = KDTree(centroids).query(centroids, k=neighbours + 1, workers=-1)[0][:, 1:].mean(axis=1)
        centroids = centroids[distances <= distances.mean() + config.deviations * distances.std()]
    nearest = KDTree(positions).query(centroids, workers=-1)[1]
    return cloud.select(torch.from_numpy(nearest).to(cloud.parameters.device))


def _voxel_centroids(positions: np.ndarray, voxel: float) -> np.ndarray:
    """[M, 3] centroids of the [N, 3] points in each occupied voxel, in the order of the voxels."""
    cells = np.floor(positions / voxel).astype(np.int64)
    _, voxel_of, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(voxel_of.ravel(), weights=axis) for axis in positions.T], axis=1)
    return sums / counts[:, None]


def drop_faint_harmonics(cloud: Cloud, quantile: float) -> Cloud:
    """Keep the points whose harmonics' norm reaches this quantile of all norms."""
    norms = cloud["harmonics"].norm(dim=0)
    # Not torch.quantile, which refuses more than 2^24 values.
    return cloud.select(norms >= float(np.quantile(norms.cpu().numpy(), quantile)))
