"""Masks of photographs: whatever they are called, turned with their photographs, or told by a segmenter."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pointrad.capturing import segmenters
from pointrad.capturing.config import PhotographMasksConfig
from pointrad.capturing.masks import masks_in_folder, source_of_masks, write_masks
from pointrad.capturing.photographs import Photograph, photographs_in, write_upright
from pointrad.errors import UserError
from tests.capturing.making import capturing, write_photographs

UPPER_LEFT = np.zeros((40, 60), np.uint8)
UPPER_LEFT[:20, :20] = 255  # where photographs are red


def config(source: object, *overrides: str) -> PhotographMasksConfig:
    return capturing("photos=any", f"masks.source={source}", *overrides).masks


def written(photos: Path, images: Path) -> tuple[Photograph, ...]:
    return write_upright(photographs_in(photos), images, 95)


def write_mask_files(folder: Path, ending: str = ".png", mask: NDArray[np.uint8] = UPPER_LEFT) -> Path:
    folder.mkdir()
    for number in range(3):
        Image.fromarray(mask).save(folder / f"p{number}{ending}")
    return folder


@pytest.mark.parametrize("ending", [".jpg.png", ".png", "_mask.png"])
def test_masks_of_a_folder_are_found_whatever_they_are_called(ending: str, tmp_path: Path) -> None:
    photographs = written(write_photographs(tmp_path / "photos"), tmp_path / "images")
    masks = write_mask_files(tmp_path / "masks", ending)
    source = masks_in_folder(config(masks), photographs, tmp_path / "photos")
    np.testing.assert_array_equal(source(photographs[1], tmp_path / "images"), UPPER_LEFT)


def test_masks_of_the_sensors_shape_are_turned_with_their_photographs(tmp_path: Path) -> None:
    photographs = written(write_photographs(tmp_path / "photos", orientation=6), tmp_path / "images")
    source = masks_in_folder(config(write_mask_files(tmp_path / "masks")), photographs, tmp_path / "photos")
    red = np.asarray(Image.open(tmp_path / "images" / "p0.jpg"))[..., 0] > 128
    assert ((source(photographs[0], tmp_path / "images") > 0) == red).mean() > 0.98


def test_a_mask_of_another_shape_is_named(tmp_path: Path) -> None:
    photographs = written(write_photographs(tmp_path / "photos"), tmp_path / "images")
    masks = write_mask_files(tmp_path / "masks", mask=np.zeros((40, 40), np.uint8))
    source = masks_in_folder(config(masks), photographs, tmp_path / "photos")
    with pytest.raises(UserError, match=r"p0\.png: found 40x40 pixels; expected the 60x40 of p0\.jpg"):
        source(photographs[0], tmp_path / "images")


def test_black_may_be_the_object(tmp_path: Path) -> None:
    photographs = written(write_photographs(tmp_path / "photos"), tmp_path / "images")
    masks = write_mask_files(tmp_path / "masks", mask=255 - UPPER_LEFT)
    source = masks_in_folder(config(masks, "masks.invert=true"), photographs, tmp_path / "photos")
    np.testing.assert_array_equal(source(photographs[0], tmp_path / "images"), UPPER_LEFT)


def test_masks_are_soft_in_the_capture_and_hard_for_colmap(tmp_path: Path) -> None:
    photograph = Photograph(tmp_path / "p0.jpg", "p0.jpg", 3, 1)
    soft, hard = tmp_path / "soft", tmp_path / "hard"
    row = np.array([[0, 100, 200]], np.uint8)
    assert write_masks(lambda photograph, images: row, [photograph], tmp_path, soft, hard, 0.5) == []
    assert np.asarray(Image.open(soft / "p0.jpg.png")).tolist() == [[0, 100, 200]]
    assert np.asarray(Image.open(hard / "p0.jpg.png")).tolist() == [[0, 0, 255]]


def test_empty_masks_are_told(tmp_path: Path) -> None:
    photograph = Photograph(tmp_path / "p0.jpg", "p0.jpg", 2, 2)
    empty = np.zeros((2, 2), np.uint8)
    told = write_masks(lambda one, images: empty, [photograph], tmp_path, tmp_path / "s", tmp_path / "h", 0.5)
    assert told == ["p0.jpg"]


@pytest.mark.parametrize("box", ["[0.2,0.15,0.8,0.85]", "[32,18,128,102]"])
def test_grabcut_finds_a_disc_from_a_box_in_shares_or_pixels(box: str, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:120, :160]
    disc = np.hypot(rows - 60, columns - 80) < 35
    noise = np.random.default_rng(0).normal(0, 8, (120, 160, 3))
    rgb = np.clip(np.where(disc[..., None], (200, 60, 40), (40, 90, 180)) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(rgb).save(tmp_path / "disc.png")
    source = source_of_masks(config("grabcut", f"masks.box={box}"), seed=0)
    assert source is not None
    found = source(Photograph(tmp_path / "disc.png", "disc.png", 160, 120), tmp_path) > 127
    assert (found & disc).sum() / (found | disc).sum() > 0.95


def test_a_box_outside_the_picture_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40)).save(tmp_path / "p.png")
    source = source_of_masks(config("grabcut", "masks.box=[10,10,90,30]"), seed=0)
    assert source is not None
    with pytest.raises(UserError, match="expected a box in the picture of 60x40 pixels"):
        source(Photograph(tmp_path / "p.png", "p.png", 60, 40), tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "masks.source: not given; expected masks=FOLDER"),
        (["masks.source=grabcut"], "masks: found grabcut without a box; expected box="),
        (["masks.source=grabcut", "masks.box=[0.5,0,0.2,1]"], "expected x0 < x1"),
        (["masks.source=mediapipe"], "masks: found mediapipe without a model; expected masks.model=FILE"),
    ],
)
def test_keys_that_do_not_fit_are_named(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        capturing("photos=any", *overrides)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("source", "idle"),
    [("none", {"box", "model", "invert", "threshold", "grabcut"}), ("some/folder", {"box", "model", "grabcut"})],
)
def test_keys_that_a_source_does_without_are_idle(source: str, idle: set[str]) -> None:
    assert config(source).idle() == dict.fromkeys(idle, f"source={source}")


@pytest.mark.parametrize(
    ("overrides", "command"),
    [
        (["masks.source=rembg"], "pip install 'rembg"),
        (["masks.source=mediapipe", "masks.model=x.tflite"], "pip install mediapipe"),
    ],
)
def test_a_segmenter_that_is_not_installed_is_an_error_with_its_command(
    overrides: list[str], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenters, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=command):
        source_of_masks(capturing("photos=any", *overrides).masks, seed=0)


class TestRembg:
    """By a stand-in for the package."""

    @pytest.fixture(autouse=True)
    def package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def remove(image: Any, session: str, only_mask: bool) -> Any:
            assert (session, only_mask) == ("session of u2net", True)
            return image.getchannel("R")

        stand_in = SimpleNamespace(new_session=lambda name: f"session of {name}", remove=remove)
        monkeypatch.setitem(sys.modules, "rembg", stand_in)  # type: ignore[arg-type]
        monkeypatch.setattr(segmenters, "find_spec", lambda name: True)
        monkeypatch.setenv("U2NET_HOME", str(tmp_path / "models"))
        monkeypatch.setenv("MODEL_CHECKSUM_DISABLED", "1")

    def test_a_missing_model_is_not_downloaded(self) -> None:
        with pytest.raises(UserError, match=r"found no u2net\.onnx in .*models; .*new_session\('u2net'\)"):
            source_of_masks(config("rembg"), seed=0)

    def test_its_mask_is_taken(self, tmp_path: Path) -> None:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "u2net.onnx").touch()
        Image.new("RGB", (4, 3), (70, 0, 0)).save(tmp_path / "p.png")
        source = source_of_masks(config("rembg"), seed=0)
        assert source is not None
        assert (source(Photograph(tmp_path / "p.png", "p.png", 4, 3), tmp_path) == 70).all()
