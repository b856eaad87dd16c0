"""Cameras as JSON: those that a run writes, and paths that others plan.

What is written has the layout of nerfstudio's transforms.json, so that other programs read it, and so do we.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from pointrad.camera import Camera
from pointrad.data.pinhole import lens
from pointrad.data.poses import check_rigid
from pointrad.data.scene import Split, View
from pointrad.data.transforms import Row, explained, read_transforms
from pointrad.errors import UserError
from pointrad.files import write_json

CAMERAS_FILE = "cameras.json"
_LIKELY = "frames, as transforms.json has them, or camera_path, as nerfstudio's viewer writes it"


class _Planned(BaseModel):
    """A camera of nerfstudio's camera_path. fov: the opening angle from top to bottom, degrees."""

    camera_to_world: Annotated[list[float], Field(min_length=16, max_length=16)]
    fov: Annotated[float, Field(gt=0, lt=180)]


class _Path(BaseModel):
    """What nerfstudio's viewer writes of a path."""

    camera_path: Annotated[list[_Planned], Field(min_length=1)]
    render_width: Annotated[int, Field(ge=1)]
    render_height: Annotated[int, Field(ge=1)]


class _Frame(BaseModel):
    """A view's camera as a run writes it, in world units: OpenGL axes, pixels."""

    file_path: str
    split: Split
    w: Annotated[int, Field(ge=1)]
    h: Annotated[int, Field(ge=1)]
    fl_x: Annotated[float, Field(gt=0)]
    fl_y: Annotated[float, Field(gt=0)]
    cx: float
    cy: float
    transform_matrix: tuple[Row, Row, Row, Row]

    @classmethod
    def of(cls, view: View) -> _Frame:
        camera = view.camera
        return cls(file_path=view.name, split=view.split, w=camera.width, h=camera.height, fl_x=camera.fx,
                   fl_y=camera.fy, cx=camera.cx, cy=camera.cy,
                   transform_matrix=camera.camera_to_world.tolist())  # fmt: skip

    def camera(self, where: str) -> Camera:
        pose = check_rigid(np.array(self.transform_matrix, np.float64), where)
        return Camera(pose, self.fl_x, self.fl_y, self.cx, self.cy, self.w, self.h)


class _Written(BaseModel):
    """What a run writes."""

    frames: Annotated[list[_Frame], Field(min_length=1)]


def write_cameras(path: Path, views: Iterable[View]) -> None:
    """The cameras of views (world units), each view once, with the split that it belongs to; atomically."""
    by_name = {view.name: view for view in views}
    write_json(
        path,
        {"camera_model": "PINHOLE", "frames": [_Frame.of(view).model_dump(mode="json") for view in by_name.values()]},
    )


def read_cameras(path: Path, usual: Camera) -> list[Camera]:
    """The cameras of a file, in its order. usual: its size is theirs where the file says none.

    Raises UserError for a file that holds none, naming the key, the value and what is expected.
    """
    values = _json(path)
    if "camera_path" in values:
        return _planned(path, values)
    if "frames" not in values:
        raise UserError(f"{path}: found {', '.join(values) or 'nothing'}; expected {_LIKELY}")
    transforms = read_transforms(path)
    cameras = []
    for frame in transforms.frames:
        width, height = frame.w or transforms.w or usual.width, frame.h or transforms.h or usual.height
        optics = lens(transforms, frame, round(width), round(height), str(path), frame.file_path)
        if not optics.is_pinhole:
            raise UserError(f"{path}: found a lens with distortion for {frame.file_path!r}; expected one without")
        pose = check_rigid(
            np.array(frame.transform_matrix, np.float64), f"{path}: transform_matrix of {frame.file_path!r}"
        )
        cameras.append(Camera(pose, optics.fx, optics.fy, optics.cx, optics.cy, optics.width, optics.height))
    return cameras


def read_splits(path: Path) -> dict[str, list[Camera]]:
    """What `write_cameras` wrote, by split. Raises UserError naming the key that is not as it was written."""
    try:
        frames = _Written.model_validate(_json(path)).frames
    except ValidationError as error:
        raise UserError(f"{path}: {explained(error)}") from None
    splits: dict[str, list[Camera]] = {}
    for frame in frames:
        camera = frame.camera(f"{path}: transform_matrix of {frame.file_path!r}")
        splits.setdefault(frame.split, []).append(camera)
    if Split.TRAIN not in splits:
        raise UserError(f"{path}: found no camera of split train; expected those of a run's training views")
    return splits


def _planned(path: Path, values: object) -> list[Camera]:
    try:
        plan = _Path.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {explained(error)}") from None
    cameras = []
    for n, planned in enumerate(plan.camera_path):
        pose = check_rigid(np.array(planned.camera_to_world).reshape(4, 4), f"{path}: camera_path[{n}].camera_to_world")
        focal = 0.5 * plan.render_height / math.tan(0.5 * math.radians(planned.fov))
        cameras.append(Camera.centred(pose, focal, plan.render_width, plan.render_height))
    return cameras


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a JSON file of cameras") from None
    except ValueError as error:
        raise UserError(f"{path}: found malformed JSON ({error}); expected cameras: {_LIKELY}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: found a {type(values).__name__}; expected {_LIKELY}")
    return values
