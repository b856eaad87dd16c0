"""Silhouettes with missing blobs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import blobs, with_silhouette
from pointrad.data.scene import View
from pointrad.schema import PositiveShare, Share


class HolesConfig(MaskErrorConfig):
    """Removes a share of the object's area, `coverage` times the level: the peaks of smooth noise, so that with the
    level blobs grow and become more. Each view's IoU is 1 - coverage * level. Image and camera stay.

    coverage: missing at level 1, a share of the object's area. size: of a blob, a share of the object's size.
    """

    name: Literal["holes"]
    coverage: Share
    size: PositiveShare

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask has holes."""
        silhouette = view.mask > 0
        missing = blobs(rng, silhouette, silhouette, self.size, self.level * self.coverage)
        return with_silhouette(view, silhouette & ~missing)


class HolesCorruptionConfig(HolesConfig, CorruptionConfig):
    """Of a run."""
