"""The models of how masks go wrong: each is registered here, for runs and as a part of `mixed`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pointrad.corruption.affine import AffineConfig, AffineCorruptionConfig
from pointrad.corruption.base import CorruptionConfig
from pointrad.corruption.boundary import BoundaryConfig, BoundaryCorruptionConfig
from pointrad.corruption.dropout import DropoutConfig, DropoutCorruptionConfig
from pointrad.corruption.holes import HolesConfig, HolesCorruptionConfig
from pointrad.corruption.mixed import MixedCorruption
from pointrad.corruption.morphology import MorphologyConfig, MorphologyCorruptionConfig
from pointrad.corruption.none import NoCorruptionConfig
from pointrad.corruption.spurious import SpuriousConfig, SpuriousCorruptionConfig

MaskError = Annotated[
    AffineConfig | MorphologyConfig | BoundaryConfig | HolesConfig | SpuriousConfig | DropoutConfig,
    Field(discriminator="name"),
]


class MixedCorruptionConfig(CorruptionConfig):
    """Several kinds of error, one after another. `level` scales the level of each.

    A mapping rather than a list, so that `corruption.parts.holes.level=0` works in Hydra.
    """

    name: Literal["mixed"]
    parts: Annotated[dict[str, MaskError], Field(min_length=1)]

    def decisive(self) -> dict[str, Any]:
        """As of any model; the parts by their order, not by their names."""
        values = super().decisive()
        if self.level:
            values["parts"] = list(values["parts"].values())
        return values

    def build(self) -> MixedCorruption:
        """The models of all parts, at their levels times this one."""
        scaled = (part.model_copy(update={"level": self.level * part.level}) for part in self.parts.values())
        return MixedCorruption(self.level, tuple(part.build() for part in scaled))


AnyCorruptionConfig = Annotated[
    NoCorruptionConfig
    | AffineCorruptionConfig
    | MorphologyCorruptionConfig
    | BoundaryCorruptionConfig
    | HolesCorruptionConfig
    | SpuriousCorruptionConfig
    | DropoutCorruptionConfig
    | MixedCorruptionConfig,
    Field(discriminator="name"),
]
