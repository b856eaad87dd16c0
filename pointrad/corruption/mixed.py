"""Several kinds of mask errors, one after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointrad.corruption.base import Corruption
from pointrad.data.scene import View


@dataclass(frozen=True)
class MixedCorruption:
    """Applies its parts in order, each to what the one before left, with a random stream of its own: raising the level
    of one changes no other's draws. The levels of the parts are those they have, `level` included already.
    """

    level: float
    parts: tuple[Corruption, ...]

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view with the errors of every part."""
        for part, stream in zip(self.parts, rng.spawn(len(self.parts)), strict=True):
            view = part.corrupt(view, stream)
        return view
