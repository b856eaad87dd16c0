"""No corruption: clean masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointrad.scene.types import View


@dataclass(frozen=True)
class NoCorruption:
    """Leaves every view as it is."""

    level: float = 0

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view itself."""
        return view
