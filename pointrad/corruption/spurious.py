"""Silhouettes with false blobs beside the object."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import blobs, with_silhouette
from pointrad.data.scene import View
from pointrad.schema import NonNegative, PositiveShare


class SpuriousConfig(MaskErrorConfig):
    """Adds area outside the object, `coverage` times the level times the object's own: the peaks of smooth noise, so
    that with the level blobs grow and become more. Each view's IoU is 1 / (1 + coverage * level) as long as the image
    has room for them. Image and camera stay.

    coverage: false at level 1, as a multiple of the object's area. size: of a blob, a share of its size.
    """

    name: Literal["spurious"]
    coverage: NonNegative
    size: PositiveShare

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask has false blobs."""
        silhouette = view.mask > 0
        false = blobs(rng, silhouette, ~silhouette, self.size, self.level * self.coverage)
        return with_silhouette(view, silhouette | false)


class SpuriousCorruptionConfig(SpuriousConfig, CorruptionConfig):
    """Of a run."""
