"""The model that a configuration names."""

from __future__ import annotations

from pointrad.model.base import Model
from pointrad.model.config import ModelConfig, PointsConfig
from pointrad.model.gaussians import Gaussians
from pointrad.model.points import POINTS


def build_model(config: ModelConfig) -> Model:
    if isinstance(config, PointsConfig):
        return POINTS
    return Gaussians(config.sh_degree, config.opacity, config.most)
