"""Silhouettes drawn with an unsteady hand."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import object_size, signed_distance, smooth_noise, with_silhouette
from pointrad.data.scene import View
from pointrad.schema import NonNegative, PositiveShare


class BoundaryConfig(MaskErrorConfig):
    """Moves the contour in and out by smooth noise, whose deviation and correlation length are shares of the object's
    size; the level scales the deviation alone. Image and camera stay.

    The noise is a field over the image that is added to the distance to the contour, so that contours stay closed.

    amplitude, correlation: its deviation at level 1 and its correlation length.
    """

    name: Literal["boundary"]
    amplitude: NonNegative
    correlation: PositiveShare

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask has another contour."""
        silhouette = view.mask > 0
        size = object_size(silhouette)
        noise = smooth_noise(rng, silhouette.shape, self.correlation * size)
        shift = self.level * self.amplitude * size * noise
        return with_silhouette(view, signed_distance(silhouette) + shift > 0)


class BoundaryCorruptionConfig(BoundaryConfig, CorruptionConfig):
    """Of a run."""
