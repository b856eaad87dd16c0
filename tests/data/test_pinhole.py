"""What a file may say of its cameras, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pointrad.camera import Intrinsics
from pointrad.data.photo import Lens
from pointrad.data.pinhole import CameraKeys, lens
from pointrad.errors import UserError

WIDTH, HEIGHT, FOCAL = 640, 480, 700.0
ANGLE_X, ANGLE_Y = 2 * math.atan(WIDTH / 2 / FOCAL), 2 * math.atan(HEIGHT / 2 / FOCAL)
CENTRED = (FOCAL, FOCAL, 320.0, 240.0)


def read_lens(
    of_file: dict[str, Any], of_frame: dict[str, Any] | None = None, width: int = WIDTH, height: int = HEIGHT
) -> Lens:
    keys = CameraKeys.model_validate(of_file), CameraKeys.model_validate(of_frame or {})
    return lens(*keys, width, height, "transforms_train.json", "./train/r_3")


def read(of_file: dict[str, Any], of_frame: dict[str, Any] | None = None) -> Intrinsics:
    """Of a pinhole."""
    found = read_lens(of_file, of_frame)
    assert found.is_pinhole
    return found.fx, found.fy, found.cx, found.cy


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
    (
        {"w": 640, "h": 640},
        r"w and h.*: found 640x640 pixels; expected the picture's 640x480, or others of this shape$",
    ),
    ({"w": 480, "h": 640}, r"w and h.*: found 480x640 .* this shape; one of them is turned: if .* EXIF orientation "),
    (
        {"camera_model": "PINHOLE", "k1": 0.01},
        r"k1: found 0\.01; expected 0 of camera_model PINHOLE; k1 is known of SIM",
    ),
    ({"camera_model": "SIMPLE_PINHOLE", "p2": 0.01}, r"p2: found 0\.01; expected 0 of camera_model SIMPLE_PINHOLE"),
    ({"camera_model": "RADIAL", "p1": -1e-4}, r"p1: found -0\.0001; expected 0 of camera_model RADIAL"),
    (
        {"k4": 0.01},
        r"k4: found 0\.01; expected 0 of camera_model OPENCV; k4 is known of FULL_OPENCV or OPENCV_FISHEYE$",
    ),
    ({"is_fisheye": True, "p1": 0.01}, r"p1: found 0\.01; expected 0 of camera_model OPENCV_FISHEYE"),
    (
        {"camera_model": "equirectangular"},
        r"camera_model: found 'equirectangular'; expected one of PINHOLE, SIMPLE_PINH",
    ),
    ({"camera_model": "OPENCV", "is_fisheye": True}, r"is_fisheye: found True; expected false of camera_model OPENCV"),
    (
        {"rolling_shutter": [0, 0, 0.1, 0]},
        r"rolling_shutter: found .*; expected 0: pictures of other lenses must be und",
    ),
    ({"distortion_params": [0.1, 0, 0, 0]}, r"distortion_params: found \(0\.1.*; expected k1 k2 k3 k4 p1 p2"),
    (
        {"distortion_params": [0.1, 0, 0, 0, 0, 0], "k1": 0.2},
        r"distortion_params: found .*agree with keys of these nam",
    ),
    (
        {"distortion_params": [0, 0, 0, 0.1, 0, 0]},
        r"distortion_params: found 0\.1; expected 0 of camera_model OPENCV; k4",
    ),
    ({"ftheta_p1": 0.3}, r"ftheta_p1: found 0\.3; expected 0"),
    ({"equirectangular": True}, r"equirectangular: found True; expected 0"),
]


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_what_contradicts_a_lens_that_is_supported_is_refused_with_key_and_value(
    said: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=rf"^transforms_train\.json: {message}"):
        read({"camera_angle_x": ANGLE_X} | said)


@pytest.mark.parametrize(("said", "message"), CONTRADICTIONS)
def test_so_it_is_of_a_frame_which_is_named(said: dict[str, Any], message: str) -> None:
    key, found = message.split(": found", 1)
    with pytest.raises(UserError, match=rf"{key.removesuffix('.*')} of './train/r_3': found{found}"):
        read({"camera_angle_x": ANGLE_X}, said)


def test_a_frames_own_values_go_before_the_files() -> None:
    assert read({"camera_angle_x": ANGLE_X}, {"fl_x": 900.0}) == (900, 900, 320, 240)
    assert read({"fl_x": FOCAL, "fl_y": 525.0}, {"fl_x": 900.0}) == (900, 525, 320, 240)  # which says nothing of fl_y
    own = {"k1": 0, "cx": 320}
    assert read({"camera_angle_x": ANGLE_X, "k1": 0.1, "cx": 7}, own) == pytest.approx(CENTRED)


@pytest.mark.parametrize(
    ("said", "coefficients", "fisheye"),
    [
        ({"k1": 0.1, "k2": -0.2, "p1": 0.01, "p2": -0.02}, (0.1, -0.2, 0.01, -0.02, 0, 0, 0, 0), False),
        ({"camera_model": "OPENCV", "k3": 0.3, "k4": 0}, (0, 0, 0, 0, 0.3, 0, 0, 0), False),
        ({"camera_model": "SIMPLE_RADIAL", "k1": 0.1}, (0.1, 0, 0, 0, 0, 0, 0, 0), False),
        ({"camera_model": "FULL_OPENCV", "k3": 3, "k4": 4, "k5": 5, "k6": 6}, (0, 0, 0, 0, 3, 4, 5, 6), False),
        ({"distortion_params": [1, 2, 3, 0, 5, 6]}, (1, 2, 5, 6, 3, 0, 0, 0), False),
        ({"camera_model": "OPENCV_FISHEYE", "k1": 1, "k2": 2, "k3": 3, "k4": 4}, (1, 2, 3, 4), True),
        ({"is_fisheye": True, "k1": 0.1}, (0.1, 0, 0, 0), True),
        ({"is_fisheye": True}, (0, 0, 0, 0), True),
    ],
)
def test_a_lens_may_distort(said: dict[str, Any], coefficients: tuple[float, ...], fisheye: bool) -> None:
    for found in (read_lens({"fl_x": FOCAL} | said), read_lens({"fl_x": FOCAL}, said)):
        assert (found.fx, found.fy, found.cx, found.cy) == CENTRED
        assert (found.distortion, found.fisheye, found.is_pinhole) == (coefficients, fisheye, False)


def test_a_frames_own_coefficients_go_before_the_files_however_they_are_said() -> None:
    listed, named = {"distortion_params": [0.1, 0, 0, 0, 0, 0]}, {"k1": 0.2}
    assert read_lens({"fl_x": FOCAL} | listed, named).distortion[0] == 0.2
    assert read_lens({"fl_x": FOCAL} | named, listed).distortion[0] == 0.1


@pytest.mark.parametrize(("width", "height"), [(320, 240), (213, 160), (1280, 960)])
def test_a_resized_picture_has_a_resized_lens(width: int, height: int) -> None:
    said = {"w": 640, "h": 480, "fl_x": FOCAL, "cx": 300.0, "cy": 250.0, "k1": 0.1}
    found = read_lens(said, width=width, height=height)
    assert (found.width, found.height) == (width, height)
    assert found.distortion[0] == 0.1  # which acts on slopes
    in_shares = (found.fx / width, found.fy / height, found.cx / width, found.cy / height)
    assert in_shares == pytest.approx((FOCAL / 640, FOCAL / 480, 300 / 640, 250 / 480))


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
