"""Scenes as plain values: posed views, and the set of views of a scene.

Coordinate frames (see docs/conventions.md): world units are the dataset's; a camera looks down -z with x right and y
up (OpenGL); pixels count from the top left corner, x right and y down, the centre of pixel (i, j) lying at
(j + 0.5, i + 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pointrad.camera import Camera

Background = Literal["black", "white", "published"]  # published: RGB as it is stored, whatever its alpha
BACKGROUNDS: dict[Background, tuple[float, float, float]] = {
    "black": (0.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
    "published": (0.0, 0.0, 0.0),
}


Float32Array = NDArray[np.float32]


class Split(StrEnum):
    """The part of a scene that a view belongs to; `paper` is the published evaluation split, val[15:38]."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    PAPER = "paper"


@dataclass(frozen=True)
class View:
    """One posed image.

    name: the frame's file path inside the scene, e.g. "train/r_0".
    image: [H, W, 3] float32 RGB in [0, 1], already on the dataset's background.
    mask: [H, W] float32 object mask in [0, 1], as it was given.
    reference: [H, W] float32, the mask that is known to be right; None where that is the given one.
    weight: [H, W] float32 in [0, 1], how much each pixel counts in training; None: 1 everywhere. Where the image is not
    known, it is the background. A pixel of weight 0 says nothing at all, neither its image nor its mask.
    leaves: whether the object is known to leave the picture, even where its mask does not reach the border.
    """

    name: str
    split: Split
    camera: Camera
    image: Float32Array
    mask: Float32Array
    weight: Float32Array | None = None
    reference: Float32Array | None = None
    leaves: bool = False

    @property
    def used(self) -> NDArray[np.bool_]:
        """[H, W] the pixels of some weight."""
        return np.ones(self.mask.shape, bool) if self.weight is None else self.weight > 0

    def weighing(self, pixels: NDArray[np.bool_], weight: float) -> View:
        """The view, these pixels [H, W] counting with `weight` and others as before."""
        before = np.ones(self.mask.shape, np.float32) if self.weight is None else self.weight
        return replace(self, weight=np.where(pixels, np.float32(weight), before)) if pixels.any() else self


@dataclass(frozen=True)
class Shot:
    """Which camera took a view of a scene that moves, and when.

    camera: its number among those that train, so that it is known again at another instant. instant: its number of all
    in order of time, from 0.
    """

    camera: int
    instant: int


@dataclass(frozen=True)
class Scene:
    """The views of one scene by split, of any sizes, and the background (RGB in [0, 1]) they lie on.

    shots: of each training view by its name; None where nothing moves.
    """

    name: str
    train: tuple[View, ...]
    evaluation: tuple[View, ...]
    background: tuple[float, float, float]
    shots: Mapping[str, Shot] | None = None


@dataclass(frozen=True)
class SceneContent:
    """What the files contain that a scene's training views and its views for evaluation are loaded from, as digests;
    where the files lie is not part of it."""

    train: str
    evaluation: str
