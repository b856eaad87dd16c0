"""What becomes of a photograph's pixels on the way to a view: undistorted, left out, resized."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrad.data.photo import IgnoreMask, Lens, Photo
from pointrad.data.photographs import Reader
from pointrad.data.scene import Split, View
from pointrad.data.undistort import Undistortion
from pointrad.masks.none import WholePictures
from tests.captures import blender

WIDTH, HEIGHT = 64, 48
LENSES = {
    "radial": Lens(WIDTH, HEIGHT, 60, 62, 33, 23, (-0.2, 0.05)),
    "opencv": Lens(WIDTH, HEIGHT, 60, 60, 32, 24, (0.06, -0.08, 0.003, -0.002)),
    "rational": Lens(WIDTH, HEIGHT, 60, 60, 32, 24, (0.1, 0.01, 0, 0, 0.001, 0.05, 0, 0)),
    "fisheye": Lens(WIDTH, HEIGHT, 40, 40, 32, 24, (0.05, -0.01, 0.002, 0), fisheye=True),
}


def distorted(lens: Lens, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates of slopes x, y (y down), by the formulas of OpenCV's manual."""
    r2 = x * x + y * y
    if lens.fisheye:
        r = np.sqrt(r2)
        angle = np.arctan(r)
        k1, k2, k3, k4 = lens.distortion
        bent = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
        scale = np.where(r > 0, bent / np.maximum(r, 1e-12), 1)
        return lens.fx * scale * x + lens.cx, lens.fy * scale * y + lens.cy
    k1, k2, p1, p2, k3, k4, k5, k6 = (*lens.distortion, *[0.0] * (8 - len(lens.distortion)))
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return lens.fx * bent_x + lens.cx, lens.fy * bent_y + lens.cy


@pytest.mark.parametrize("name", LENSES)
def test_each_pixel_of_the_pinholes_picture_is_where_the_lens_puts_its_ray(name: str) -> None:
    lens = LENSES[name]
    found = Undistortion.of(lens)
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    straight = found.lens
    u, v = distorted(lens, (columns - straight.cx) / straight.fx, (rows - straight.cy) / straight.fy)
    np.testing.assert_allclose(found.across + 0.5, u, atol=2e-3)
    np.testing.assert_allclose(found.down + 0.5, v, atol=2e-3)
    assert straight.is_pinhole


@pytest.mark.parametrize("name", ["radial", "opencv", "rational"])
def test_the_pinhole_sees_nothing_that_the_photograph_does_not(name: str) -> None:
    found = Undistortion.of(LENSES[name])
    assert found.across.min() > -1
    assert found.down.min() > -1
    assert found.across.max() < WIDTH
    assert found.down.max() < HEIGHT


def read(path: Path, lens: Lens, ignore: IgnoreMask | None = None) -> View:
    photo = Photo("photo", path, partial(lambda _, width, height: lens, None), np.eye(4), ignore)
    reader = Reader(blender(path.parent).dataset, WholePictures(), None)
    return reader.views([photo], Split.TRAIN)[0]


def test_a_distorted_photograph_of_stripes_becomes_straight(tmp_path: Path) -> None:
    """A picture that is drawn through the lens, undistorted, is that which the pinhole would have taken."""
    lens = LENSES["opencv"]
    straight = Undistortion.of(lens).lens

    def drawn(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 0.5 + 0.25 * np.sin(6 * x) + 0.25 * np.cos(5 * y)

    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    x, y = (columns - lens.cx) / lens.fx, (rows - lens.cy) / lens.fy
    for _ in range(50):  # the slopes that the lens puts there
        u, v = distorted(lens, x, y)
        x, y = x - (u - columns) / lens.fx, y - (v - rows) / lens.fy
    grey = np.rint(255 * drawn(x, y)).astype(np.uint8)
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "photo.png")
    view = read(tmp_path / "photo.png", lens)
    wanted = drawn((columns - straight.cx) / straight.fx, (rows - straight.cy) / straight.fy)
    assert np.abs(view.image[..., 0] - wanted).max() < 0.02
    assert (view.camera.fx, view.camera.cx) == (straight.fx, straight.cx)


def test_a_black_and_white_mask_stays_one_and_a_soft_one_soft() -> None:
    """Else the edges of masks would be softer, and scores higher, where a lens distorts."""
    lens = Undistortion.of(LENSES["opencv"])
    disc = np.hypot(*np.ogrid[-24:24, -32:32]) < 15
    hard = np.where(disc, 255, 0).astype(np.uint8)
    soft = np.where(disc, 254, 1).astype(np.uint8)
    assert set(np.unique(lens.mask(hard))) == {0, 255}
    assert len(np.unique(lens.mask(soft))) > 2
    assert np.array_equal(lens.mask(hard) > 127, lens.mask(soft) > 127)


@pytest.mark.parametrize("ignores_black", [True, False])
def test_pixels_to_ignore_have_no_weight_and_are_no_mask(ignores_black: bool, tmp_path: Path) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 200, np.uint8)).save(tmp_path / "photo.png")
    ignored = np.zeros((HEIGHT, WIDTH), bool)
    ignored[:, 50:] = True
    Image.fromarray(np.where(ignored != ignores_black, 255, 0).astype(np.uint8)).save(tmp_path / "ignore.png")
    lens = Lens(WIDTH, HEIGHT, 60, 60, 32, 24)
    view = read(tmp_path / "photo.png", lens, IgnoreMask(tmp_path / "ignore.png", ignores_black))
    assert view.weight is not None
    assert np.array_equal(view.weight, np.where(ignored, 0, 1))
    assert (view.mask == 1).all()
