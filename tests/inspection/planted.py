"""A small capture without a fault, in nerfstudio's layout, and what may be planted in it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pointrad.camera import Camera, Float64Array
from pointrad.data.auto import AutoDatasetConfig
from pointrad.data.capture import Capture
from pointrad.data.scene import View
from pointrad.inspection.findings import Severity
from pointrad.inspection.gather import gather
from pointrad.inspection.inspect import examine
from pointrad.inspection.page import Inspection
from pointrad.masks.auto import AutoMasksConfig
from pointrad.schema import Bounds
from tests.scenes import look_at, sphere_view

COUNT, WIDTH, HEIGHT = 18, 128, 96
_BALLS = (((0.0, 0.0, 0.0), 0.42), ((0.55, 0.1, 0.25), 0.24), ((-0.25, -0.5, -0.2), 0.2), ((0.1, 0.35, 0.45), 0.16))


def cameras() -> list[Camera]:
    """Around the object at several heights, none opposite another: no two see the same silhouette."""
    found = []
    for n in range(COUNT):
        azimuth, elevation = 2.4 * n, 0.2 + 0.25 * (n % 4)
        level = math.cos(elevation)
        position = 2.2 * np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
        found.append(Camera.centred(look_at(position), 0.9 * WIDTH, WIDTH, HEIGHT))
    return found


def view(at: Camera) -> View:
    """Four balls, coloured by their normals, where the last one hides the others."""
    seen = None
    for centre, radius in _BALLS:
        pose = at.camera_to_world.copy()
        pose[:3, 3] -= centre
        ball = sphere_view(replace(at, camera_to_world=pose), radius)
        if seen is not None:
            image = np.where(ball.mask[..., None] > 0, ball.image, seen.image)
            ball = replace(ball, image=image, mask=np.maximum(ball.mask, seen.mask))
        seen = ball
    assert seen is not None
    return seen


def name_of(n: int) -> str:
    return f"images/p_{n:02}"


def write(folder: Path) -> Path:
    """The capture, `folder`; photographs on grey, masks in files of their own."""
    frames: list[dict[str, Any]] = []
    for n, at in enumerate(cameras()):
        seen = view(at)
        on_grey = np.where(seen.mask[..., None] > 0, seen.image, 0.5)
        for part, pixels in (("images", on_grey), ("masks", seen.mask)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.rint(255 * pixels).astype(np.uint8)).save(folder / part / f"p_{n:02}.png")
        frames.append({"file_path": f"{name_of(n)}.png", "transform_matrix": at.camera_to_world.tolist()})
    lens = {"fl_x": at.fx, "fl_y": at.fy, "cx": at.cx, "cy": at.cy, "w": at.width, "h": at.height}
    (folder / "transforms.json").write_text(json.dumps(lens | {"frames": frames}), encoding="utf-8")
    return folder


def change(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """What the file of poses says."""
    file = folder / "transforms.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    edit(said)
    file.write_text(json.dumps(said), encoding="utf-8")


def turn(folder: Path, turned: Callable[[Float64Array], Float64Array]) -> None:
    """All poses, by a function of [4, 4]."""

    def edit(said: dict[str, Any]) -> None:
        for frame in said["frames"]:
            frame["transform_matrix"] = turned(np.array(frame["transform_matrix"])).tolist()

    change(folder, edit)


def paint(folder: Path, n: int, painted: Callable[[np.ndarray], np.ndarray]) -> None:
    """The mask of the n-th photograph, by a function of [H, W] bool."""
    path = folder / "masks" / f"p_{n:02}.png"
    mask = np.asarray(Image.open(path)) > 0
    Image.fromarray(np.where(painted(mask), np.uint8(255), np.uint8(0))).save(path)


def capture(folder: Path) -> Capture:
    dataset = AutoDatasetConfig(
        name="auto", frames=None, root=folder, downscale=1, max_size=None, background="black", holdout=8
    )
    return Capture(dataset, AutoMasksConfig(name="auto", invert=False, threshold=None, reference=None), folder.name)


def inspected(folder: Path, bounds: Bounds | None = None) -> Inspection:
    return examine(folder.name, gather(capture(folder), max_size=WIDTH), bounds)


def faults(inspection: Inspection) -> list[tuple[str, tuple[str, ...]]]:
    """Kind and views of each."""
    return [(found.kind, found.views) for found in inspection.findings if found.severity is Severity.FAULT]
