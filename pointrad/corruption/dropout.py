"""Views whose mask is lost as a whole."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import with_silhouette
from pointrad.data.scene import View


class DropoutConfig(MaskErrorConfig):
    """Each view's mask is lost with a chance of `level`: it is then empty, or full, or either with equal chances.

    Image and camera stay.

    kind: which of them.
    """

    name: Literal["dropout"]
    kind: Literal["empty", "full", "either"]

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view itself, or a new one whose mask is empty or full."""
        lost, full = rng.random(2) < (self.level, 0.5)
        if not lost:
            return view
        fills = {"empty": False, "full": True, "either": bool(full)}[self.kind]
        return with_silhouette(view, np.full(view.mask.shape, fills))


class DropoutCorruptionConfig(DropoutConfig, CorruptionConfig):
    """Of a run."""
