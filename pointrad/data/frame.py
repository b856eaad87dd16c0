"""The scene frame: where clouds are trained, so that rates and distances mean the same in every scene.

A capture's world has whatever origin and unit its tool gave it: metres, millimetres, COLMAP's own. In the scene frame
the bounds of the object are centred on the origin and their longest side is 4 long, as in NeRF-synthetic scenes, for
which the published learning rates and voxel sizes were chosen. For bounds of [-2, 2] it is the world's frame, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pointrad.camera import Camera, Float64Array
from pointrad.data.scene import Scene, View
from pointrad.schema import Bounds

LONGEST_SIDE = 4.0  # of the bounds, scene units


@dataclass(frozen=True)
class SceneFrame:
    """centre: [3] float64, the scene frame's origin in world units. unit: one scene unit in world units."""

    centre: Float64Array
    unit: float

    @classmethod
    def of(cls, bounds: Bounds) -> SceneFrame:
        """The frame of an object within `bounds` (world units)."""
        low, high = np.array(bounds, np.float64).T
        return cls((low + high) / 2, float((high - low).max()) / LONGEST_SIDE)

    def from_world(self, positions: Float64Array) -> Float64Array:
        """[..., 3] world units to scene units."""
        return (positions - self.centre) / self.unit

    def to_world(self, positions: Float64Array) -> Float64Array:
        """[..., 3] scene units to world units."""
        return self.centre + self.unit * positions

    def inverted(self) -> SceneFrame:
        """The frame whose `to_world` is this one's `from_world`."""
        return SceneFrame(-self.centre / self.unit, 1 / self.unit)

    def camera(self, camera: Camera) -> Camera:
        """The camera, its pose in scene units."""
        pose = camera.camera_to_world.copy()
        pose[:3, 3] = self.from_world(camera.position)
        return replace(camera, camera_to_world=pose)

    def views(self, views: Sequence[View]) -> tuple[View, ...]:
        """The views, their cameras in scene units."""
        return tuple(replace(view, camera=self.camera(view.camera)) for view in views)

    def scene(self, scene: Scene) -> Scene:
        """The scene, its cameras in scene units."""
        return replace(scene, train=self.views(scene.train), evaluation=self.views(scene.evaluation))
