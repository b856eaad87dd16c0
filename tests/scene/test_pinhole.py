"""What a file may say of its cameras, and what is refused until it is supported."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pointrad.errors import UserError
from pointrad.scene.pinhole import CameraKeys, focal_length

WIDTH, HEIGHT, FOCAL = 640, 480, 700.0
ANGLE_X, ANGLE_Y = 2 * math.atan(WIDTH / 2 / FOCAL), 2 * math.atan(HEIGHT / 2 / FOCAL)


def focal(of_file: dict[str, Any], of_frame: dict[str, Any] | None = None) -> float:
    keys = CameraKeys.model_validate(of_file), CameraKeys.model_validate(of_frame or {})
    return focal_length(*keys, WIDTH, HEIGHT, "transforms_train.json", "./train/r_3")


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
    assert focal(said) == pytest.approx(FOCAL, rel=1e-3)


CONTRADICTIONS = [
    ({"cx": 397.0}, r"cx: found 397; expected 320, half the picture's 640 pixels: only pinhole cameras"),
    ({"cy": 200}, r"cy: found 200; expected 240, half"),
    ({"fl_y": 910.0}, r"fl_y: found 910; expected the focal length of 700 pixels that camera_angle_x has"),
    ({"fl_x": 350.0}, r"fl_x: found 350; expected the focal length of 700 pixels"),
    ({"camera_angle_y": ANGLE_X}, r"camera_angle_y: found 0\.857\S* \(a focal length of 525 pixels\); expected the"),
    ({"w": 1280}, r"w: found 1280; expected the picture's 640 pixels"),
    ({"h": 640}, r"h: found 640; expected the picture's 480 pixels"),
    *(
        ({key: 0.01}, rf"{key}: found 0\.01; expected 0 \(undistort the pictures\)")
        for key in ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
    ),
    ({"k1": -1e-4}, r"k1: found -0\.0001; expected 0"),
    ({"camera_model": "OPENCV_FISHEYE"}, r"camera_model: found 'OPENCV_FISHEYE'; expected one of PINHOLE, SIMPLE_PINH"),
    ({"camera_model": "equirectangular"}, r"camera_model: found 'equirectangular'"),
    ({"is_fisheye": True}, r"is_fisheye: found True; expected 0"),
    ({"rolling_shutter": [0, 0, 0.1, 0]}, r"rolling_shutter: found"),
]


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_what_contradicts_it_is_refused_with_key_and_value(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^transforms_train\.json: {message}"):
        focal({"camera_angle_x": ANGLE_X} | said)


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS[:2] + CONTRADICTIONS[5:])
def test_so_it_is_of_a_frame_which_is_named(said: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message.replace(": found", r" of './train/r_3': found", 1)):
        focal({"camera_angle_x": ANGLE_X}, said)


def test_a_frames_own_values_go_before_the_files() -> None:
    assert focal({"camera_angle_x": ANGLE_X}, {"fl_x": 900.0}) == 900
    assert focal({"camera_angle_x": ANGLE_X, "k1": 0.1, "cx": 7}, {"k1": 0, "cx": 320}) == pytest.approx(FOCAL)


def test_a_frames_focal_lengths_must_agree_with_each_other() -> None:
    with pytest.raises(UserError, match=r"fl_y of './train/r_3': found 700; expected the focal length of 900 pixels"):
        focal({"camera_angle_x": ANGLE_X}, {"fl_x": 900.0, "fl_y": 700.0})


def test_a_camera_without_a_focal_length_is_refused() -> None:
    with pytest.raises(UserError, match=r"camera_angle_x: missing; expected it, or fl_x, for './train/r_3'"):
        focal({"cx": 320})
