"""What transforms_*.json says of a camera, checked to be what we render: a pinhole without distortion.

This is the one place that knows what is supported. Nothing that a file says of its cameras is passed over: what
contradicts such a pinhole, or itself, is refused, with its key and value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pointrad.camera import Intrinsics
from pointrad.errors import UserError

Angle = Annotated[float, Field(gt=0, lt=math.pi)]
Pixels = Annotated[float, Field(gt=0)]

# Of each axis the first key that is there counts; the others must agree.
_FOCALS_X, _FOCALS_Y = ("camera_angle_x", "fl_x"), ("fl_y", "camera_angle_y")
_DISTORTIONS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "is_fisheye", "rolling_shutter",
                "distortion_params", "equirectangular", *(f"ftheta_p{i}" for i in range(5)))  # fmt: skip
_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV", "PERSPECTIVE")
_TOLERANCE = 0.5  # pixels: what conventions and rounding differ by
_SUPPORTED = "only pinhole cameras without distortion are supported"


Refusal = Callable[[str, object, str], UserError]


class CameraKeys(BaseModel):
    """What a file, or one of its frames, may say of its camera, in nerfstudio's words; null is as good as absent.

    camera_angle_*: opening angles in radians. fl_*, cx, cy, w, h: focal lengths, principal point and size of the
    picture in pixels. k*, p*, distortion_params (nerfstudio), ftheta_p* (instant-ngp): coefficients of distortion,
    which are no distortion where they are 0.
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
    distortion_params: tuple[float, ...] | None = None
    equirectangular: bool | None = None
    ftheta_p0: float | None = None
    ftheta_p1: float | None = None
    ftheta_p2: float | None = None
    ftheta_p3: float | None = None
    ftheta_p4: float | None = None


def intrinsics(of_file: CameraKeys, of_frame: CameraKeys, width: int, height: int, file: str, frame: str) -> Intrinsics:
    """fx, fy, cx, cy of a picture of width x height pixels; a frame's own values go before the file's.

    An axis that nothing is said of has the focal length of the other, and its principal point in the middle. file,
    frame: what errors name. Raises UserError for what contradicts a pinhole without distortion.
    """
    values = {key: getattr(of_file, key) for key in CameraKeys.model_fields}
    own = {key: value for key in CameraKeys.model_fields if (value := getattr(of_frame, key)) is not None}
    for axis in (_FOCALS_X, _FOCALS_Y):
        if any(key in own for key in axis):
            values |= dict.fromkeys(axis)
    values |= own
    said = {key: value for key, value in values.items() if value is not None}

    def refuse(key: str, found: object, expected: str) -> UserError:
        where = f"{file}: {key} of {frame!r}" if key in own else f"{file}: {key}"
        return UserError(f"{where}: found {found}; expected {expected}")

    _check_supported(said, refuse)
    for key, extent in (("w", width), ("h", height)):
        if said.get(key, extent) != extent:
            raise refuse(key, f"{said[key]:g}", f"the picture's {extent} pixels")
    fx = _focal(_FOCALS_X, said, width, refuse)
    fy = _focal(_FOCALS_Y, said, height, refuse)
    known = fx or fy
    if known is None:
        raise UserError(f"{file}: camera_angle_x: missing; expected it, or fl_x, for {frame!r}")
    return fx or known, fy or known, *_principal_point(said, width, height, refuse)


def _check_supported(said: Mapping[str, Any], refuse: Refusal) -> None:
    model = said.get("camera_model")
    if model is not None and model.upper() not in _MODELS:
        raise refuse("camera_model", repr(model), f"one of {', '.join(_MODELS)}: {_SUPPORTED}")
    for key in _DISTORTIONS:
        if np.any(said.get(key, 0)):
            raise refuse(key, said[key], f"0 (undistort the pictures): {_SUPPORTED}")


def _focal(keys: Sequence[str], said: Mapping[str, Any], extent: int, refuse: Refusal) -> float | None:
    """The focal length in pixels of the axis that `keys` speak of, `extent` pixels long; None if none of them does."""
    focals = {key: _in_pixels(key, said[key], extent) for key in keys if key in said}
    if not focals:
        return None
    first, focal = next(iter(focals.items()))
    for key, other in focals.items():
        if abs(other - focal) / focal * extent / 2 > _TOLERANCE:
            found = f"{said[key]:g}" if key.startswith("fl") else f"{said[key]:g} (a focal length of {other:g} pixels)"
            raise refuse(key, found, f"the focal length of {focal:g} pixels that {first} has")
    return focal


def _in_pixels(key: str, value: float, extent: int) -> float:
    return value if key.startswith("fl") else 0.5 * extent / math.tan(0.5 * value)


def _principal_point(said: Mapping[str, Any], width: int, height: int, refuse: Refusal) -> tuple[float, float]:
    """cx, cy with pixel centres at +0.5, as nerfstudio has them; tools that say (size - 1) / 2 have them at +0."""
    centre = width / 2, height / 2
    cx, cy = said.get("cx", centre[0]), said.get("cy", centre[1])
    if (cx, cy) == (centre[0] - 0.5, centre[1] - 0.5):
        return centre
    for key, value, extent in (("cx", cx, width), ("cy", cy, height)):
        if not 0 <= value <= extent:
            raise refuse(key, f"{value:g}", f"a place in the picture's {extent} pixels")
    if max(cx, cy) <= 1 < min(width, height):
        raise refuse("cx", f"{cx:g} (and cy {cy:g})", f"pixels, not a share of the picture's {width}")
    return cx, cy
