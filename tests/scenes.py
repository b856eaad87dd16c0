"""Small scenes to test on, made from formulas."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from pointrad.camera import Camera, Float64Array
from pointrad.data.scene import Split, View
from pointrad.schema import Bounds

TINY_VIEWS = {"train": 6, "val": 3, "test": 3}
CAMERA_ANGLE_X = 0.69


def cube(low: float, high: float) -> Bounds:
    """The same bounds on every axis."""
    return ((low, high),) * 3


def look_at(position: Float64Array, target: Float64Array | None = None) -> Float64Array:
    """[4, 4] camera-to-world of a camera that looks from `position` at `target` (the origin), z up, OpenGL axes."""
    back = position - (np.zeros(3) if target is None else target)
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, position], axis=1)
    return pose


def ring(count: int, radius: float = 3.0, start: float = 0.0) -> list[Float64Array]:
    """`count` poses around the z axis, of changing elevation, that look at the origin."""
    poses = []
    for n in range(count):
        azimuth, elevation = start + 2 * math.pi * n / count, 0.3 + 0.4 * (n % 3)
        level = math.cos(elevation)
        direction = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
        poses.append(look_at(radius * direction))
    return poses


def camera(pose: Float64Array, width: int = 32, height: int = 24) -> Camera:
    """A camera of the tiny scene's opening angle."""
    return Camera.centred(pose, 0.5 * width / math.tan(0.5 * CAMERA_ANGLE_X), width, height)


def turned_and_sized(n: int, pose: Float64Array) -> Camera:
    """The n-th camera of a scene of pictures of several sizes: landscape, portrait, and landscape of twice the pixels,
    all with the tiny scene's opening angle along their longer side, like photographs of one phone."""
    width, height = ((32, 24), (24, 32), (64, 48))[n % 3]
    focal = 0.5 * max(width, height) / math.tan(0.5 * CAMERA_ANGLE_X)
    return Camera.centred(pose, focal, width, height)


def off_centre(at: Camera) -> Camera:
    """The camera with pixels that are not square and its principal point away from the middle."""
    return replace(at, fy=1.3 * at.fx, cx=0.58 * at.width, cy=0.45 * at.height)


def turned_away(at: Camera) -> Camera:
    """The camera, looking the other way."""
    return replace(at, camera_to_world=at.camera_to_world @ np.diag([-1.0, 1.0, -1.0, 1.0]))


def sphere_view(at: Camera, radius: float = 0.6, name: str = "train/r_0", split: Split = Split.TRAIN) -> View:
    """A sphere about the origin, coloured by its normal, as the camera sees it (one ray per pixel centre)."""
    x = (np.arange(at.width) + 0.5 - at.cx) / at.fx
    y = (np.arange(at.height) + 0.5 - at.cy) / at.fy
    rays = np.stack([*np.meshgrid(x, -y), -np.ones((at.height, at.width))], axis=-1) @ at.camera_to_world[:3, :3].T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ at.position
    inside = along**2 - at.position @ at.position + radius**2
    hit = inside > 0
    normals = (at.position + rays * (-along - np.sqrt(np.maximum(inside, 0)))[..., None]) / radius
    image = np.where(hit[..., None], 0.5 + 0.45 * normals, 0)
    return View(name, split, at, image.astype(np.float32), hit.astype(np.float32))


def sphere_views(
    count: int = 6,
    width: int = 32,
    height: int = 24,
    radius: float = 0.6,
    lens: Callable[[Camera], Camera] | None = None,
) -> tuple[View, ...]:
    """Views of the sphere from a ring of cameras."""
    cameras = [camera(pose, width, height) for pose in ring(count)]
    cameras = [lens(at) for at in cameras] if lens else cameras
    return tuple(sphere_view(at, radius, f"train/r_{n}") for n, at in enumerate(cameras))


def write_rgba(path: Path, view: View) -> None:
    """Write a view as an 8-bit RGBA PNG."""
    rgba = np.concatenate([view.image, view.mask[..., None]], axis=-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(255 * rgba).astype(np.uint8)).save(path)


def write_tiny_scene(
    folder: Path, views: Mapping[str, int] = TINY_VIEWS, width: int = 32, height: int = 24, name: str = "tiny",
    unit: float = 1.0, centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
    lens: Callable[[Camera], Camera] | None = None, camera_of: Callable[[int, Float64Array], Camera] | None = None,
) -> Path:  # fmt: skip
    """Write the sphere as the NeRF-synthetic scene folder/name with this many views per split.

    unit, centre: in the transforms, the world is this many times as large and lies about this point. lens: changes the
    intrinsics of its cameras, all alike. camera_of: makes the n-th camera of a split of its pose.

    Returns `folder`, which is what `dataset.root` expects.
    """
    for offset, (split, count) in enumerate(views.items()):
        frames = []
        for n, pose in enumerate(ring(count, start=0.3 * offset)):
            at = camera_of(n, pose) if camera_of else camera(pose, width, height)
            at = lens(at) if lens else at
            write_rgba(folder / name / split / f"r_{n}.png", sphere_view(at))
            pose[:3, 3] = np.asarray(centre) + unit * pose[:3, 3]
            said = {"fl_x": at.fx, "fl_y": at.fy, "cx": at.cx, "cy": at.cy} if lens or camera_of else {}
            frames.append({"file_path": f"./{split}/r_{n}", "transform_matrix": pose.tolist(), **said})
        transforms = {"camera_angle_x": CAMERA_ANGLE_X, "frames": frames} if not said else {"frames": frames}
        (folder / name / f"transforms_{split}.json").write_text(json.dumps(transforms, indent=1))
    return folder
