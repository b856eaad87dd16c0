"""What a file may say of its cameras, and what is refused until it is supported."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pointrad.camera import Intrinsics
from pointrad.data.pinhole import CameraKeys, intrinsics
from pointrad.errors import UserError

WIDTH, HEIGHT, FOCAL = 640, 480, 700.0
ANGLE_X, ANGLE_Y = 2 * math.atan(WIDTH / 2 / FOCAL), 2 * math.atan(HEIGHT / 2 / FOCAL)
CENTRED = (FOCAL, FOCAL, 320.0, 240.0)


def read(of_file: dict[str, Any], of_frame: dict[str, Any] | None = None) -> Intrinsics:
    keys = CameraKeys.model_validate(of_file), CameraKeys.model_validate(of_frame or {})
    return intrinsics(*keys, WIDTH, HEIGHT, "transforms_train.json", "./train/r_3")


@pytest.mark.parametrize(
    "said",
    [
        {"camera_angle_x": ANGLE_X},
        {"fl_x": FOCAL},
        {"camera_angle_y": ANGLE_Y},
        {"fl_y": FOCAL},
        {"camera_angle_x": ANGLE_X, "camera_angle_y": ANGLE_Y, "fl_x": FOCAL, "fl_y": FOCAL},
        {"camera_angle_x": ANGLE_X, "cx": 320, "cy": 240, "w": 640, "h": 480.0},
        {"camera_angle_x": ANGLE_X, "cx": 319.5, "cy": 239.5},  # pixel centres at whole numbers
        {"camera_angle_x": round(ANGLE_X, 4), "fl_x": FOCAL},
        {"fl_x": FOCAL, "camera_model": "OPENCV", "k1": 0, "k2": 0.0, "k3": 0, "k4": 0, "p1": 0, "p2": 0},
        {"fl_x": FOCAL, "camera_model": "pinhole", "is_fisheye": False, "rolling_shutter": [0, 0, 0, 0], "k1": None},
        {"fl_x": FOCAL, "aabb_scale": 4, "applied_transform": [[1, 0, 0, 0]]},
    ],
)
def test_a_centred_pinhole_may_be_said_in_many_ways(said: dict[str, Any]) -> None:
    assert read(said) == pytest.approx(CENTRED, rel=1e-3)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"cx": 397.0}, (FOCAL, FOCAL, 397, 240)),
        ({"cx": 319.5, "cy": 240.3}, (FOCAL, FOCAL, 319.5, 240.3)),
        ({"cx": 0, "cy": 480}, (FOCAL, FOCAL, 0, 480)),
        ({"fl_y": 910.0}, (FOCAL, 910, 320, 240)),
        ({"fl_x": FOCAL, "fl_y": 910.0, "camera_angle_y": 2 * math.atan(240 / 910)}, (FOCAL, 910, 320, 240)),
        ({"camera_angle_y": ANGLE_X}, (FOCAL, 525, 320, 240)),
    ],
)
def test_pixels_need_not_be_square_nor_the_principal_point_in_the_middle(
    said: dict[str, Any], expected: tuple[float, ...]
) -> None:
    assert read({"camera_angle_x": ANGLE_X} | said) == pytest.approx(expected)
    assert read({"camera_angle_x": ANGLE_X, "cx": 7, "cy": 9}, {"cx": 320, "cy": 240, "fl_x": FOCAL} | said) == (
        pytest.approx(expected)
    )


CONTRADICTIONS = [
    ({"cx": -3.0}, r"cx: found -3; expected a place in the picture's 640 pixels"),
    ({"cy": 500}, r"cy: found 500; expected a place in the picture's 480 pixels"),
    ({"cx": 0.5, "cy": 0.5}, r"cx: found 0\.5 \(and cy 0\.5\); expected pixels, not a share of the picture's 640"),
    ({"w": 1280}, r"w: found 1280; expected the picture's 640 pixels"),
    ({"h": 640}, r"h: found 640; expected the picture's 480 pixels"),
    *(
        ({key: 0.01}, rf"{key}: found 0\.01; expected 0 \(undistort the pictures\): only pinhole cameras without dist")
        for key in ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
    ),
    ({"k1": -1e-4}, r"k1: found -0\.0001; expected 0"),
    ({"camera_model": "OPENCV_FISHEYE"}, r"camera_model: found 'OPENCV_FISHEYE'; expected one of PINHOLE, SIMPLE_PINH"),
    ({"camera_model": "equirectangular"}, r"camera_model: found 'equirectangular'"),
    ({"is_fisheye": True}, r"is_fisheye: found True; expected 0"),
    ({"rolling_shutter": [0, 0, 0.1, 0]}, r"rolling_shutter: found"),
    ({"distortion_params": [0.1, 0, 0, 0, 0, 0]}, r"distortion_params: found"),
    ({"ftheta_p1": 0.3}, r"ftheta_p1: found 0\.3; expected 0"),
    ({"equirectangular": True}, r"equirectangular: found True; expected 0"),
]


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_what_contradicts_a_pinhole_is_refused_with_key_and_value(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^transforms_train\.json: {message}"):
        read({"camera_angle_x": ANGLE_X} | said)


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_so_it_is_of_a_frame_which_is_named(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message.replace(": found", r" of './train/r_3': found", 1)):
        read({"camera_angle_x": ANGLE_X}, said)


def test_a_frames_own_values_go_before_the_files() -> None:
    assert read({"camera_angle_x": ANGLE_X}, {"fl_x": 900.0}) == (900, 900, 320, 240)
    assert read({"fl_x": FOCAL, "fl_y": 525.0}, {"fl_x": 900.0}) == (900, 525, 320, 240)  # which says nothing of fl_y
    own = {"k1": 0, "cx": 320}
    assert read({"camera_angle_x": ANGLE_X, "k1": 0.1, "cx": 7}, own) == pytest.approx(CENTRED)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"camera_angle_x": ANGLE_X, "fl_x": 350.0}, r"fl_x of .*: found 350; expected the focal length of 700 pixels"),
        (
            {"fl_y": 700.0, "camera_angle_y": ANGLE_X},
            r"camera_angle_y of .*: found 0\.857\S* \(a focal length of 525 pixels\); expected the focal length of 700",
        ),
    ],
)
def test_what_is_said_of_one_axis_must_agree(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read({"camera_angle_x": ANGLE_X}, said)


def test_a_camera_without_a_focal_length_is_refused() -> None:
    with pytest.raises(UserError, match=r"camera_angle_x: missing; expected it, or fl_x, for './train/r_3'"):
        read({"cx": 320})
