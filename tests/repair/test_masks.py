"""Repaired masks as a run leaves them, and as another run takes them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launcher.train import main
from pointrad.data.photo import Lens, distortion
from pointrad.data.undistort import Undistortion
from pointrad.masks.files import read_mask
from pointrad.masks.iou import Mask, iou
from tests.commands import Ended, called
from tests.data.captures import write_nerfstudio
from tests.runs import QUICK
from tests.scenes import write_tiny_scene

SPOILT = "corruption.level=0.12"
EPOCHS = [f"schedule.stages.{stage}.epochs=5" for stage in ("coarse", "half", "grow", "settle")]
VALUES = [word for word in QUICK if not word.startswith(("scene=", "scene.name", "dataset", "artifacts.repaired"))]


def train(root: Path, folder: Path, *words: str) -> Ended:
    """`python train.py` on a capture, quickly, with masks repaired."""
    schedule = () if any(word.startswith("schedule=") for word in words) else ("schedule=gaussians_fast", *EPOCHS)
    few = [*schedule, "dataset=auto", f"dataset.root={root}", "dataset.background=black"]
    done = called(main, "train.py", *few, *VALUES, "artifacts.repaired_masks=true", *words, f"hydra.run.dir={folder}")
    assert done.code == 0, done.err
    return done


def summary(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "summary.json").read_text())
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "masks.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def masks(folder: Path) -> dict[str, Mask]:
    return {path.relative_to(folder).as_posix(): read_mask(path) > 127 for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scene with alpha, and a run on it with wrong masks."""
    root = write_tiny_scene(tmp_path_factory.mktemp("scenes"), {"train": 12, "test": 3}, 96, 72) / "tiny"
    train(root, root.parent / "run", SPOILT)
    return root, root.parent / "run"


@pytest.mark.integration
class TestOfARun:
    def test_wrong_masks_are_put_right(self, spoilt: tuple[Path, Path]) -> None:
        found = summary(spoilt[1])
        assert found["mask_iou"] < 0.8
        assert found["repaired_iou"] > 0.9
        assert found["given_repaired_iou"] == pytest.approx(found["mask_iou"], abs=0.1)

    def test_each_photograph_has_a_mask_of_its_size_named_as_it_is(self, spoilt: tuple[Path, Path]) -> None:
        root, run = spoilt
        expected = {f"{part}/r_{n}.png" for part, count in (("train", 12), ("test", 3)) for n in range(count)}
        found = masks(run / "masks_repaired")
        assert set(found) == expected
        for name, mask in found.items():
            assert mask.shape == np.asarray(Image.open(root / name)).shape[:2]

    def test_masks_that_were_held_out_and_are_right_stay_as_they_are(self, spoilt: tuple[Path, Path]) -> None:
        root, run = spoilt
        for path in (root / "test").glob("r_*.png"):
            assert iou(read_mask(run / "masks_repaired/test" / path.name) > 127, read_mask(path) > 127) > 0.9

    def test_the_table_has_the_training_views_worst_first(self, spoilt: tuple[Path, Path]) -> None:
        found = rows(spoilt[1])
        assert {row["view"] for row in found} == {f"train/r_{n}" for n in range(12)}
        assert [float(row["iou"]) for row in found] == sorted(float(row["iou"]) for row in found)
        assert all(float(row["given_iou"]) < float(row["repaired_iou"]) for row in found[:3])

    def test_the_page_holds_all_that_it_shows(self, spoilt: tuple[Path, Path]) -> None:
        page = (spoilt[1] / "masks.html").read_text()
        assert page.count("data:image/webp") == 12
        assert "http" not in page.replace("http-equiv", "")

    def test_another_run_takes_them_in_place_of_the_old_ones(self, spoilt: tuple[Path, Path]) -> None:
        root, run = spoilt
        done = train(root, run.parent / "again", "masks=folder", f"masks.folder={run}/masks_repaired")
        assert "masks: masks_repaired/NAME.png" in done.err
        assert summary(run.parent / "again")["mask_iou"] == pytest.approx(summary(run)["repaired_iou"], abs=0.02)

    def test_a_finished_run_says_the_same_when_it_is_called_again(self, spoilt: tuple[Path, Path]) -> None:
        root, run = spoilt
        before, said = masks(run / "masks_repaired"), (run / "masks.csv").read_text()
        shutil.rmtree(run / "masks_repaired")
        train(root, run, SPOILT)
        assert (run / "masks.csv").read_text() == said
        assert all(np.array_equal(mask, before[name]) for name, mask in masks(run / "masks_repaired").items())

    def test_points_repair_them_too(self, spoilt: tuple[Path, Path]) -> None:
        root, run = spoilt
        train(root, run.parent / "points", SPOILT, "schedule=demo", "model.splat_radius=0.05")
        assert summary(run.parent / "points")["repaired_iou"] > summary(run.parent / "points")["mask_iou"] + 0.1

    def test_a_run_may_do_without(self, spoilt: tuple[Path, Path]) -> None:
        root, run = spoilt
        train(root, run.parent / "without", SPOILT, "artifacts.repaired_masks=false")
        assert not (run.parent / "without" / "masks.csv").exists()
        assert summary(run.parent / "without")["repaired_iou"] is None


