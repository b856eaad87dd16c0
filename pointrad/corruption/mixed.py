"""Several kinds of mask errors, one after another."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from pointrad.corruption.affine import AffineConfig
from pointrad.corruption.base import CorruptionConfig
from pointrad.corruption.boundary import BoundaryConfig
from pointrad.corruption.dropout import DropoutConfig
from pointrad.corruption.holes import HolesConfig
from pointrad.corruption.morphology import MorphologyConfig
from pointrad.corruption.spurious import SpuriousConfig
from pointrad.data.scene import View

MaskError = Annotated[
    AffineConfig | MorphologyConfig | BoundaryConfig | HolesConfig | SpuriousConfig | DropoutConfig,
    Field(discriminator="name"),
]


class MixedCorruptionConfig(CorruptionConfig):
    """Applies its parts in order, each to what the one before left, with a random stream of its own: raising the level
    of one changes no other's draws. `level` scales the level of each.

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

    def idle(self) -> dict[str, str]:
        silent = [name for name, part in self.parts.items() if part.level == 0]
        keys = {name: set(type(self.parts[name]).model_fields) - {"name", "level"} for name in silent}
        return super().idle() | {f"parts.{name}.{key}": f"parts.{name}.level=0" for name in keys for key in keys[name]}

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view with the errors of every part."""
        for part, stream in zip(self.parts.values(), rng.spawn(len(self.parts)), strict=True):
            view = part.at(self.level * part.level).corrupt(view, stream)
        return view
