"""From the config of a corruption to its model."""

from __future__ import annotations

from pointrad.config import (
    AffineConfig,
    AnyCorruptionConfig,
    BoundaryConfig,
    DropoutConfig,
    HolesConfig,
    MaskError,
    MixedCorruptionConfig,
    MorphologyConfig,
    NoCorruptionConfig,
    SpuriousConfig,
)
from pointrad.corruption.affine import AffineCorruption
from pointrad.corruption.base import Corruption
from pointrad.corruption.boundary import BoundaryCorruption
from pointrad.corruption.dropout import DropoutCorruption
from pointrad.corruption.holes import HolesCorruption
from pointrad.corruption.mixed import MixedCorruption
from pointrad.corruption.morphology import MorphologyCorruption
from pointrad.corruption.none import NoCorruption
from pointrad.corruption.spurious import SpuriousCorruption


def build_corruption(config: AnyCorruptionConfig | MaskError) -> Corruption:
    """The corruption model that a config describes."""
    match config:
        case NoCorruptionConfig():
            return NoCorruption()
        case AffineConfig():
            return AffineCorruption(config)
        case MorphologyConfig():
            return MorphologyCorruption(config)
        case BoundaryConfig():
            return BoundaryCorruption(config)
        case HolesConfig():
            return HolesCorruption(config)
        case SpuriousConfig():
            return SpuriousCorruption(config)
        case DropoutConfig():
            return DropoutCorruption(config)
        case MixedCorruptionConfig():
            scaled = (part.model_copy(update={"level": config.level * part.level}) for part in config.parts.values())
            return MixedCorruption(config.level, tuple(map(build_corruption, scaled)))
