"""Clouds as PLY files: coloured points for any viewer, and every parameter for reading back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyParseError

from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.scene.types import Float32Array

_CONSTANT_HARMONIC = 0.28209479  # the value of harmonic 0 in every direction
_POSITION = ("x", "y", "z")
_SEEN = ("red", "green", "blue")
_BASE = ("base_r", "base_g", "base_b")
_HARMONICS = tuple(f"sh_{j}_{channel}" for j in range(9) for channel in "rgb")


class PlyCloud(NamedTuple):
    """positions [N, 3] in world units, base_colours [N, 3] and harmonics [N, 9, 3] RGB coefficients; all float32."""

    positions: Float32Array
    base_colours: Float32Array
    harmonics: Float32Array


def write_ply(path: Path, positions: Float32Array, base_colours: Float32Array, harmonics: Float32Array) -> None:
    """Write a cloud ([N, 3], [N, 3] and [N, 9, 3] float32) as binary little-endian PLY, atomically.

    `red`, `green` and `blue`, which viewers show, are the colour without what depends on the direction of view.
    """
    seen = np.clip(base_colours + _CONSTANT_HARMONIC * harmonics[:, 0], 0, 1)
    vertices = np.empty(
        len(positions),
        dtype=[(name, "<f4") for name in _POSITION]
        + [(name, "u1") for name in _SEEN]
        + [(name, "<f4") for name in _BASE + _HARMONICS],
    )
    _fill(vertices, _POSITION, positions)
    _fill(vertices, _SEEN, np.rint(255 * seen))
    _fill(vertices, _BASE, base_colours)
    _fill(vertices, _HARMONICS, harmonics.reshape(-1, len(_HARMONICS)))
    with replacing(path) as temporary:
        PlyData([PlyElement.describe(vertices, "vertex")], text=False, byte_order="<").write(str(temporary))


def read_ply(path: Path) -> PlyCloud:
    """Read back exactly what `write_ply` wrote; UserError for any other file."""
    try:
        vertices = PlyData.read(str(path), mmap=False)["vertex"].data
        base_colours, harmonics = _columns(vertices, _BASE), _columns(vertices, _HARMONICS)
        return PlyCloud(_columns(vertices, _POSITION), base_colours, harmonics.reshape(-1, 9, 3))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file; expected a PLY file written by pointrad") from None
    except (PlyParseError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable PLY file ({error})") from None
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{path}: not a cloud of pointrad ({error}); expected vertices with x, base_r, sh_0_r, ..."
        ) from None


def _fill(vertices: NDArray[np.void], names: tuple[str, ...], columns: NDArray[np.floating]) -> None:
    for name, column in zip(names, columns.T, strict=True):
        vertices[name] = column


def _columns(vertices: NDArray[np.void], names: tuple[str, ...]) -> Float32Array:
    return np.stack([vertices[name].astype(np.float32) for name in names], axis=1)
