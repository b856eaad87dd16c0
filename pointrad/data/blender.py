"""Scenes in NeRF-synthetic ("Blender") layout.

A scene is a folder with transforms_{train,val,test}.json and RGBA pictures. The JSON alone says which pictures belong
to it, in which order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, field_validator
from tqdm import tqdm

from pointrad.camera import Camera, Float64Array
from pointrad.data.layout import Layout
from pointrad.data.picture_files import check_headers, find_picture, read_rgba, without_suffix
from pointrad.data.pinhole import CameraKeys, intrinsics
from pointrad.data.scene import Background, Float32Array, Scene, Split, View
from pointrad.errors import UserError
from pointrad.schema import GivenPath


class BlenderDatasetConfig(Layout):
    """Scenes in NeRF-synthetic layout: `root` holds one folder per scene."""

    name: Literal["blender"]
    root: GivenPath

    @field_validator("root", mode="before")
    @classmethod
    def _root_is_set(cls, root: object) -> object:
        if root is None:
            raise ValueError(
                "not set; give dataset.root=FOLDER (the folder that holds the scenes) or set POINTRAD_DATA"
            )
        return root

    def folder(self, scene_name: str) -> Path:
        return self.root / scene_name

    def files(self, scene_name: str, split: Split) -> tuple[Path, ...]:
        return split_files(self.folder(scene_name), split)

    def load(self, scene_name: str, split: Split) -> Scene:
        return load_blender(self.root, scene_name, split, self.downscale, self.background)


BACKGROUNDS: dict[Background, tuple[float, float, float]] = {
    "black": (0.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
    "published": (0.0, 0.0, 0.0),
}

_PAPER_FRAMES = slice(15, 38)  # of val: the views the published code validates and reports on
_RIGID_TOLERANCE = 1e-3
_LONGEST_PATH, _LONGEST_NAME = 1024, 250  # bytes; systems allow 4096 with the folder's, and 255 with a suffix
_Row = tuple[float, float, float, float]


class _Frame(CameraKeys):
    file_path: str
    transform_matrix: tuple[_Row, _Row, _Row, _Row]
    mask_path: str | None = None

    @field_validator("mask_path")
    @classmethod
    def _is_not_passed_over(cls, mask_path: str | None) -> None:
        if mask_path is not None:
            raise ValueError("no mask_path, since masks are the alpha of the pictures")

    @field_validator("file_path")
    @classmethod
    def _can_name_a_file(cls, file_path: str) -> str:
        names = [len(name.encode()) for name in file_path.split("/")]
        if "\0" in file_path or max(names) > _LONGEST_NAME or sum(names) > _LONGEST_PATH:
            raise ValueError(
                f"the path of an image, of at most {_LONGEST_PATH} bytes, and {_LONGEST_NAME} between slashes"
            )
        return file_path


class _Transforms(CameraKeys):
    """The parts of a transforms_*.json that we read; others may be there."""

    frames: Annotated[list[_Frame], Field(min_length=1)]


def load_blender(root: Path, scene_name: str, split: Split, downscale: int, background: Background) -> Scene:
    """Load the scene in the folder root/scene_name: its train views, and the views of `split` for evaluation.

    downscale: images are area-averaged by this whole factor, which must divide their size, once they are composited.
    background: "black" and "white" composite images on it by their alpha; "published" takes the files' RGB as it is.
    Masks are soft: the alpha.

    Raises UserError for whatever is missing or wrong in the folder, naming the file and what was expected.
    """
    return load_folder(Path(root) / scene_name, scene_name, split, downscale, background)


def find_scenes(root: Path) -> tuple[str, ...]:
    """The names of the scenes in `root`, sorted: its folders that hold training transforms.

    Raises UserError if there is none.
    """
    found = tuple(sorted(path.parent.name for path in root.glob("*/transforms_train.json")))
    if not found:
        raise UserError(f"dataset.root: found no scene in {root}; expected folders with a transforms_train.json")
    return found


def load_folder(folder: Path, scene_name: str, split: Split, downscale: int, background: Background) -> Scene:
    """`load_blender` for a scene whose folder is not called as the scene is."""
    if downscale < 1:
        raise UserError(f"dataset.downscale: found {downscale}; expected a whole number of at least 1")
    transforms = {part: _read_split(folder, part) for part in dict.fromkeys((Split.TRAIN, split))}
    check_headers([find_picture(folder, frame.file_path) for part in transforms.values() for frame in part.frames])
    loaded = {part: _load_views(folder, part, read, downscale, background) for part, read in transforms.items()}
    views = tuple(view for part in loaded.values() for view in part)
    _check_sizes(folder, views)
    return Scene(scene_name, loaded[Split.TRAIN], loaded[split], BACKGROUNDS[background])


def split_files(folder: Path, split: Split) -> tuple[Path, ...]:
    """All files that loading this split of the scene in `folder` reads, the JSON first; a result is known by what they
    contain. Raises UserError if one is missing, or if the JSON does not say which they are.
    """
    frames = _read_split(folder, split).frames
    return _transforms_path(folder, split), *(find_picture(folder, frame.file_path) for frame in frames)


def _transforms_path(folder: Path, split: Split) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the scene {folder.name!r} in NeRF-synthetic layout there")
    return folder / f"transforms_{Split.VAL if split == Split.PAPER else split}.json"


def _read_split(folder: Path, split: Split) -> _Transforms:
    """What the file of `split` says, with the frames of the split alone."""
    path = _transforms_path(folder, split)
    transforms = _read_transforms(path)
    if split != Split.PAPER:
        return transforms
    if len(transforms.frames) < _PAPER_FRAMES.stop:
        raise UserError(
            f"{path}: found {len(transforms.frames)} frames; expected at least {_PAPER_FRAMES.stop} for "
            f"eval.split=paper, which is val[{_PAPER_FRAMES.start}:{_PAPER_FRAMES.stop}]"
        )
    return transforms.model_copy(update={"frames": transforms.frames[_PAPER_FRAMES]})


def _load_views(
    folder: Path, split: Split, transforms: _Transforms, downscale: int, background: Background
) -> tuple[View, ...]:
    path, frames = _transforms_path(folder, split), transforms.frames

    def load(frame: _Frame) -> View:
        pose = _check_pose(path, frame)
        picture = find_picture(folder, frame.file_path)
        pixels = read_rgba(picture)
        height, width, _ = pixels.shape
        said = intrinsics(transforms, frame, width, height, str(path), frame.file_path)
        if height % downscale or width % downscale:
            raise UserError(
                f"dataset.downscale: found {downscale}, which does not divide the {width}x{height} pixels of "
                f"{picture}; expected a common divisor of width and height"
            )
        image, mask = _on_background(pixels, downscale, background)
        fx, fy, cx, cy = (value / downscale for value in said)
        camera = Camera(pose, fx, fy, cx, cy, width // downscale, height // downscale)
        return View(without_suffix(frame.file_path), split, camera, image, mask)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        views = pool.map(load, frames)
        return tuple(tqdm(views, f"{split} images", len(frames), unit="image", leave=False, disable=None))


def _read_transforms(path: Path) -> _Transforms:
    if not path.is_file():
        raise UserError(f"{path}: no such file; the splits that exist there: {_existing_splits(path.parent)}")
    try:
        transforms = _Transforms.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a JSON file") from None
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error)}") from None
    names = [without_suffix(frame.file_path) for frame in transforms.frames]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: frames: found {twice!r} more than once; expected each image once")
    return transforms


def _existing_splits(folder: Path) -> str:
    splits = (Split.TRAIN, Split.VAL, Split.TEST)
    return ", ".join(split for split in splits if (folder / f"transforms_{split}.json").is_file()) or "none"


def _explain(error: ValidationError) -> str:
    problem = error.errors()[0]
    key = ".".join(map(str, problem["loc"]))
    match problem["type"]:
        case "json_invalid":
            return f"found malformed JSON ({problem['msg'].removeprefix('Invalid JSON: ')}); expected a JSON object"
        case "missing" if len(problem["loc"]) and isinstance(problem["loc"][-1], str):
            return f"{key}: missing; expected a value"
        case _:
            found = repr(problem.get("input"))
            shown = found if len(found) <= 60 else f"{found[:60]}..."
            expected = problem["msg"].removeprefix("Value error, ")
            return f"{key or 'top level'}: found {shown}; expected: {expected[0].lower()}{expected[1:]}"


def _check_pose(path: Path, frame: _Frame) -> Float64Array:
    """[4, 4] float64 camera-to-world, checked to be rigid."""
    pose = np.array(frame.transform_matrix, np.float64)
    rotation = pose[:3, :3]
    where = f"{path}: transform_matrix of {frame.file_path!r}"
    if not np.allclose(pose[3], [0, 0, 0, 1], rtol=0, atol=_RIGID_TOLERANCE):
        raise UserError(f"{where}: found the bottom row {pose[3].tolist()}; expected [0, 0, 0, 1]")
    # A huge entry would overflow in the product; none is orthonormal anyway.
    error = np.abs(rotation.T @ rotation - np.eye(3)).max() if np.abs(rotation).max() < 2 else np.inf
    if error > _RIGID_TOLERANCE or np.linalg.det(rotation) < 0:
        kind = "a mirrored axis" if error <= _RIGID_TOLERANCE else "columns that are not orthonormal"
        raise UserError(f"{where}: found {kind} in its 3x3 part; expected a rotation (within {_RIGID_TOLERANCE:g})")
    return pose


def _on_background(pixels: NDArray[np.uint8], factor: int, background: Background) -> tuple[Float32Array, Float32Array]:
    """The image [H, W, 3] on its background and the mask [H, W], float32 in [0, 1], of RGBA pixels, area-averaged.

    Pixels are composited before they are averaged, so that colour under alpha 0 counts nowhere. Sums are whole numbers.
    """
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    mask = _area_average(alpha, factor, 255)[..., 0]
    if background == "published":
        return _area_average(colour, factor, 255), mask
    composited = np.multiply(colour, alpha, dtype=np.uint32)
    if background == "white":
        composited += np.uint32(255) * (255 - alpha)
    return _area_average(composited, factor, 255**2), mask


def _area_average(values: NDArray[np.unsignedinteger], factor: int, most: int) -> Float32Array:
    """[H / factor, W / factor, C] float32 in [0, 1]: the mean over blocks of factor x factor pixels, over `most`."""
    height, width, channels = values.shape
    blocks = values.reshape(height // factor, factor, width // factor, factor, channels)
    sums = blocks.sum(axis=(1, 3), dtype=np.uint64) if factor > 1 else values
    means: Float32Array = np.divide(sums, most * factor**2, dtype=np.float64).astype(np.float32)
    return means


def _check_sizes(folder: Path, views: Sequence[View]) -> None:
    first = views[0]
    for view in views:
        if view.mask.shape != first.mask.shape:
            raise UserError(
                f"{folder / view.name}: found {view.camera.width}x{view.camera.height} pixels after downscaling; "
                f"expected {first.camera.width}x{first.camera.height} like {first.name}, one size for all views"
            )
