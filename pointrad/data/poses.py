"""Whether poses are what they should be: rigid, camera-to-world, in OpenGL axes, of cameras that look at an object.

Cameras around an object look at a common point. Poses of other conventions do not, in ways that tell which these are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pointrad.camera import Camera, Float64Array
from pointrad.errors import UserError

ONE_SIDE = 180.0  # degrees around an object without a camera: all others are on one side of it
OPENCV_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])  # of a camera's axes: x right, y down, looking along z, in OpenCV
_FEWEST = 4  # cameras: of fewer, axes may meet by chance
_ALIKE = 0.01  # mean square of what horizontal edges have beside their main direction, below which they are alike
_PARALLEL = 1e6  # condition of the equations from which on axes are parallel
_MOST = 0.9  # of the cameras: so many make a rule
_RIGID_TOLERANCE = 1e-3
_MEET, _MISS = 0.1, 0.3  # sine of the angle by which axes miss a point, if they meet there; if they do not


def check_rigid(pose: Float64Array, where: str) -> Float64Array:
    """`pose`, [4, 4], if it is a rotation and a position. where: the file and key that it is from, for the error.

    Raises UserError for anything else.
    """
    rotation = pose[:3, :3]
    if not np.allclose(pose[3], [0, 0, 0, 1], rtol=0, atol=_RIGID_TOLERANCE):
        raise UserError(f"{where}: found the bottom row {pose[3].tolist()}; expected [0, 0, 0, 1]")
    if not np.isfinite(pose).all():
        raise UserError(f"{where}: found a value that is not finite; expected a rotation and a position")
    # A huge entry would overflow in the product; none is orthonormal anyway.
    error = np.abs(rotation.T @ rotation - np.eye(3)).max() if np.abs(rotation).max() < 2 else np.inf
    if error > _RIGID_TOLERANCE or np.linalg.det(rotation) < 0:
        kind = "a mirrored axis" if error <= _RIGID_TOLERANCE else "columns that are not orthonormal"
        raise UserError(f"{where}: found {kind} in its 3x3 part; expected a rotation (within {_RIGID_TOLERANCE:g})")
    return pose


def nearest_to_axes(poses: Float64Array) -> Float64Array | None:
    """[3] the point nearest to all optical axes (least squares) of poses [V, 4, 4]; None if they are all parallel."""
    origins, axes = poses[:, :3, 3], -poses[:, :3, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # projections onto the planes across the axes
    matrix = across.sum(axis=0)
    if np.linalg.cond(matrix) > _PARALLEL:
        return None
    point: Float64Array = np.linalg.solve(matrix, np.einsum("vij,vj->i", across, origins))
    return point


def upward(cameras: Sequence[Camera]) -> Float64Array:
    """[3] float64 unit vector in the world: which way is up, if people hold cameras level.

    It is perpendicular to pictures' horizontal edges, and near their vertical ones where these edges are too much alike
    to tell, as when all cameras look the same way.
    """
    poses = np.stack([camera.camera_to_world[:3, :3] for camera in cameras])
    right, up = poses[:, :, 0], poses[:, :, 1].mean(axis=0)
    values, vectors = np.linalg.eigh(right.T @ right / len(right))  # the smallest first
    across = vectors[:, : 1 if values[1] > _ALIKE else 2]
    axis: Float64Array = across @ (across.T @ up)
    length = np.linalg.norm(axis)
    return axis / length if length > 0 else vectors[:, 0]


def gap_around(cameras: Sequence[Camera], centre: Float64Array) -> float:
    """The largest angle, degrees, about `upward` and around `centre` ([3], world units), without a camera in it."""
    up = upward(cameras)
    across = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    across /= np.linalg.norm(across)
    offsets = np.stack([camera.position for camera in cameras]) - centre
    around = np.sort(np.degrees(np.arctan2(offsets @ np.cross(up, across), offsets @ across)))
    return float(np.diff(around, append=around[0] + 360).max())


def refuse_world_to_camera(cameras: Sequence[Camera]) -> None:
    """Raise UserError for poses whose axes have no point in common, while those of their inverses have one."""
    poses = np.stack([camera.camera_to_world for camera in cameras])
    towards, miss = _look(np.linalg.inv(poses).astype(np.float64))
    if len(cameras) >= _FEWEST and max(towards, 1 - towards) >= _MOST and miss < _MEET and _look(poses)[1] > _MISS:
        raise UserError(
            "transform_matrix: the poses look like world-to-camera: the axes of their inverses have a point in common, "
            "their own have none; expected camera-to-world"
        )


def look_away(cameras: Sequence[Camera]) -> str | None:
    """A sentence, if the cameras look away from the point that their axes have in common: its causes and their cure."""
    towards, _ = _look(np.stack([camera.camera_to_world for camera in cameras]))
    if towards > 1 - _MOST:
        return None
    count = round((1 - towards) * len(cameras))
    return (
        f"{count} of {len(cameras)} cameras look away from the point that their axes have in common; expected "
        "transform_matrix in OpenGL axes (x right, y up, looking along -z); if it is in OpenCV's (y down, looking "
        "along +z, as COLMAP has it), negate its 2nd and 3rd columns"
    )


def _look(poses: Float64Array) -> tuple[float, float]:
    """The share of the cameras that look at the point nearest to all axes, and how far these miss it: the median over
    cameras of the sine of the angle between axis and direction to the point. All of parallel ones look, none misses.
    """
    point = nearest_to_axes(poses)
    if point is None:
        return 1.0, 0.0
    to_point = point - poses[:, :3, 3]
    distances = np.maximum(np.linalg.norm(to_point, axis=1), 1e-12)
    along = -(to_point * poses[:, :3, 2]).sum(axis=1) / distances
    return float((along > 0).mean()), float(np.median(np.sqrt(np.maximum(1 - along**2, 0))))
