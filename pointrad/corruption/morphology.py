"""Silhouettes drawn too tight or too wide all around."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import object_size, signed_distance, with_silhouette
from pointrad.data.scene import View
from pointrad.schema import NonNegative, Share


class MorphologyConfig(MaskErrorConfig):
    """Erodes or dilates the silhouette with a disc whose radius is a share of the object's size, times the level.

    With the direction "either" each view is eroded or dilated, with equal chances. Image and camera stay.

    erode, dilate: the radii at level 1.
    """

    name: Literal["morphology"]
    direction: Literal["erode", "dilate", "either"]
    erode: Share
    dilate: NonNegative

    def idle(self) -> dict[str, str]:
        unused = {"erode": ["dilate"], "dilate": ["erode"], "either": []}[self.direction]
        return super().idle() | dict.fromkeys(unused, f"direction={self.direction}")

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask is eroded or dilated."""
        silhouette = view.mask > 0
        shift = self.draw(rng) * object_size(silhouette)
        return with_silhouette(view, signed_distance(silhouette) + shift > 0)

    def draw(self, rng: np.random.Generator) -> float:
        """By how much a view's contour moves outwards, as a share of the object's size; below 0 where it is eroded."""
        erodes = {"erode": True, "dilate": False, "either": rng.random() < 0.5}[self.direction]
        return self.level * (-self.erode if erodes else self.dilate)


class MorphologyCorruptionConfig(MorphologyConfig, CorruptionConfig):
    """Of a run."""
