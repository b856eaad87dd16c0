"""Captures in the layout of IDR and NeuS (DTU, BlendedMVS): matrices of projections, and photographs in the order of
their sorted names.

world_mat projects the world to pixels, scale_mat takes the unit sphere, which contains the object, to the world. Here
the world is that of the sphere, so that every object has the same size.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from pointrad.camera import Float64Array, Intrinsics
from pointrad.data.layout import ImagesLayout
from pointrad.data.photo import Lens, Listing, Photo
from pointrad.data.picture_files import view_name
from pointrad.data.poses import OPENCV_TO_OPENGL, check_rigid
from pointrad.data.scene import Split
from pointrad.errors import UserError

_SAME = 1e-3  # of the scale: how far scale_mat may differ from one photograph to another
_SKEWED = 0.5  # pixels: how far from rectangular the grid of pixels may be at the corners
_CENTRE = 0.5  # there, pixel centres are at whole numbers


class IdrDatasetConfig(ImagesLayout):
    """Captures of IDR and NeuS."""

    name: Literal["idr"]
    usual_images: ClassVar[str] = "image"
    sign_files: ClassVar = ("cameras_sphere.npz", "cameras.npz")  # of both, the first is read

    def listing(self, scene_name: str, split: Split) -> Listing:
        folder = self.found(scene_name)
        file = next(folder / name for name in self.sign_files if (folder / name).is_file())
        projections = _projections(file)
        found = f"world_mat_* of {len(projections)} photographs"
        pictures = self.pictures_for(file, len(projections), found)
        photos = tuple(
            _photo(folder, picture, projection, f"{file}: world_mat_{n}")
            for n, (picture, projection) in enumerate(zip(pictures, projections, strict=True))
        )
        return Listing((file,), self.held_out(photos, split))


def _projections(file: Path) -> list[Float64Array]:
    """[3, 4] float64 of each photograph, from the unit sphere to pixels up to scale, their centres at whole numbers."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            matrices = {key: archive[key] for key in archive.files if key.startswith(("world_mat_", "scale_mat_"))}
    except Exception as error:  # NumPy raises all kinds of errors on a broken file
        raise UserError(f"{file}: cannot be read ({error}); expected an archive of NumPy arrays") from None
    count = sum(key.startswith("world_mat_") and key.removeprefix("world_mat_").isdigit() for key in matrices)
    scales = [_matrix(file, matrices, f"scale_mat_{n}") for n in range(count)]
    for n, scale in enumerate(scales):
        _check_scale(f"{file}: scale_mat_{n}", scale, scales[0])
    return [(_matrix(file, matrices, f"world_mat_{n}") @ scale)[:3] for n, scale in enumerate(scales)]


def _matrix(file: Path, matrices: Mapping[str, np.ndarray], key: str) -> Float64Array:
    """[4, 4] float64."""
    if key not in matrices:
        raise UserError(f"{file}: {key}: missing; expected a 4x4 matrix")
    matrix = matrices[key]
    if matrix.shape != (4, 4) or matrix.dtype.kind not in "fiu":
        raise UserError(f"{file}: {key}: found {matrix.dtype} {list(matrix.shape)}; expected a 4x4 matrix of numbers")
    if not np.isfinite(matrix).all():
        raise UserError(f"{file}: {key}: found a value that is not finite; expected a 4x4 matrix of numbers")
    return matrix.astype(np.float64)


def _check_scale(where: str, scale: Float64Array, first: Float64Array) -> None:
    """Check that the world is a sphere's, turned, scaled and moved, and the same for all photographs."""
    size = abs(np.linalg.det(scale[:3, :3])) ** (1 / 3)
    if not size:
        raise UserError(f"{where}: found a matrix that makes the sphere flat; expected a scale and a position")
    check_rigid(np.vstack([scale[:3] / size, scale[3:]]), f"{where}, divided by its scale of {size:g}")
    if np.abs(scale - first).max() > _SAME * size:
        raise UserError(f"{where}: found another matrix than scale_mat_0; expected one for all photographs")


def _photo(folder: Path, picture: Path, projection: Float64Array, where: str) -> Photo:
    intrinsics, pose = _decomposed(projection, where)
    return Photo(view_name(folder, picture), picture, partial(_lens, intrinsics, picture, where), pose)


def _decomposed(projection: Float64Array, where: str) -> tuple[Intrinsics, Float64Array]:
    """fx, fy, cx, cy, pixel centres at + 0.5, and [4, 4] camera to world in OpenGL axes, of a projection [3, 4]."""
    if not abs(np.linalg.det(projection[:, :3])):
        raise UserError(f"{where}: found a matrix whose 3x3 part has no inverse; expected a camera's projection")
    projection = projection * np.sign(np.linalg.det(projection[:, :3]))  # of scale, also the sign is arbitrary
    from scipy.linalg import rq  # not above: slow to import, and no other layout needs it

    matrix, rotation = rq(projection[:, :3])
    signs = np.sign(np.diag(matrix))
    matrix, rotation = matrix * signs / abs(matrix[2, 2]), signs[:, None] * rotation
    (fx, skew, cx), (_, fy, cy), _ = matrix.tolist()
    if abs(skew * cy / fy) > _SKEWED:
        raise UserError(f"{where}: found a skew of {skew:g} (of focal lengths {fx:g}, {fy:g}); expected 0")
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.T, -np.linalg.solve(projection[:, :3], projection[:, 3])
    return (fx, fy, cx + _CENTRE, cy + _CENTRE), check_rigid(pose @ OPENCV_TO_OPENGL, where)


def _lens(intrinsics: Intrinsics, picture: Path, where: str, width: int, height: int) -> Lens:
    """Nothing in the file says how large pictures are, but a lens looks at its picture."""
    _, _, cx, cy = intrinsics
    if not (0 <= cx <= width and 0 <= cy <= height):
        raise UserError(
            f"{where}: found a principal point at {cx:g}, {cy:g}; expected it in the {width}x{height} pixels of "
            f"{picture}, which may have been resized or cut"
        )
    return Lens(width, height, *intrinsics)
