"""Some views whose masks are far off, among others that are right."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig
from pointrad.corruption.mixed import MaskError
from pointrad.data.scene import View


class SomeViewsCorruptionConfig(CorruptionConfig):
    """Each view is spoilt with a chance of `level`, by `error` at its own level; the others are right.

    So the level says how many masks are wrong, and `error.level` how wrong they are.
    """

    name: Literal["some_views"]
    error: MaskError

    def idle(self) -> dict[str, str]:
        others = set(type(self.error).model_fields) - {"name", "level"}
        silent = {f"error.{key}": "error.level=0" for key in others} if self.error.level == 0 else {}
        return super().idle() | silent

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view itself, or the view with the error."""
        (stream,) = rng.spawn(1)
        return self.error.corrupt(view, stream) if rng.random() < self.level else view