@pytest.mark.integration
class TestOfACapture:
    """Photographs without alpha, and masks in a folder."""

    def test_they_are_named_as_the_given_ones_and_as_black_or_white(self, tmp_path: Path) -> None:
        folder = with_masks(tmp_path, lambda stem: f"sub/{stem}.png.png", inverted=True)
        train(folder, tmp_path / "run", "masks=folder", "masks.folder=m", "masks.invert=true")
        written, given = masks(tmp_path / "run/masks_repaired"), masks(folder / "m")
        assert set(written) == set(given)
        assert np.mean([iou(~mask, ~given[name]) for name, mask in written.items()]) > 0.9

    def test_a_view_whose_mask_is_empty_is_missing_and_gets_one(self, tmp_path: Path) -> None:
        folder = with_masks(tmp_path, lambda stem: f"{stem}.png")
        right = read_mask(folder / "m/r_02.png") > 127
        Image.fromarray(np.zeros(right.shape, np.uint8)).save(folder / "m/r_02.png")
        train(folder, tmp_path / "run", "masks=folder", "masks.folder=m")
        worst = rows(tmp_path / "run")[0]
        assert (worst["view"], worst["kind"], worst["iou"]) == ("images/r_02", "missing", "0")
        assert iou(read_mask(tmp_path / "run/masks_repaired/r_02.png") > 127, right) > 0.7

    def test_through_a_lens_they_are_distorted_as_the_photographs_are(self, tmp_path: Path) -> None:
        folder = write_nerfstudio(tmp_path / "capture", k1=-0.3, camera_model="OPENCV")
        train(folder, tmp_path / "run", SPOILT)
        again = train(folder, tmp_path / "again", "masks=folder", f"masks.folder={tmp_path}/run/masks_repaired",
                      "masks.reference=masks")  # fmt: skip
        assert "masks: masks_repaired/NAME.png" in again.err
        repaired = summary(tmp_path / "run")["repaired_iou"]
        assert repaired > 0.7  # the sphere was photographed through no lens
        assert summary(tmp_path / "again")["mask_iou"] == pytest.approx(repaired, abs=0.05)

    def test_without_masks_there_are_none_to_repair(self, tmp_path: Path) -> None:
        folder = write_nerfstudio(tmp_path / "capture")
        train(folder, tmp_path / "run", "masks=none", "init.source=none")
        assert not (tmp_path / "run/masks_repaired").exists()


def with_masks(tmp_path: Path, name: Callable[[str], str], inverted: bool = False) -> Path:
    """A nerfstudio capture whose masks are in the folder `m`."""
    folder = write_nerfstudio(tmp_path / "capture")
    for path in (folder / "masks").iterdir():
        to = folder / "m" / name(path.stem)
        to.parent.mkdir(parents=True, exist_ok=True)
        mask = np.asarray(Image.open(path))
        Image.fromarray(255 - mask if inverted else mask).save(to)
    shutil.rmtree(folder / "masks")
    return folder


LENSES = {
    "barrel": Lens(320, 240, 260, 255, 170, 110, distortion({"k1": -0.25, "k2": 0.05, "p1": 0.002}, False)),
    "pincushion": Lens(320, 240, 260, 255, 170, 110, distortion({"k1": 0.2}, False)),
    "fisheye": Lens(320, 240, 200, 200, 160, 120, distortion({"k1": 0.02}, True), fisheye=True),
    "photograph of many pixels": Lens(1600, 1200, 1300, 1275, 850, 550, distortion({"k1": -0.25}, False)),
}


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_distortion_is_put_back_to_a_tenth_of_a_pixel(lens: Lens) -> None:
    """Of a slope, which undistorting has made straight."""
    straight = Undistortion.of(lens)
    for place in (straight.across, straight.down):
        back = straight.distorted(place)
        own = np.mgrid[: lens.height, : lens.width][1 if place is straight.across else 0]
        inside = slice(lens.height // 8, -lens.height // 8), slice(lens.width // 8, -lens.width // 8)
        np.testing.assert_allclose(back[inside], own[inside], atol=0.1)


def test_a_mask_of_fewer_pixels_is_put_back_on_the_whole_photograph() -> None:
    lens = LENSES["barrel"]
    straight = Undistortion.of(lens)
    rows, columns = np.mgrid[:240, :320]
    photographed = (((columns - 150) / 80) ** 2 + ((rows - 120) / 60) ** 2 < 1).astype(np.float32)
    seen = straight.pixels(photographed)[::2, ::2]
    assert iou(straight.distorted(np.ascontiguousarray(seen)) >= 0.5, photographed > 0) > 0.97
