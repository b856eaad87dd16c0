"""No corruption: clean masks."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig
from pointrad.data.scene import View


class NoCorruptionConfig(CorruptionConfig):
    """Clean masks."""

    name: Literal["none"]
    level: Literal[0]

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view itself."""
        return view
