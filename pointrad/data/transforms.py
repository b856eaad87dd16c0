"""The JSON files that list posed pictures: NeRF-synthetic's transforms_*.json, nerfstudio's and instant-ngp's
transforms.json."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from pointrad.data.moving import STILL, nearest
from pointrad.data.photo import IgnoreMask, Lens, Photo
from pointrad.data.picture_files import PicturePath, view_name, without_suffix
from pointrad.data.pinhole import CameraKeys, lens
from pointrad.data.poses import check_rigid
from pointrad.errors import UserError
from pointrad.files import while_unchanged

Row = tuple[float, float, float, float]


class Frame(CameraKeys):
    """One picture, where its camera stands and, in a picture of its own, which pixels to leave out (black ones). time:
    when it was taken, in scenes that move (D-NeRF)."""

    file_path: PicturePath
    transform_matrix: tuple[Row, Row, Row, Row]
    mask_path: PicturePath | None = None
    time: float | None = None


class Transforms(CameraKeys):
    """The parts of such a file that we read; others may be there.

    *_filenames: the frames of each split, by their file_path (nerfstudio).
    """

    frames: Annotated[list[Frame], Field(min_length=1)]
    train_filenames: list[str] | None = None
    val_filenames: list[str] | None = None
    test_filenames: list[str] | None = None


@while_unchanged
def read_transforms(path: Path) -> Transforms:
    """What a file says that exists. Raises UserError naming key, value and what is expected."""
    try:
        transforms = Transforms.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a JSON file") from None
    except ValidationError as error:
        raise UserError(f"{path}: {explained(error)}") from None
    names = [without_suffix(frame.file_path) for frame in transforms.frames]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: frames: found {twice!r} more than once; expected each image once")
    return transforms


def times(transforms: Transforms) -> tuple[float, ...]:
    """When frames were taken, ascending; one time if not all of them say when."""
    found = {frame.time for frame in transforms.frames}
    return STILL if None in found else tuple(sorted(time for time in found if time is not None))


def at_instants(path: Path, frames: Sequence[Frame], numbers: Collection[int], times: Sequence[float]) -> list[Frame]:
    """The frames that were taken nearest in time to the instants of these numbers. times: of all instants. path: of
    their file. Raises UserError for a frame that does not say when it was taken."""
    return [frame for frame in frames if nearest(times, _time(path, frame)) in numbers]


def _time(path: Path, frame: Frame) -> float:
    if frame.time is None:
        raise UserError(f"{path}: time of {frame.file_path!r}: missing; expected when it was taken, as others say")
    return frame.time


def photo(file: Path, transforms: Transforms, frame: Frame, picture: Path) -> Photo:
    """The photograph of a frame of `file`. picture: its own file. Raises UserError for a pose that is not rigid, or a
    mask that is not there."""
    where = f"{file}: transform_matrix of {frame.file_path!r}"
    return Photo(
        name=view_name(file.parent, picture),
        path=picture,
        lens=partial(_lens, transforms, frame, str(file)),
        camera_to_world=check_rigid(np.array(frame.transform_matrix, np.float64), where),
        ignore=_ignored(file, frame, picture),
    )


def _lens(transforms: Transforms, frame: Frame, file: str, width: int, height: int) -> Lens:
    return lens(transforms, frame, width, height, file, frame.file_path)


def _ignored(file: Path, frame: Frame, picture: Path) -> IgnoreMask | None:
    """nerfstudio's `mask_path`, or instant-ngp's file beside the picture, white where something moves."""
    dynamic = picture.with_name(f"dynamic_mask_{picture.stem}.png")
    if frame.mask_path is None:
        return IgnoreMask(dynamic, ignores_black=False) if dynamic.is_file() else None
    where, path = f"{file}: mask_path of {frame.file_path!r}", file.parent / frame.mask_path.replace("\\", "/")
    if not path.is_file():
        raise UserError(f"{where}: found {frame.mask_path!r}; expected a file, but there is no {path}")
    if dynamic.is_file():
        raise UserError(f"{where}: found {frame.mask_path!r}, and {dynamic.name} beside the picture; expected one mask")
    return IgnoreMask(path, ignores_black=True)


def explained(error: ValidationError) -> str:
    """What is wrong first, in words: the key, the value and what is expected."""
    problem = error.errors()[0]
    key = ".".join(map(str, problem["loc"]))
    match problem["type"]:
        case "json_invalid":
            return f"found malformed JSON ({problem['msg'].removeprefix('Invalid JSON: ')}); expected a JSON object"
        case "missing":
            return f"{key}: missing; expected a value"
        case "too_short":
            return f"{key}: found none; expected at least one"
        case _:
            found = repr(problem.get("input"))
            shown = found if len(found) <= 60 else f"{found[:60]}..."
            expected = problem["msg"].removeprefix("Value error, ")
            return f"{key or 'top level'}: found {shown}; expected: {expected[0].lower()}{expected[1:]}"
