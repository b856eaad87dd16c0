"""An inspection finds each planted defect, by its kind and its view, and nothing in sound captures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation

from launcher.inspect_capture import main
from pointrad.bundled import DEMO_FOLDER
from pointrad.inspection.findings import Finding, Severity
from pointrad.inspection.gather import gather
from pointrad.inspection.inspect import examine
from pointrad.schema import Bounds
from tests.captures import blender
from tests.commands import called
from tests.data import captures
from tests.scenes import cube

pytestmark = pytest.mark.integration  # whole captures are inspected

Frames = list[dict[str, Any]]
Alpha = NDArray[np.uint8]
VIEWS = 30
ODD = "train/r_7"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Thirty views of the demo scene to train on, and as many as it has to test on."""
    folder = tmp_path / "mug"
    for split, most in (("train", VIEWS), ("test", 5)):
        values = json.loads((DEMO_FOLDER / f"transforms_{split}.json").read_text())
        values["frames"] = values["frames"][:most]
        for frame in values["frames"]:
            name = f"{frame['file_path'].removeprefix('./').removesuffix('.png')}.png"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(DEMO_FOLDER / name, folder / name)
        (folder / f"transforms_{split}.json").write_text(json.dumps(values))
    return tmp_path


def edit_frames(root: Path, edit: Callable[[Frames], object]) -> None:
    for path in (root / "mug").glob("transforms_*.json"):
        values = json.loads(path.read_text())
        edit(values["frames"])
        path.write_text(json.dumps(values))


def edit_poses(edit: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Callable[[Path], None]:
    def poses(frames: Frames) -> None:
        for frame in frames:
            frame["transform_matrix"] = edit(np.array(frame["transform_matrix"])).tolist()

    return lambda root: edit_frames(root, poses)


def edit_mask(edit: Callable[[Alpha], Alpha], name: str = ODD) -> Callable[[Path], None]:
    def pictures(root: Path) -> None:
        for path in (root / "mug").glob(f"{name}.png"):
            rgba = np.asarray(Image.open(path).convert("RGBA")).copy()
            rgba[..., 3] = edit(rgba[..., 3])
            Image.fromarray(rgba).save(path)

    return pictures


def swap_pictures(root: Path) -> None:
    one, other, aside = (root / "mug" / "train" / name for name in ("r_7.png", "r_20.png", "aside.png"))
    for of, to in ((one, aside), (other, one), (aside, other)):
        of.rename(to)


def give_pose_of_another(frames: Frames) -> None:
    if len(frames) == VIEWS:
        frames[7]["transform_matrix"] = frames[20]["transform_matrix"]


def lengthen(root: Path) -> None:
    for path in (root / "mug").glob("transforms_*.json"):
        values = json.loads(path.read_text())
        values["camera_angle_x"] = 2 * np.arctan(np.tan(values["camera_angle_x"] / 2) / 1.3)
        path.write_text(json.dumps(values))


def inspected(root: Path, bounds: Bounds | None = None) -> tuple[Finding, ...]:
    return examine("mug", gather(blender(root, "mug"), 200), bounds).findings


def faults(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.FAULT]


def test_nothing_is_wrong_with_a_sound_capture(root: Path) -> None:
    assert faults(inspected(root)) == []


@pytest.mark.slow  # the same as of the balls, on another scene
@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (edit_mask(lambda alpha: 255 - alpha), "inverted"),
        (edit_mask(lambda alpha: np.roll(alpha, 20, axis=1)), "shift"),
        (edit_mask(lambda alpha: np.where(binary_dilation(alpha > 127, iterations=12), 255, 0)), "too large"),
        (edit_mask(lambda alpha: np.where(np.arange(200) < 100, alpha, 0)), "too small"),
        (edit_mask(lambda alpha: 0 * alpha), "empty"),
        (lambda root: edit_frames(root, give_pose_of_another), ""),
        (swap_pictures, ""),
    ],
    ids=["inverted", "shifted", "dilated", "half of it", "empty", "a pose of another view", "swapped pictures"],
)
def test_a_view_that_is_wrong_is_named(plant: Callable[[Path], None], kind: str, root: Path) -> None:
    plant(root)
    found = faults(inspected(root))
    assert found
    assert kind in found[0].kind
    assert ODD in {view for finding in found for view in finding.views}
    assert {view for finding in found for view in finding.views} <= {ODD, "train/r_20"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (edit_mask(lambda alpha: 255 - alpha, "*/r_*"), "inverted"),
        (edit_poses(lambda pose: pose @ np.diag([1.0, -1, -1, 1])), "axes"),
        (edit_poses(lambda pose: np.linalg.inv(pose)), "world-to-camera"),
        (lengthen, "focal"),
    ],
    ids=["all masks inverted", "OpenCV's axes", "world-to-camera", "focal length"],
)
def test_what_is_wrong_with_all_views_is_one_fault(plant: Callable[[Path], None], kind: str, root: Path) -> None:
    plant(root)
    found = faults(inspected(root))
    assert len(found) == 1
    assert kind in found[0].kind


def test_a_picture_that_is_missing_is_named_and_the_rest_inspected(root: Path) -> None:
    (root / "mug" / f"{ODD}.png").unlink()
    found = faults(inspected(root))
    assert len(found) == 1
    assert "r_7" in found[0].text


@pytest.mark.parametrize(("bounds", "kind"), [(cube(-0.5, 0.5), "too small"), (cube(-20, 20), "too large")])
def test_bounds_that_do_not_suit_the_object_are_told(bounds: Bounds, kind: str, root: Path) -> None:
    assert [finding.kind for finding in faults(inspected(root, bounds))] == [f"bounds {kind}"]


def test_the_command_writes_a_page_and_says_what_looks_wrong(root: Path, tmp_path: Path) -> None:
    edit_mask(lambda alpha: 255 - alpha)(root)
    folder = tmp_path / "inspection"
    ended = called(main, "inspect_capture.py", f"dataset.root={root / 'mug'}", f"hydra.run.dir={folder}")
    assert ended.code == 0, ended.err
    assert "1 thing looks wrong" in ended.out
    assert f"Page: {folder / 'inspection.html'}" in ended.out
    page = (folder / "inspection.html").read_text()
    assert "r_7" in page
    assert 'src="http' not in page  # whole by itself
    assert json.loads((folder / "inspection.json").read_text())["findings"][0]["views"] == [ODD]


def test_a_folder_without_a_capture_ends_in_one_message(tmp_path: Path) -> None:
    ended = called(main, "inspect_capture.py", f"dataset.root={tmp_path}", f"hydra.run.dir={tmp_path / 'inspection'}")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("Error: dataset.root: found")
    assert not (tmp_path / "inspection").exists()


def test_a_folder_whose_first_layout_fits_no_photograph_is_told_of_another(tmp_path: Path) -> None:
    captures.write_colmap(tmp_path / "cup")
    captures.write_nerfstudio(tmp_path / "cup", w=40, h=40)
    root = f"dataset.root={tmp_path / 'cup'}"
    ended = called(main, "inspect_capture.py", root, f"hydra.run.dir={tmp_path / 'inspection'}")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].endswith("or others of this shape; dataset=colmap would fit the folder as well")
