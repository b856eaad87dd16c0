"""Clouds as PLY files: coloured points for any viewer, and splats for viewers of 3D Gaussian Splatting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement, PlyParseError
from torch import Tensor

from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.model.base import Cloud, Model, Vertices
from pointrad.model.gaussians import Gaussians, degree_of

_SEEN = ("red", "green", "blue")


def write_points(path: Path, cloud: Cloud, colours: Tensor) -> None:
    """Write a cloud as coloured points and, besides, every parameter, as its model names it; atomically.

    colours: [3, N] RGB, which viewers show.
    """
    columns = cloud.model.to_vertices(cloud)
    seen = np.rint(255 * colours.clamp(0, 1).cpu().numpy()).astype(np.uint8)
    position = {name: columns[name] for name in "xyz"}
    _write(path, {**position, **dict(zip(_SEEN, seen, strict=True)), **columns})


def write_splats(path: Path, cloud: Cloud) -> None:
    """Write a cloud of Gaussians as 3D Gaussian Splatting does; atomically."""
    _write(path, cloud.model.to_vertices(cloud))


def read_ply(path: Path, model: Model) -> Cloud:
    """Read back a cloud of `model` that was written to `path`; UserError for any other file."""
    return _cloud(path, model, _vertices(path))


def read_splats(path: Path) -> tuple[Cloud, int]:
    """Read a cloud of Gaussians, and the degree of harmonics that the file has; UserError for any other file."""
    vertices = _vertices(path)
    try:
        degree = degree_of(vertices)
    except ValueError as error:
        raise UserError(f"{path}: not a file of 3D Gaussian Splatting: its vertices have {error}") from None
    return _cloud(path, Gaussians(degree, opacity=0.5, most=None), vertices), degree


def _cloud(path: Path, model: Model, vertices: Vertices) -> Cloud:
    try:
        return model.from_vertices(vertices)
    except KeyError as error:
        raise UserError(f"{path}: not a cloud of model={model.name}: its vertices have no {error}") from None
    except ValueError as error:
        raise UserError(f"{path}: not a cloud of this model: its vertices have {error}") from None


def _write(path: Path, columns: Vertices) -> None:
    """As binary little-endian."""
    length = len(next(iter(columns.values())))
    vertices = np.empty(length, [(name, column.dtype.newbyteorder("<")) for name, column in columns.items()])
    for name, column in columns.items():
        vertices[name] = column
    with replacing(path) as temporary:
        PlyData([PlyElement.describe(vertices, "vertex")], text=False, byte_order="<").write(str(temporary))


def _vertices(path: Path) -> Vertices:
    """The columns of a file's vertices."""
    try:
        vertices = PlyData.read(str(path), mmap=False)["vertex"].data
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file; expected a PLY file") from None
    except (PlyParseError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: not a readable PLY file ({error})") from None
    except KeyError:
        raise UserError(f"{path}: a PLY file without vertices; expected the splats of a cloud") from None
    return {name: vertices[name] for name in vertices.dtype.names}
