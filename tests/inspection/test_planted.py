"""Each defect that is planted in a capture is found, and nothing else; a capture without any has no fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from tests.inspection import planted
from tests.inspection.planted import COUNT, WIDTH, change, faults, inspected, name_of, paint, turn

pytestmark = pytest.mark.integration  # whole captures are inspected

ALL = tuple(range(COUNT))
OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
Plant = Callable[[Path], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return planted.write(tmp_path / "balls")


def masks(painted: Callable[[np.ndarray], np.ndarray], *views: int) -> Plant:
    def plant(folder: Path) -> None:
        for n in views:
            paint(folder, n, painted)

    return plant


def shifted(mask: np.ndarray) -> np.ndarray:
    """To the right, by a tenth of the width."""
    return np.pad(mask, ((0, 0), (WIDTH // 10, 0)))[:, :WIDTH]


def cropped(mask: np.ndarray) -> np.ndarray:
    """Of the middle of the photograph, four fifths as wide and as high, in as many pixels."""
    rows, columns = ((np.arange(size) - size / 2) * 0.8 + size / 2 for size in mask.shape)
    return mask[np.ix_(rows.astype(int), columns.astype(int))]


def mask_of_another(folder: Path) -> None:
    (folder / "masks" / "p_05.png").write_bytes((folder / "masks" / "p_12.png").read_bytes())


def poses(turned: Callable[[np.ndarray], np.ndarray]) -> Plant:
    return lambda folder: turn(folder, turned)


def frames(edit: Callable[[list[dict[str, Any]]], None]) -> Plant:
    return lambda folder: change(folder, lambda said: edit(said["frames"]))


def swap(found: list[dict[str, Any]]) -> None:
    a, b = found[3], found[10]
    a["transform_matrix"], b["transform_matrix"] = b["transform_matrix"], a["transform_matrix"]


def give_pose_of_another(found: list[dict[str, Any]]) -> None:
    found[5]["transform_matrix"] = found[12]["transform_matrix"]


def turn_away(found: list[dict[str, Any]]) -> None:
    pose = np.array(found[5]["transform_matrix"])
    found[5]["transform_matrix"] = (pose @ np.diag([-1.0, 1.0, -1.0, 1.0])).tolist()


def lens(**factors: float) -> Plant:
    """Keys of the lens, each times a factor."""
    return lambda folder: change(folder, lambda said: said.update({key: said[key] * by for key, by in factors.items()}))


PLANTED: dict[str, tuple[Plant, list[tuple[str, tuple[str, ...]]]]] = {
    "an inverted mask": (masks(np.logical_not, 4), [("inverted mask", (name_of(4),))]),
    "all masks inverted": (masks(np.logical_not, *ALL), [("all masks inverted", ())]),
    "a shifted mask": (masks(shifted, 7), [("shifted mask", (name_of(7),))]),
    "a mirrored mask": (masks(lambda mask: mask[:, ::-1], 4), [("mirrored mask", (name_of(4),))]),
    "all masks mirrored": (masks(lambda mask: mask[:, ::-1], *ALL), [("all masks mirrored", ())]),
    "a mask upside down": (masks(lambda mask: mask[::-1], 4), [("mask upside down", (name_of(4),))]),
    "a mask turned by its EXIF data": (
        masks(lambda mask: mask[::-1, ::-1], 4), [("mask turned by 180 degrees", (name_of(4),))],
    ),
    "a mask of another crop": (masks(cropped, 7), [("scaled mask", (name_of(7),))]),
    "the mask of another view": (mask_of_another, [("mask of another view", (name_of(5),))]),
    "two shifted masks": (masks(shifted, 7, 12), [("shifted mask", (name_of(7), name_of(12)))]),
    "a dilated mask": (masks(lambda mask: binary_dilation(mask, iterations=8), 2), [("mask too large", (name_of(2),))]),
    "half a mask": (
        masks(lambda mask: mask & (np.arange(WIDTH) < WIDTH / 2), 2), [("mask too small", (name_of(2),))],
    ),
    "empty masks": (masks(np.zeros_like, 6, 9), [("empty masks", (name_of(6), name_of(9)))]),
    "a full mask": (masks(np.ones_like, 6), [("full masks", (name_of(6),))]),
    "OpenCV's axes": (poses(lambda pose: pose @ OPENCV), [("OpenCV axes", ())]),
    "world-to-camera": (poses(np.linalg.inv), [("world-to-camera poses", ())]),
    "COLMAP's poses": (
        poses(lambda pose: np.linalg.inv(pose @ OPENCV)), [("world-to-camera poses in OpenCV axes", ())],
    ),
    "two swapped poses": (frames(swap), [("swapped views", (name_of(3), name_of(10)))]),
    "the pose of another view": (frames(give_pose_of_another), [("pose of another view", (name_of(5),))]),
    "a camera that looks away": (frames(turn_away), [("cameras look away", (name_of(5),))]),
    "a focal length 1.3 times too long": (lens(fl_x=1.3, fl_y=1.3), [("focal length", ())]),
    "a focal length 1.3 times too short": (lens(fl_x=1 / 1.3, fl_y=1 / 1.3), [("focal length", ())]),
    "a principal point near the corner": (
        lens(cx=0.2, cy=0.2), [("principal point", tuple(map(name_of, ALL)))],
    ),
    "a mask that is missing": (
        lambda folder: (folder / "masks" / "p_08.png").unlink(), [("missing masks", (name_of(8),))],
    ),
    "a broken picture": (
        lambda folder: (folder / "images" / "p_08.png").write_bytes(b"PNG") and None,
        [("unusable pictures", (name_of(8),))],
    ),
}  # fmt: skip


def test_a_capture_without_a_fault_has_none(folder: Path) -> None:
    found = inspected(folder)
    assert found.findings == ()
    assert found.hull is not None
    assert found.hull.agreement > 0.9


@pytest.mark.parametrize("defect", PLANTED)
def test_a_planted_defect_is_found_and_nothing_else(defect: str, folder: Path) -> None:
    plant, expected = PLANTED[defect]
    plant(folder)
    found = faults(inspected(folder))
    assert [(kind, set(views)) for kind, views in found] == [(kind, set(views)) for kind, views in expected]
