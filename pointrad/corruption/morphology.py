"""Silhouettes drawn too tight or too wide all around."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pointrad.corruption.base import CorruptionConfig, MaskErrorConfig
from pointrad.corruption.silhouette import object_size, signed_distance, with_silhouette
from pointrad.data.scene import View
from pointrad.schema import NonNegative, Share


class MorphologyConfig(MaskErrorConfig):
    """By how much the silhouette shrinks or grows at level 1, as shares of the object's size."""

    name: Literal["morphology"]
    direction: Literal["erode", "dilate", "either"]
    erode: Share
    dilate: NonNegative

    def build(self) -> MorphologyCorruption:
        """The model of these errors."""
        return MorphologyCorruption(self)


class MorphologyCorruptionConfig(CorruptionConfig, MorphologyConfig):
    """Of a run."""


@dataclass(frozen=True)
class MorphologyCorruption:
    """Erodes or dilates the silhouette with a disc whose radius is a share of the object's size, times the level.

    With the direction "either" each view is eroded or dilated, with equal chances. Image and camera stay.
    """

    config: MorphologyConfig

    @property
    def level(self) -> float:
        return self.config.level

    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """A new view whose mask is eroded or dilated."""
        silhouette = view.mask > 0
        shift = self.draw(rng) * object_size(silhouette)
        return with_silhouette(view, signed_distance(silhouette) + shift > 0)

    def draw(self, rng: np.random.Generator) -> float:
        """By how much a view's contour moves outwards, as a share of the object's size; below 0 where it is eroded."""
        erodes = {"erode": True, "dilate": False, "either": rng.random() < 0.5}[self.config.direction]
        return self.level * (-self.config.erode if erodes else self.config.dilate)
