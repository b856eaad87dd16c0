"""Clouds inside the page: some points of each finished run's, to be turned around wherever the page is opened."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyParseError

from pointrad.artifacts.camera_file import CAMERAS_FILE, read_splits
from pointrad.camera import Float64Array
from pointrad.data.scene import Split
from pointrad.errors import UserError

_MOST_POINTS, _FEWEST_POINTS = 4000, 500  # of a cloud
_BUDGET = 6 * 2**20  # bytes of all of them
_POINT_BYTES = 9
_WITHIN = 0.99  # of the points decide how large a cloud is shown; few lie far away


def pack_clouds(run_dirs: Sequence[Path]) -> dict[Path, str]:
    """What `packed` makes of each run that has a cloud; nothing where they are too many for one page."""
    points = min(_MOST_POINTS, _BUDGET // (_POINT_BYTES * max(1, len(run_dirs))))
    if points < _FEWEST_POINTS:
        return {}
    found = {run_dir: packed(run_dir, points) for run_dir in run_dirs}
    return {run_dir: cloud for run_dir, cloud in found.items() if cloud is not None}


def packed(run_dir: Path, most: int) -> str | None:
    """Of a run's `cloud.ply` as many points as that, evenly chosen; None where it cannot be read.

    Base64 of x, y and z of each as 16-bit little-endian numbers, then of its RGB as bytes. Axes are those of the first
    training camera, x to the right, y up and z towards it; 0 and 65535 are the ends of a cube around the cloud.
    """
    try:
        camera = read_splits(run_dir / CAMERAS_FILE)[Split.TRAIN][0]
        vertices = PlyData.read(str(run_dir / "cloud.ply"))["vertex"].data
        chosen = np.linspace(0, len(vertices) - 1, min(most, len(vertices))).astype(int)
        positions, colours = (_columns(vertices, names, chosen) for names in ("xyz", ("red", "green", "blue")))
    except (OSError, ValueError, KeyError, PlyParseError, UserError):
        return None
    if not len(chosen) or not np.isfinite(positions).all():
        return None
    seen = (positions - np.median(positions, axis=0)) @ camera.camera_to_world[:3, :3]
    reach = np.quantile(np.abs(seen).max(axis=1), _WITHIN) or 1.0
    places = np.rint(65535 * (np.clip(seen / reach, -1, 1) + 1) / 2).astype("<u2")
    return base64.b64encode(places.tobytes() + colours.astype(np.uint8).tobytes()).decode()


def _columns(vertices: NDArray[np.void], names: Sequence[str], chosen: NDArray[np.int_]) -> Float64Array:
    return np.stack([vertices[name][chosen].astype(np.float64) for name in names], axis=1)
