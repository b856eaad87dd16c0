"""Silhouettes with false blobs beside the object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointrad.config import SpuriousConfig
from pointrad.corruption.silhouette import blobs, with_silhouette
from pointrad.scene.types import View


@dataclass(frozen=True)
class SpuriousCorruption:
    """Adds area outside the object, `coverage` times the level times the object's own: the peaks of smooth noise, so
    that with the level blobs grow and become more. Each view's IoU is 1 / (1 + coverage * level) as long as the image
    has room for them. Image and camera stay.
    """

    config: SpuriousConfig

    @property
    def level(self) -> float:
        return self.config.level

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask has false blobs."""
        silhouette = view.mask > 0
        false = blobs(rng, silhouette, ~silhouette, self.config.size, self.level * self.config.coverage)
        return with_silhouette(view, silhouette | false)
