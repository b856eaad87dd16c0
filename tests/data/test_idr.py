"""Matrices of IDR and NeuS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointrad.camera import Float64Array, to_pixels
from pointrad.data.photo import Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError
from tests.data.captures import HEIGHT, WIDTH, name_of, of, projection, real_capture, views, write_idr


def listing(folder: Path, split: Split = Split.TRAIN) -> Listing:
    return of("idr", folder).listing("tiny", split)


def of_one(skew: float = 0, sign: float = 1) -> Float64Array:
    """The world_mat_1 of a scene whose world is that of the sphere."""
    matrix = projection(views()[1].camera)
    matrix[0] += skew * matrix[1]
    return sign * matrix


@pytest.mark.parametrize("factor", [-2.5, 0.01, 300])
def test_the_scale_of_a_projection_is_arbitrary_and_its_sign(factor: float, tmp_path: Path) -> None:
    expected = listing(write_idr(tmp_path)).photos[0]
    with np.load(tmp_path / "cameras_sphere.npz") as archive:
        scaled = archive["world_mat_1"].copy()
    scaled[:3] *= factor
    found = listing(write_idr(tmp_path, world_mat_1=scaled)).photos[0]
    np.testing.assert_allclose(found.camera_to_world, expected.camera_to_world, rtol=0, atol=1e-9)
    assert found.lens(WIDTH, HEIGHT).fx == pytest.approx(expected.lens(WIDTH, HEIGHT).fx)


def test_a_picture_for_which_the_matrices_are_not_is_refused(tmp_path: Path) -> None:
    photo = listing(write_idr(tmp_path)).photos[0]
    with pytest.raises(
        UserError, match=r"world_mat_1: found a principal point at 16, 12; expected it in the 8x6 pixels of "
    ):
        photo.lens(8, 6)


def test_there_must_be_as_many_matrices_as_photographs(tmp_path: Path) -> None:
    write_idr(tmp_path)
    (tmp_path / "image" / name_of(3)).unlink()
    with pytest.raises(
        UserError,
        match=r"found world_mat_\* of 9 photographs; expected one for each of the 8 photographs \(.*\) in .*/image",
    ):
        listing(tmp_path)


SKEWED = np.diag([1.0, 1, 1, 1])
SKEWED[0, 1] = 0.2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"world_mat_1": np.zeros((4, 4))},
            r"world_mat_1: found a matrix whose 3x3 part has no inverse; expected a cam",
        ),
        (
            {"world_mat_1": np.full((4, 4), np.nan)},
            r"world_mat_1: found a value that is not finite; expected a 4x4 matrix",
        ),
        ({"world_mat_1": np.eye(3)}, r"world_mat_1: found float64 \[3, 3\]; expected a 4x4 matrix of numbers"),
        ({"world_mat_1": np.array("east")}, r"world_mat_1: found <U4 \[\]; expected a 4x4 matrix of numbers"),
        ({"world_mat_1": of_one(skew=0.3)}, r"world_mat_1: found a skew of .* \(of focal lengths .*\); expected 0"),
        (
            {"scale_mat_2": np.eye(4)},
            r"scale_mat_2: found another matrix than scale_mat_0; expected one for all photogr",
        ),
        (
            {"scale_mat_0": np.diag([1.0, 2, 1, 1])},
            r"scale_mat_0, divided by its scale of 1\.25992: found columns that are n",
        ),
        (
            {"scale_mat_0": np.zeros((4, 4))},
            r"scale_mat_0: found a matrix that makes the sphere flat; expected a scale",
        ),
        ({"world_mat_10": np.eye(4)}, r"scale_mat_9: missing; expected a 4x4 matrix"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"cameras_sphere\.npz: {message}"):
        listing(write_idr(tmp_path, **changed))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no archive", b"text"])
def test_a_file_that_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (write_idr(tmp_path) / "cameras_sphere.npz").write_bytes(content)
    with pytest.raises(
        UserError, match=r"cameras_sphere\.npz: cannot be read \(.*\); expected an archive of NumPy arrays"
    ):
        listing(tmp_path)


def test_the_sphere_of_dtu_24_lies_in_all_its_pictures() -> None:
    """Its file has the matrices of view 0, as its README quotes them: pixel centres at whole numbers there."""
    folder = real_capture("dtu_24")
    listed = [of("idr", folder, holdout=8).listing("dtu_24", split) for split in (Split.TEST, Split.TRAIN)]
    assert [len(one.photos) for one in listed] == [7, 42]
    lens = listed[0].photos[0].lens(800, 600)
    assert (lens.fx, lens.fy, lens.cx - 0.5, lens.cy - 0.5) == pytest.approx((1446.2, 1441.6, 411.3, 309.3), abs=0.1)
    for photo in listed[0].photos + listed[1].photos:
        x, y, z = np.diag([1, -1, -1]) @ np.linalg.inv(photo.camera_to_world)[:3, 3]
        at = photo.lens(800, 600)
        u, v = to_pixels(x, y, z, (at.fx, at.fy, at.cx, at.cy))
        assert z > 1
        assert 200 < u < 600
        assert 100 < v < 500
