"""Clouds as PLY files: coloured points for any viewer, and every parameter for reading back exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from plyfile import PlyData, PlyElement, PlyParseError

from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.model.base import Cloud, Model


def write_ply(path: Path, cloud: Cloud) -> None:
    """Write a cloud as binary little-endian PLY, atomically; the columns are its model's."""
    columns = cloud.model.to_vertices(cloud)
    vertices = np.empty(len(cloud), [(name, column.dtype.newbyteorder("<")) for name, column in columns.items()])
    for name, column in columns.items():
        vertices[name] = column
    with replacing(path) as temporary:
        PlyData([PlyElement.describe(vertices, "vertex")], text=False, byte_order="<").write(str(temporary))


def read_ply(path: Path, model: Model) -> Cloud:
    """Read back exactly what `write_ply` wrote of a cloud of `model`; UserError for any other file."""
    try:
        vertices = PlyData.read(str(path), mmap=False)["vertex"].data
        return model.from_vertices({name: vertices[name] for name in vertices.dtype.names})
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such file; expected a PLY file written by pointrad") from None
    except (PlyParseError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable PLY file ({error})") from None
    except KeyError as error:
        missing = f"vertices have no {error}"
        raise UserError(f"{path}: not a cloud of model={model.name} ({missing})") from None
