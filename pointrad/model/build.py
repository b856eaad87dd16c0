"""The model that a configuration names."""

from __future__ import annotations

from pointrad.config import ModelConfig
from pointrad.model.base import Model
from pointrad.model.points import POINTS


def build_model(config: ModelConfig) -> Model:
    match config.name:
        case "points":
            return POINTS
