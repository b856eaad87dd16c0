"""`python corruptions.py`, as a person calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from launcher.corruptions import main
from tests.commands import Ended, called
from tests.runs import REPOSITORY
from tests.scenes import write_tiny_scene

pytestmark = pytest.mark.integration

MISSED, FALSE = (213, 94, 0), (0, 114, 178)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scene(tmp_path_factory.mktemp("scenes"))


def command(folder: Path, *arguments: str) -> list[str]:
    return ["corruptions.py", f"hydra.run.dir={folder}", f"picture={folder}/sheet.png", *arguments]


def corruptions(folder: Path, *arguments: str) -> Ended:
    return called(main, *command(folder, *arguments))


def tiny(root: Path) -> tuple[str, ...]:
    return ("dataset=blender", f"dataset.root={root}", "dataset.downscale=1", "scene.name=tiny")


def table(out: str) -> list[tuple[str, float, float]]:
    """The lines `model level IoU`."""
    words = (line.split() for line in out.splitlines() if not line.startswith("Picture"))
    return [(name, float(level), float(iou)) for name, level, iou in words]


def nearly(picture: Path, colour: tuple[int, int, int]) -> int:
    """Pixels of about this colour, somewhat paler or darker."""
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(float)
    return int((np.abs(pixels - colour).max(axis=-1) < 70).sum())


def test_the_demo_scenes_sheet_shows_what_is_missed_and_what_is_false(tmp_path: Path) -> None:
    models = [f"~models.{name}" for name in ("affine", "morphology", "boundary", "dropout", "mixed", "some_views")]
    words = command(tmp_path, "levels=[0.3]", *models)
    done = subprocess.run([sys.executable, *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"Picture: {tmp_path}/sheet.png\n")
    assert [(name, level) for name, level, _ in table(done.stdout)] == [("holes", 0.3), ("spurious", 0.3)]
    assert nearly(tmp_path / "sheet.png", MISSED) > 1000
    assert nearly(tmp_path / "sheet.png", FALSE) > 1000


def test_every_model_has_a_line_for_each_level(root: Path, tmp_path: Path) -> None:
    done = corruptions(tmp_path, *tiny(root), "levels=[0,0.5]", "view=5")
    found = table(done.out)
    assert len(found) == 2 * 8
    assert all((iou == 1) == (level == 0) for _, level, iou in found)


def test_matched_levels_have_the_iou_asked_for(root: Path, tmp_path: Path) -> None:
    done = corruptions(tmp_path, *tiny(root), "matched_iou=0.7", "models.spurious.coverage=0.1")
    found = {name: iou for name, _, iou in table(done.out)}
    for name in ("dropout", "some_views"):
        assert found.pop(name) == pytest.approx(0.7, abs=0.15)  # in steps, of one in six views
    assert found == {name: pytest.approx(0.7, abs=0.02) for name in found}  # to a pixel of small views
    assert len(found) == 5
    assert "spurious: no level has a mean IoU of 0.7; level 1 has 0.9" in done.err
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("view=6", "Error: view: found 6; expected less than 6, the number of training views"),
        ("levels=[0.1,2]", "Error: levels.1: found 2; input should be less than or equal to 1"),
        ("matched_iou=-1", "Error: matched_iou: found -1; input should be greater than or equal to 0"),
        ("models.holes.size=0", "Error: models.holes.size: found 0; input should be greater than 0"),
    ],
)
def test_a_bad_value_is_named_with_what_is_valid(root: Path, tmp_path: Path, override: str, message: str) -> None:
    done = corruptions(tmp_path, *tiny(root), override)
    assert done.code == 1
    assert done.err.strip() == message
