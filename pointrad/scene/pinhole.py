"""What transforms_*.json says of a camera, checked to be what we render: a centred pinhole with square pixels.

This is the one place that knows what is supported. Nothing that a file says of its cameras is passed over: what
contradicts such a pinhole is refused, with its key and value.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pointrad.errors import UserError

Angle = Annotated[float, Field(gt=0, lt=math.pi)]
Pixels = Annotated[float, Field(gt=0)]

_FOCALS = ("camera_angle_x", "fl_x", "camera_angle_y", "fl_y")  # the first that is there counts, the others must agree
_DISTORTIONS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "is_fisheye", "rolling_shutter")
_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "PERSPECTIVE")
_TOLERANCE = 0.5  # pixels: what conventions and rounding differ by
_SUPPORTED = "expected {}: only pinhole cameras with square pixels and a centred principal point are supported"


class CameraKeys(BaseModel):
    """What a file, or one of its frames, may say of its camera, in nerfstudio's words; null is as good as absent.

    camera_angle_*: opening angles in radians. fl_*, cx, cy, w, h: focal lengths, principal point and size of the
    picture in pixels. k*, p*: coefficients of distortion, which are no distortion where they are 0.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    camera_model: str | None = None
    camera_angle_x: Angle | None = None
    camera_angle_y: Angle | None = None
    fl_x: Pixels | None = None
    fl_y: Pixels | None = None
    cx: float | None = None
    cy: float | None = None
    w: float | None = None
    h: float | None = None
    k1: float | None = None
    k2: float | None = None
    k3: float | None = None
    k4: float | None = None
    k5: float | None = None
    k6: float | None = None
    p1: float | None = None
    p2: float | None = None
    is_fisheye: bool | None = None
    rolling_shutter: tuple[float, ...] | None = None


def focal_length(of_file: CameraKeys, of_frame: CameraKeys, width: int, height: int, file: str, frame: str) -> float:
    """The focal length in pixels of a picture of width x height pixels; a frame's own values go before the file's.

    file, frame: what errors name. Raises UserError for what contradicts a centred pinhole with square pixels.
    """
    values = {key: getattr(of_file, key) for key in CameraKeys.model_fields}
    own = {key: value for key in CameraKeys.model_fields if (value := getattr(of_frame, key)) is not None}
    if any(key in own for key in _FOCALS):
        values |= dict.fromkeys(_FOCALS)
    values |= own
    said = {key: value for key, value in values.items() if value is not None}

    def refuse(key: str, found: object, expected: str) -> UserError:
        where = f"{file}: {key} of {frame!r}" if key in own else f"{file}: {key}"
        return UserError(f"{where}: found {found}; {_SUPPORTED.format(expected)}")

    model = said.get("camera_model")
    if model is not None and model.upper() not in _MODELS:
        raise refuse("camera_model", repr(model), f"one of {', '.join(_MODELS)}")
    for key in _DISTORTIONS:
        if np.any(said.get(key, 0)):
            raise refuse(key, said[key], "0 (undistort the pictures)")
    for key, extent in (("w", width), ("h", height)):
        if said.get(key, extent) != extent:
            raise refuse(key, f"{said[key]:g}", f"the picture's {extent} pixels")
    for key, extent in (("cx", width), ("cy", height)):
        if abs(said.get(key, extent / 2) - extent / 2) > _TOLERANCE:
            raise refuse(key, f"{said[key]:g}", f"{extent / 2:g}, half the picture's {extent} pixels")
    focals = {key: _in_pixels(key, said[key], width, height) for key in _FOCALS if key in said}
    if not focals:
        raise UserError(f"{file}: camera_angle_x: missing; expected it, or fl_x, for {frame!r}")
    first, focal = next(iter(focals.items()))
    for key, other in focals.items():
        if abs(other - focal) / focal * max(width, height) / 2 > _TOLERANCE:
            found = f"{said[key]:g}" if key.startswith("fl") else f"{said[key]:g} (a focal length of {other:g} pixels)"
            raise refuse(key, found, f"the focal length of {focal:g} pixels that {first} has")
    return focal


def _in_pixels(key: str, value: float, width: int, height: int) -> float:
    if key.startswith("fl"):
        return value
    return 0.5 * (width if key == "camera_angle_x" else height) / math.tan(0.5 * value)
