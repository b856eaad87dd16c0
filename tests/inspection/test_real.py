"""Real captures: nothing is wrong with them but what is known to be, and what is planted in one of them is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrad.data.capture import Capture
from pointrad.inspection.gather import gather
from pointrad.inspection.inspect import examine
from pointrad.masks.folder import FolderMasksConfig
from tests.captures import blender, demo
from tests.data.captures import real_capture
from tests.inspection import planted
from tests.inspection.planted import faults

pytestmark = pytest.mark.slow


def found(capture: Capture) -> list[tuple[str, tuple[str, ...]]]:
    return faults(examine(capture.name, gather(capture, 320), None))


def test_the_mask_that_cuts_out_the_mouth_of_a_tankard_is_all_that_is_wrong() -> None:
    assert found(planted.capture(real_capture("mary_rose"))) == [("mask too small", ("images/IMG_9733",))]


def test_nothing_is_wrong_with_a_building_that_leaves_every_picture_seen_from_one_side() -> None:
    assert found(planted.capture(real_capture("dtu_24"))) == []


@pytest.mark.parametrize("name", ["hotdog", "lego"])
def test_nothing_is_wrong_with_synthetic_scenes(name: str, real_data_root: Path) -> None:
    assert found(blender(real_data_root, name)) == []


def test_nothing_is_wrong_with_the_demo_scene() -> None:
    assert found(demo()) == []


def test_of_a_casual_capture_masks_that_show_something_else_or_nothing_are_named() -> None:
    masks = FolderMasksConfig(name="folder", folder="masks_segmenter", invert=False, threshold=None, reference=None)
    capture = Capture(planted.capture(real_capture("fox")).dataset, masks, "fox")
    views = {name.removeprefix("images/") for _, names in found(capture) for name in names}
    known = {"0046", "0072", "0073", "0074", "0078", "0084", "0089", "0052", "0054", "0076", "0077", "0081",
             "0085", "0090", "0094"}  # fmt: skip
    lacking = {"0097", "0103", "0105", "0107", "0108", "0110"}  # a part of the fox or of its shield, as one sees
    assert views == known | lacking


def test_a_moving_figure_is_said_to_move() -> None:
    inspection = examine("mutant", gather(planted.capture(real_capture("mutant")), 320), None)
    assert [kind for kind, _ in faults(inspection)] == ["masks and cameras do not fit"]
    assert any("frames have times" in finding.text for finding in inspection.findings)


@pytest.mark.parametrize("plant", ["inverted mask", "shifted mask", "swapped views", "missing pictures"])
def test_a_defect_planted_in_a_real_capture_is_found(plant: str, tmp_path: Path) -> None:
    folder = tmp_path / "tankard"
    shutil.copytree(real_capture("mary_rose"), folder, ignore=shutil.ignore_patterns("masks_*", "*.npy"))
    one, other = (folder / "masks" / f"IMG_{number}.jpg.png" for number in (9672, 9690))
    mask = np.asarray(Image.open(one).convert("L"))
    match plant:
        case "inverted mask":
            Image.fromarray(255 - mask).save(one)
        case "shifted mask":
            Image.fromarray(np.pad(mask, ((0, 0), (102, 0)))[:, : mask.shape[1]]).save(one)
        case "swapped views":
            aside = one.read_bytes()
            one.write_bytes(other.read_bytes())
            other.write_bytes(aside)
        case "missing pictures":
            (folder / "images" / "IMG_9672.jpg").unlink()
    kinds = [kind for kind, names in found(planted.capture(folder)) if names != ("images/IMG_9733",)]
    assert kinds == [plant]
