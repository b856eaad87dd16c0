"""Video of many cameras at once, as Dynamic 3D Gaussians have that of CMU's Panoptic Studio.

train_meta.json and test_meta.json list, for each frame, its cameras (matrices of OpenCV) and photographs below ims/.
Masks lie in seg/, of training cameras only.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pointrad.camera import Float64Array
from pointrad.data.layout import FolderLayout
from pointrad.data.moving import MovingLayout, shown
from pointrad.data.photo import Lens, Listing, Photo
from pointrad.data.picture_files import PicturePath, picture_or_none, said_of_missing, view_name
from pointrad.data.poses import OPENCV_TO_OPENGL, check_rigid
from pointrad.data.scene import Split
from pointrad.data.transforms import explained
from pointrad.errors import UserError
from pointrad.files import while_unchanged

_FILES = {Split.TRAIN: "train_meta.json", Split.TEST: "test_meta.json"}
_IMAGES = "ims"
_Row3 = tuple[float, float, float]
_Row4 = tuple[float, float, float, float]
_Size = Annotated[int, Field(ge=1)]


class PanopticDatasetConfig(FolderLayout, MovingLayout):
    """Video of many cameras. The cameras of test_meta.json are held out, and need no masks."""

    name: Literal["panoptic"]
    sign_files: ClassVar = (_FILES[Split.TRAIN],)

    def times(self, scene_name: str) -> tuple[float, ...]:
        """The numbers of the frames: the files give no frame rate."""
        return _times(_read(self.found(scene_name) / _FILES[Split.TRAIN]))

    def listing(self, scene_name: str, split: Split) -> Listing:
        folder = self.found(scene_name)
        meta = _read(folder / _FILES[Split.TRAIN])
        (frame, *_), said = shown(self.frames, _times(meta), sum(map(len, meta.fn)))
        file = _file(folder, split)
        if split != Split.TRAIN:
            frames, meta = len(meta.fn), _read(file)
            if len(meta.fn) != frames:
                raise UserError(f"{file}: found {len(meta.fn)} frames; expected the {frames} of {_FILES[Split.TRAIN]}")
        pictures = [picture_or_none(folder / _IMAGES, name) for name in meta.fn[frame]]
        missing = [name for name, picture in zip(meta.fn[frame], pictures, strict=True) if picture is None]
        photos = tuple(
            _photo(folder, picture, meta, file, frame, camera, needs_mask=split == Split.TRAIN)
            for camera, picture in enumerate(pictures)
            if picture is not None
        )
        refusal = said_of_missing(folder / _IMAGES, missing) if missing else None
        if refusal is not None and not photos:
            raise UserError(refusal)
        return Listing((file,), photos, said, refusal)


class _Meta(BaseModel):
    """The parts of such a file that we read. w, h: of the pictures, pixels. The others list cameras by frame: k
    projects to pixels, w2c takes the world to a camera, fn is its picture below ims/."""

    model_config = ConfigDict(allow_inf_nan=False)
    w: _Size
    h: _Size
    k: list[list[tuple[_Row3, _Row3, _Row3]]]
    w2c: list[list[tuple[_Row4, _Row4, _Row4, _Row4]]]
    fn: Annotated[list[Annotated[list[PicturePath], Field(min_length=1)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _cameras_are_whole(self) -> Self:
        names = [len(frame) for frame in self.fn]
        for key in ("k", "w2c"):
            counts = [len(frame) for frame in getattr(self, key)]
            if counts != names:
                raise ValueError(f"{key}, for each frame as many as fn has names")
        return self


@while_unchanged
def _read(file: Path) -> _Meta:
    try:
        return _Meta.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror}); expected a JSON file") from None
    except ValidationError as error:
        raise UserError(f"{file}: {explained(error)}") from None


def _file(folder: Path, split: Split) -> Path:
    if split not in _FILES:
        raise UserError(f"eval.split: found {split}; a capture has no such split, expected test or train")
    return folder / _FILES[split]


def _times(meta: _Meta) -> tuple[float, ...]:
    return tuple(map(float, range(len(meta.fn))))


def _photo(folder: Path, picture: Path, meta: _Meta, file: Path, frame: int, camera: int, needs_mask: bool) -> Photo:
    of = f"of {meta.fn[frame][camera]!r}"
    world_to_camera = check_rigid(np.array(meta.w2c[frame][camera], np.float64), f"{file}: w2c {of}")
    pose: Float64Array = np.linalg.inv(world_to_camera).astype(np.float64) @ OPENCV_TO_OPENGL
    return Photo(
        name=view_name(folder, picture),
        path=picture,
        lens=partial(_lens(meta, np.array(meta.k[frame][camera]), f"{file}: k {of}").of_picture, where=f"{file}: w, h"),
        camera_to_world=pose,
        needs_mask=needs_mask,
    )


def _lens(meta: _Meta, k: Float64Array, where: str) -> Lens:
    (fx, skew, cx), (zero, fy, cy), last = k.tolist()
    if skew or zero or last != [0, 0, 1] or min(fx, fy) <= 0:
        raise UserError(f"{where}: found {k.tolist()}; expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels")
    return Lens(meta.w, meta.h, fx, fy, cx, cy)
