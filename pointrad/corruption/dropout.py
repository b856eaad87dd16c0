"""Views whose mask is lost as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import with_silhouette
from pointrad.data.scene import View


class DropoutConfig(MaskErrorConfig):
    """Whether the masks of the views that lose theirs are empty, full, or either with equal chances."""

    name: Literal["dropout"]
    kind: Literal["empty", "full", "either"]

    def build(self) -> DropoutCorruption:
        """The model of these errors."""
        return DropoutCorruption(self)


class DropoutCorruptionConfig(CorruptionConfig, DropoutConfig):
    """Of a run."""


@dataclass(frozen=True)
class DropoutCorruption:
    """Each view's mask is lost with a chance of `level`: it is then empty, or full, or either with equal chances.

    Image and camera stay.
    """

    config: DropoutConfig

    @property
    def level(self) -> float:
        return self.config.level

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view itself, or a new one whose mask is empty or full."""
        lost, full = rng.random(2) < (self.level, 0.5)
        if not lost:
            return view
        fills = {"empty": False, "full": True, "either": bool(full)}[self.config.kind]
        return with_silhouette(view, np.full(view.mask.shape, fills))
