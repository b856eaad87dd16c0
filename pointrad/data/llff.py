"""Captures in LLFF's layout: poses_bounds.npy and a folder of photographs, in the order of their sorted names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from pointrad.camera import Float64Array
from pointrad.data.layout import ImagesLayout
from pointrad.data.photo import Lens, Listing, Photo
from pointrad.data.picture_files import view_name
from pointrad.data.poses import check_rigid
from pointrad.data.scene import Split
from pointrad.errors import UserError

_FILE = "poses_bounds.npy"
_COLUMNS = 17  # a 3x5 matrix, near and far


class LlffDatasetConfig(ImagesLayout):
    """Captures of LLFF."""

    name: Literal["llff"]
    usual_images: ClassVar[str] = "images"
    sign_files: ClassVar = (_FILE,)

    def listing(self, scene_name: str, split: Split) -> Listing:
        folder = self.found(scene_name)
        file = folder / _FILE
        rows = _read(file)
        pictures = self.pictures_for(file, len(rows), f"{len(rows)} poses")
        photos = tuple(
            Photo(
                name=view_name(folder, picture),
                path=picture,
                lens=partial(_lens(file, n, row).of_picture, where=f"{file}: row {n}"),
                camera_to_world=_pose(file, n, row),
            )
            for n, (row, picture) in enumerate(zip(rows, pictures, strict=True))
        )
        return Listing((file,), self.held_out(photos, split))


def _read(file: Path) -> Float64Array:
    """[N, 3, 5] float64: the columns down, right, backwards, position and (height, width, focal length)."""
    try:
        values = np.load(file, allow_pickle=False)
    except Exception as error:  # NumPy raises all kinds of errors on a broken file
        raise UserError(f"{file}: cannot be read ({error}); expected an array of NumPy") from None
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.shape[1] != _COLUMNS or not len(values):
        found = list(values.shape) if isinstance(values, np.ndarray) else "several arrays"
        raise UserError(f"{file}: found {found}; expected [N, {_COLUMNS}], a row for each photograph")
    if values.dtype.kind not in "fiu":
        raise UserError(f"{file}: found values of type {values.dtype}; expected numbers")
    return values[:, :15].reshape(-1, 3, 5).astype(np.float64)


def _pose(file: Path, n: int, row: Float64Array) -> Float64Array:
    """[4, 4] float64, camera to world in OpenGL axes."""
    down, right, back, position = row.T[:4]
    pose = np.eye(4)
    pose[:3] = np.stack([right, -down, back, position], axis=1)
    return check_rigid(pose, f"{file}: row {n}")


def _lens(file: Path, n: int, row: Float64Array) -> Lens:
    """Of a picture of the size that the row says, to which its focal length belongs."""
    height, width, focal = row[:, 4]
    if not (np.isfinite(row[:, 4]).all() and min(height, width) >= 1 and focal > 0):
        raise UserError(
            f"{file}: row {n}: found {row[:, 4].tolist()}; expected height, width and focal length in pixels"
        )
    return Lens(round(width), round(height), float(focal), float(focal), float(width) / 2, float(height) / 2)
