"""Scenes in NeRF-synthetic ("Blender") layout.

A scene is a folder with transforms_{train,val,test}.json and RGBA pictures. The JSON alone says which pictures belong
to it, in which order.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator

from pointrad.camera import Float64Array
from pointrad.data.layout import FolderLayout
from pointrad.data.photo import Lens, Listing, Photo
from pointrad.data.picture_files import find_picture, without_suffix
from pointrad.data.pinhole import CameraKeys, intrinsics
from pointrad.data.scene import Split
from pointrad.errors import UserError


class BlenderDatasetConfig(FolderLayout):
    """Scenes in NeRF-synthetic layout: `root` holds one folder per scene, or is one."""

    name: Literal["blender"]

    @classmethod
    def is_in(cls, folder: Path) -> bool:
        return (folder / "transforms_train.json").is_file()

    def listing(self, scene_name: str, split: Split) -> Listing:
        return listing(self.folder(scene_name), split)


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


def find_scenes(root: Path) -> tuple[str, ...]:
    """The names of the scenes in `root`, sorted: its folders that hold training transforms.

    Raises UserError if there is none.
    """
    found = tuple(sorted(path.parent.name for path in root.glob("*/transforms_train.json")))
    if not found:
        raise UserError(f"dataset.root: found no scene in {root}; expected folders with a transforms_train.json")
    return found


def listing(folder: Path, split: Split) -> Listing:
    """The photographs of this split of the scene in `folder`.

    Raises UserError for whatever is missing or wrong in the folder, naming the file and what was expected.
    """
    path, transforms = _transforms_path(folder, split), _read_split(folder, split)

    def photo(frame: _Frame) -> Photo:
        return Photo(
            name=without_suffix(frame.file_path),
            path=find_picture(folder, frame.file_path),
            lens=partial(_lens, transforms, frame, path),
            camera_to_world=_check_pose(path, frame),
        )

    return Listing((path,), tuple(photo(frame) for frame in transforms.frames))


def _lens(transforms: _Transforms, frame: _Frame, path: Path, width: int, height: int) -> Lens:
    return Lens(width, height, *intrinsics(transforms, frame, width, height, str(path), frame.file_path))


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
