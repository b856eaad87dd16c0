"""What transforms*.json says of a camera, checked to be a lens that we can undistort.

This is the one place that knows what is supported. Nothing that a file says of its cameras is passed over: what
contradicts such a lens, or itself, is refused, with its key and value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pointrad.data.photo import COEFFICIENTS, FISHEYE_COEFFICIENTS, Lens, distortion
from pointrad.errors import UserError

Angle = Annotated[float, Field(gt=0, lt=math.pi)]
Pixels = Annotated[float, Field(gt=0)]
Extent = Annotated[float, Field(ge=1)]

# Of each axis the first key that is there counts; the others must agree.
_FOCALS_X, _FOCALS_Y = ("camera_angle_x", "fl_x"), ("fl_y", "camera_angle_y")
_LISTED = ("k1", "k2", "k3", "k4", "p1", "p2")  # what distortion_params lists
_FISHEYE, _DEFAULT = "OPENCV_FISHEYE", "OPENCV"
# The coefficients that each camera model has. k4 is not OPENCV's: programs differ in what they mean by it there.
_MODELS = {
    "PINHOLE": (),
    "SIMPLE_PINHOLE": (),
    "SIMPLE_RADIAL": ("k1",),
    "RADIAL": ("k1", "k2"),
    _DEFAULT: ("k1", "k2", "p1", "p2", "k3"),
    "FULL_OPENCV": COEFFICIENTS,
    "PERSPECTIVE": ("k1", "k2", "p1", "p2", "k3"),
    _FISHEYE: FISHEYE_COEFFICIENTS,
}
_UNSUPPORTED = ("rolling_shutter", "equirectangular", *(f"ftheta_p{i}" for i in range(5)))
_CURE = "pictures of other lenses must be undistorted first"
_TOLERANCE = 0.5  # pixels: what conventions and rounding differ by


Refusal = Callable[[str, object, str], UserError]


class CameraKeys(BaseModel):
    """What a file, or one of its frames, may say of its camera, in nerfstudio's words; null is as good as absent.

    camera_angle_*: opening angles in radians. fl_*, cx, cy, w, h: focal lengths, principal point and size of the
    picture in pixels. k*, p*, distortion_params (nerfstudio: k1 k2 k3 k4 p1 p2): OpenCV's coefficients of distortion,
    or those of its fisheye where is_fisheye or camera_model says so. ftheta_p* (instant-ngp): those of another fisheye.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    camera_model: str | None = None
    camera_angle_x: Angle | None = None
    camera_angle_y: Angle | None = None
    fl_x: Pixels | None = None
    fl_y: Pixels | None = None
    cx: float | None = None
    cy: float | None = None
    w: Extent | None = None
    h: Extent | None = None
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


def lens(of_file: CameraKeys, of_frame: CameraKeys, width: int, height: int, file: str, frame: str) -> Lens:
    """The optics of a picture of width x height pixels; a frame's own values go before the file's.

    An axis that nothing is said of has the focal length of the other, and its principal point in the middle. Where the
    picture is a smaller or larger copy of one of w x h pixels, so are the optics. file, frame: what errors name. Raises
    UserError for what contradicts a lens that is supported.
    """
    values = {key: getattr(of_file, key) for key in CameraKeys.model_fields}
    own = {key: value for key in CameraKeys.model_fields if (value := getattr(of_frame, key)) is not None}
    for together in (_FOCALS_X, _FOCALS_Y):
        if any(key in own for key in together):
            values |= dict.fromkeys(together)
    if "distortion_params" in own:
        values |= dict.fromkeys(_LISTED)
    elif any(key in own for key in _LISTED):
        values["distortion_params"] = None
    values |= own
    said = {key: value for key, value in values.items() if value is not None}

    def refuse(key: str, found: object, expected: str) -> UserError:
        where = f"{file}: {key} of {frame!r}" if key in own else f"{file}: {key}"
        return UserError(f"{where}: found {found}; expected {expected}")

    model = _model(said, refuse)
    fisheye = model == _FISHEYE
    coefficients = distortion(_coefficients(said, model, refuse), fisheye)
    across, down = _size(said, width, height, refuse)
    fx = _focal(_FOCALS_X, said, across, refuse)
    fy = _focal(_FOCALS_Y, said, down, refuse)
    known = fx or fy
    if known is None:
        raise UserError(f"{file}: camera_angle_x: missing; expected it, or fl_x, for {frame!r}")
    point = _principal_point(said, across, down, refuse)
    found = Lens(across, down, fx or known, fy or known, *point, coefficients, fisheye)
    return found.of_picture(width, height, f"{file}: w and h of {frame!r}")


def _model(said: Mapping[str, Any], refuse: Refusal) -> str:
    """The camera model, one of `_MODELS`."""
    for key in _UNSUPPORTED:
        if np.any(said.get(key, 0)):
            raise refuse(key, said[key], f"0: {_CURE}")
    fisheye = said.get("is_fisheye")
    model: str = said.get("camera_model", _FISHEYE if fisheye else _DEFAULT).upper()
    if model not in _MODELS:
        raise refuse(
            "camera_model", repr(said["camera_model"]), f"one of {', '.join(_MODELS)} (undistort the pictures)"
        )
    if fisheye and model != _FISHEYE:
        raise refuse("is_fisheye", fisheye, f"false of camera_model {model}, or camera_model {_FISHEYE}")
    return model


def _coefficients(said: Mapping[str, Any], model: str, refuse: Refusal) -> dict[str, float]:
    """The coefficients of distortion by name, those that the model has."""
    named = {key: said[key] for key in COEFFICIENTS if key in said}
    listed = said.get("distortion_params", ())
    if np.any(listed):
        values = dict(zip(_LISTED, listed, strict=False))
        if len(listed) != len(_LISTED) or any(values[key] != named.get(key, values[key]) for key in _LISTED):
            raise refuse("distortion_params", listed, f"{' '.join(_LISTED)}, which agree with keys of these names")
        named |= values
    for key, value in named.items():
        if value and key not in _MODELS[model]:
            having = " or ".join(other for other, keys in _MODELS.items() if key in keys)
            place = key if key in said else "distortion_params"
            raise refuse(place, f"{value:g}", f"0 of camera_model {model}; {key} is known of {having}")
    return named


def _size(said: Mapping[str, Any], width: int, height: int, refuse: Refusal) -> tuple[int, int]:
    """The size in pixels that focal lengths and principal point belong to."""
    if "w" in said and "h" in said:
        return round(said["w"]), round(said["h"])
    for key, extent in (("w", width), ("h", height)):
        if said.get(key, extent) != extent:
            raise refuse(key, f"{said[key]:g}", f"the picture's {extent} pixels")
    return width, height


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
