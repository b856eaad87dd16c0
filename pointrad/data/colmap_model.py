"""The files of a COLMAP model that say which cameras and images it has, binary or text.

https://colmap.github.io/format.html says what is in them. Poses there are world to camera, in OpenCV's axes (x right,
y down, looking along z); pixel centres are at + 0.5.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pointrad.camera import Float64Array
from pointrad.data.photo import Lens, distortion
from pointrad.data.poses import OPENCV_TO_OPENGL, check_rigid
from pointrad.errors import UserError

# What the parameters of each camera model are.
_PARAMETERS = {
    "SIMPLE_PINHOLE": "f cx cy",
    "PINHOLE": "fx fy cx cy",
    "SIMPLE_RADIAL": "f cx cy k1",
    "RADIAL": "f cx cy k1 k2",
    "OPENCV": "fx fy cx cy k1 k2 p1 p2",
    "FULL_OPENCV": "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6",
    "OPENCV_FISHEYE": "fx fy cx cy k1 k2 k3 k4",
    "SIMPLE_FISHEYE": "f cx cy",
    "FISHEYE": "fx fy cx cy",
    "SIMPLE_RADIAL_FISHEYE": "f cx cy k1",
    "RADIAL_FISHEYE": "f cx cy k1 k2",
}
# All camera models, by the numbers that binary files have for them: 0, 1, 2, ...
_NUMBERED = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE", "FULL_OPENCV", "FOV",
             "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "THIN_PRISM_FISHEYE", "RAD_TAN_THIN_PRISM_FISHEYE",
             "SIMPLE_DIVISION", "DIVISION", "SIMPLE_FISHEYE", "FISHEYE", "EUCM", "EQUIRECTANGULAR")  # fmt: skip
_LONGEST_SHOWN = 80  # characters of a line that errors quote
_UNIT = 0.01  # how far a quaternion's norm may be from 1


@dataclass(frozen=True)
class Registered:
    """A photograph that COLMAP has found the pose of. name: its path below the folder of photographs."""

    name: str
    lens: Lens
    camera_to_world: Float64Array


class _Camera(NamedTuple):
    number: int
    model: str
    width: int
    height: int
    parameters: Sequence[float]


class _Image(NamedTuple):
    name: str
    camera: int
    quaternion: Sequence[float]
    translation: Sequence[float]


class ModelFiles(NamedTuple):
    """The files that say of a model which cameras and which photographs it has."""

    cameras: Path
    images: Path


def model_files(folder: Path) -> ModelFiles | None:
    """Those of the model in a folder, binary ones before text; None if it holds no model."""
    pairs = (ModelFiles(folder / f"cameras{suffix}", folder / f"images{suffix}") for suffix in (".bin", ".txt"))
    return next((pair for pair in pairs if all(file.is_file() for file in pair)), None)


def read_model(files: ModelFiles) -> tuple[Registered, ...]:
    """The photographs of a model, in its files' order.

    Raises UserError for a file that is cut short or holds what it should not, and for a camera model that we cannot
    undistort, by name.
    """
    binary = files.cameras.suffix == ".bin"
    cameras = (_binary_cameras if binary else _text_cameras)(files.cameras)
    lenses = {said.number: _lens(files.cameras, said) for said in cameras}
    images = (_binary_images if binary else _text_images)(files.images)
    return tuple(_registered(files.images, image, lenses) for image in images)


def _lens(file: Path, said: _Camera) -> Lens:
    names = _PARAMETERS[said.model].split()
    where = f"{file}: camera {said.number}, {said.model}"
    if len(names) != len(said.parameters):
        raise UserError(f"{where}: found {len(said.parameters)} parameters; expected {' '.join(names)}")
    values = dict(zip(names, said.parameters, strict=True))
    fx, fy = values.get("fx", values.get("f", 0)), values.get("fy", values.get("f", 0))
    if not (all(map(math.isfinite, values.values())) and min(fx, fy, said.width, said.height) > 0):
        raise UserError(
            f"{where}: found {said.width}x{said.height} pixels and {_listed(values)}; expected numbers, and sizes and "
            "focal lengths above 0"
        )
    fisheye = said.model.endswith("FISHEYE")
    point = values["cx"], values["cy"]
    return Lens(said.width, said.height, fx, fy, *point, distortion(values, fisheye), fisheye)


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _check_model(file: Path, number: int, model: str) -> None:
    if model not in _PARAMETERS:
        raise UserError(
            f"{file}: camera {number}: found the model {model}; expected one of {', '.join(_PARAMETERS)} (COLMAP's "
            "image_undistorter makes pictures and a model without distortion)"
        )


def _registered(file: Path, image: _Image, lenses: Mapping[int, Lens]) -> Registered:
    where = f"{file}: {image.name}"
    if image.camera not in lenses:
        raise UserError(
            f"{where}: found the camera {image.camera}; expected one of the file of cameras: "
            f"{', '.join(map(str, lenses)) or 'it has none'}"
        )
    norm = float(np.linalg.norm(image.quaternion))
    if not abs(norm - 1) <= _UNIT:
        raise UserError(f"{where}: found a quaternion of norm {norm:g}; expected 1")
    if not np.isfinite(image.translation).all():
        raise UserError(f"{where}: found a value that is not finite; expected a rotation and a translation")
    w, x, y, z = np.array(image.quaternion) / norm
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.T, -rotation.T @ np.array(image.translation)
    return Registered(image.name, lenses[image.camera], check_rigid(pose @ OPENCV_TO_OPENGL, where))


class _Bytes:
    """A binary file (little-endian), taken from its start. `at` is the byte that comes next."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0
        self._data = _read(path)

    def take(self, form: str) -> tuple[Any, ...]:
        """The next values, of the types that `form` has in the words of `struct`."""
        start = self._at
        self.skip(struct.calcsize(f"<{form}"))
        return struct.unpack_from(f"<{form}", self._data, start)

    def skip(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise self._cut_short()

    def text(self) -> str:
        """What comes next up to a byte of 0, which is passed."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise self._cut_short()
        start, self._at = self._at, end + 1
        return os.fsdecode(self._data[start:end])

    def each(self) -> Iterator[int]:
        """The places of the file's items, whose number comes next; after them, nothing may be left."""
        (count,) = self.take("Q")
        yield from range(count)
        left = len(self._data) - self._at
        if left:
            raise UserError(f"{self._path}: found {left:,} bytes after the last of {count:,} items; expected none")

    def _cut_short(self) -> UserError:
        return UserError(
            f"{self._path}: found {len(self._data):,} bytes, and an item that is cut short; expected a whole file of a "
            "COLMAP model"
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a file of a COLMAP model") from None


def _binary_cameras(path: Path) -> Iterator[_Camera]:
    file = _Bytes(path)
    for _ in file.each():
        number, model, width, height = file.take("iiQQ")
        name = _NUMBERED[model] if model in range(len(_NUMBERED)) else f"number {model}"
        _check_model(path, number, name)
        yield _Camera(number, name, width, height, file.take("d" * len(_PARAMETERS[name].split())))


def _binary_images(path: Path) -> Iterator[_Image]:
    file = _Bytes(path)
    for _ in file.each():
        _, *pose, camera = file.take("I7di")
        name = file.text()
        (points,) = file.take("Q")
        file.skip(24 * points)
        yield _Image(_with_slashes(name), camera, pose[:4], pose[4:])


def _text_cameras(path: Path) -> Iterator[_Camera]:
    form, kinds = "CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]", (int, str, int, int, _numbers)
    for line in filter(None, _lines(path)):
        number, model, width, height, parameters = _parsed(path, line, form, kinds)
        _check_model(path, number, model)
        yield _Camera(number, model, width, height, parameters)


def _text_images(path: Path) -> Iterator[_Image]:
    """Of every two lines, the second has the points that the image sees, and may be empty."""
    form, kinds = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME", (int, *[float] * 7, int, str)
    lines = _lines(path)
    found = 0
    for line in filter(None, lines):
        _, *pose, camera, name = _parsed(path, line, form, kinds)
        points = next(lines, "").split()
        if len(points) % 3:
            raise UserError(
                f"{path}: {name}: found {len(points)} numbers in the line after it; expected X Y POINT3D_ID of points"
            )
        found += 1
        yield _Image(_with_slashes(name), camera, pose[:4], pose[4:])
    promised = re.search(rb"^# Number of images: (\d+)", _read(path), re.MULTILINE)
    if promised and found < int(promised[1]):
        raise UserError(
            f"{path}: found {found} of the {int(promised[1])} images that it promises; expected a whole file"
        )


def _lines(path: Path) -> Iterator[str]:
    """The lines that are no comments, without space around them."""
    lines = _read(path).decode("utf-8", "surrogateescape").splitlines()
    return (line.strip() for line in lines if not line.startswith("#"))


def _parsed(path: Path, line: str, form: str, kinds: Sequence[Callable[[str], Any]]) -> list[Any]:
    """The words of a line, each turned into what it is; the last one is the rest of the line."""
    try:
        words = line.split(maxsplit=len(kinds) - 1)
        return [kind(word) for kind, word in zip(kinds, words, strict=True)]
    except ValueError:
        shown = line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}..."
        raise UserError(f"{path}: found the line {shown!r}; expected {form}") from None


def _numbers(words: str) -> list[float]:
    return [float(word) for word in words.split()]


def _with_slashes(name: str) -> str:
    return name.replace("\\", "/")
