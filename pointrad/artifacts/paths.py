"""Paths that a camera takes round an object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pointrad.artifacts.config import TurntableConfig
from pointrad.camera import Camera, Float64Array
from pointrad.data.poses import upward

Place = tuple[float, float, float]

_ORIGIN = (0.0, 0.0, 0.0)
_TURNS = 2  # of a spiral
_ONE_SIDED = 0.5  # length of the mean of the horizontal directions that cameras stand in


def turntable_cameras(cameras: Sequence[Camera], config: TurntableConfig, centre: Place = _ORIGIN) -> list[Camera]:
    """`config.frames` cameras on a circle about `upward` through `centre` (world units), looking at it.

    They have the size that most of `cameras` have and the focal length of the first of these, square pixels and the
    principal point in the middle, and the median distance of all of them to `centre`.
    """
    elevation = np.radians(config.elevation_degrees)
    azimuths = np.linspace(0, 2 * np.pi, config.frames, endpoint=False)
    return around(cameras, np.full(config.frames, elevation), azimuths, centre)


def spiral_cameras(cameras: Sequence[Camera], frames: int, centre: Place = _ORIGIN) -> list[Camera]:
    """So many cameras on a closed path within what `cameras` have seen of `centre` (world units), looking at it.

    They rise from the lowest of their elevations to the highest and sink again (10th to 90th percentile), while they go
    round twice; once to and fro between the outermost, where all stand on one side.
    """
    towards = np.stack([camera.position - centre for camera in cameras]) @ _axes(upward(cameras))
    elevation = np.arctan2(towards[:, 2], np.hypot(towards[:, 0], towards[:, 1]))
    round_about = towards[:, 0] + 1j * towards[:, 1]
    side = (round_about / np.abs(round_about).clip(1e-12)).mean()
    time = np.linspace(0, 2 * np.pi, frames, endpoint=False)
    azimuths = _TURNS * time
    if abs(side) > _ONE_SIDED:
        middle, reach = _middle_and_reach(np.angle(round_about / side))
        azimuths = np.angle(side) + middle + reach * np.sin(time)
    middle, reach = _middle_and_reach(elevation)
    return around(cameras, middle - reach * np.cos(time), azimuths, centre)


def _middle_and_reach(angles: Float64Array) -> tuple[float, float]:
    low, high = np.percentile(angles, [10, 90])
    return float(low + high) / 2, float(high - low) / 2


def around(
    cameras: Sequence[Camera], elevations: Float64Array, azimuths: Float64Array, centre: Place = _ORIGIN
) -> list[Camera]:
    """Cameras like most of `cameras`, at their median distance to `centre` and looking at it, from these angles.

    elevations, azimuths: [N] float64, radians, over the plane across `upward` and about it.
    """
    (width, height), _ = Counter((camera.width, camera.height) for camera in cameras).most_common(1)[0]
    focal = next(camera.focal for camera in cameras if (camera.width, camera.height) == (width, height))
    distance = float(np.median([np.linalg.norm(camera.position - centre) for camera in cameras]))
    axes = _axes(upward(cameras))
    poses = (
        _looking_at(centre, distance, axes, elevation, azimuth)
        for elevation, azimuth in zip(elevations, azimuths, strict=True)
    )
    return [Camera.centred(pose, focal, width, height) for pose in poses]


def _axes(up: Float64Array) -> Float64Array:
    """[3, 3] float64 columns: two across `up` from which azimuths count, and `up`; the world's own where that is z."""
    across = np.cross(up, np.cross(np.eye(3)[np.argmin(np.abs(up))], up))
    first = across / np.linalg.norm(across)
    return np.stack([first, np.cross(up, first), up], axis=1)


def _looking_at(centre: Place, distance: float, axes: Float64Array, elevation: float, azimuth: float) -> Float64Array:
    backward = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )  # the camera looks down -z
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    own = np.stack([right, np.cross(backward, right), backward], axis=1)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = axes @ own, centre + distance * axes @ backward
    return pose
