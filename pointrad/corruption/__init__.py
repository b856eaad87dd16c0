"""Models of how object masks go wrong, one per file."""

from __future__ import annotations

from pointrad.config import AffineCorruptionConfig, NoCorruptionConfig
from pointrad.corruption.affine import AffineCorruption
from pointrad.corruption.base import Corruption, corrupt_views, cut_targets
from pointrad.corruption.iou import mask_iou
from pointrad.corruption.none import NoCorruption

__all__ = [
    "AffineCorruption",
    "Corruption",
    "NoCorruption",
    "build_corruption",
    "corrupt_views",
    "cut_targets",
    "mask_iou",
]


def build_corruption(config: NoCorruptionConfig | AffineCorruptionConfig) -> Corruption:
    """The corruption model that a config describes."""
    match config:
        case NoCorruptionConfig():
            return NoCorruption()
        case AffineCorruptionConfig():
            return AffineCorruption(config)
