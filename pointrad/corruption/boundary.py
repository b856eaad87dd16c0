"""Silhouettes drawn with an unsteady hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointrad.config import BoundaryConfig
from pointrad.corruption.silhouette import object_size, signed_distance, smooth_noise, with_silhouette
from pointrad.scene.types import View


@dataclass(frozen=True)
class BoundaryCorruption:
    """Moves the contour in and out by smooth noise, whose deviation and correlation length are shares of the object's
    size; the level scales the deviation alone. Image and camera stay.

    The noise is a field over the image that is added to the distance to the contour, so that contours stay closed.
    """

    config: BoundaryConfig

    @property
    def level(self) -> float:
        return self.config.level

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask has another contour."""
        silhouette = view.mask > 0
        size = object_size(silhouette)
        noise = smooth_noise(rng, silhouette.shape, self.config.correlation * size)
        shift = self.level * self.config.amplitude * size * noise
        return with_silhouette(view, signed_distance(silhouette) + shift > 0)
