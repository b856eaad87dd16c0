"""Scenes as plain values: cameras, posed views, and the set of views of a scene.

Coordinate frames (see docs/conventions.md): world units are the dataset's; a camera looks down -z with x right and y
up (OpenGL); pixels count from the top left corner, x right and y down, the centre of pixel (i, j) lying at
(j + 0.5, i + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]


class Split(StrEnum):
    """The part of a scene that a view belongs to; `paper` is the published evaluation split, val[15:38]."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    PAPER = "paper"


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pixels and its principal point at the image centre.

    camera_to_world: [4, 4] float64 rigid transform, OpenGL axes (x right, y up, looking down -z).
    focal: focal length in pixels.
    width, height: image size in pixels.
    """

    camera_to_world: Float64Array
    focal: float
    width: int
    height: int

    @property
    def position(self) -> Float64Array:
        """[3] float64, the camera centre in world units."""
        return self.camera_to_world[:3, 3]

    @cached_property
    def world_to_image(self) -> Float64Array:
        """[3, 4] float64 rows (x, y, z): a world point's image-axes coordinates (x right, y down, z depth > 0 ahead).

        Its pixel coordinates are (focal * x / z + width / 2, focal * y / z + height / 2).
        """
        rotation = np.diag([1.0, -1.0, -1.0]) @ self.camera_to_world[:3, :3].T
        return np.concatenate([rotation, -(rotation @ self.position)[:, None]], axis=1)

    def resized(self, width: int, height: int) -> Camera:
        """The same camera with another image size of the same aspect ratio (the focal length follows the width)."""
        return replace(self, focal=self.focal * width / self.width, width=width, height=height)


@dataclass(frozen=True)
class View:
    """One posed image.

    name: the frame's file path inside the scene, e.g. "train/r_0".
    image: [H, W, 3] float32 RGB in [0, 1], already on the dataset's background.
    mask: [H, W] float32 object mask (alpha) in [0, 1].
    """

    name: str
    split: Split
    camera: Camera
    image: Float32Array
    mask: Float32Array


@dataclass(frozen=True)
class Scene:
    """The views of one scene by split, all of one image size, and the background (RGB in [0, 1]) they lie on."""

    name: str
    train: tuple[View, ...]
    evaluation: tuple[View, ...]
    background: tuple[float, float, float]


@dataclass(frozen=True)
class SceneContent:
    """What the files contain that a scene's training views and its views for evaluation are loaded from, as digests;
    where the files lie is not part of it."""

    train: str
    evaluation: str
