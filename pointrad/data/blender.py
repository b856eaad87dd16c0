"""Scenes in NeRF-synthetic ("Blender") layout.

A scene is a folder with transforms_{train,val,test}.json and RGBA pictures. The JSON alone says which pictures belong
to it, in which order, and when they were taken if the scene moves (D-NeRF).
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pointrad.data.layout import FolderLayout
from pointrad.data.moving import Frames, MovingLayout, shown
from pointrad.data.photo import Listing
from pointrad.data.picture_files import pictures_of, said_of_missing
from pointrad.data.scene import Split
from pointrad.data.transforms import Transforms, at_instants, photo, read_transforms, times
from pointrad.errors import UserError

_PAPER_FRAMES = slice(15, 38)  # of val: the views the published code validates and reports on


class BlenderDatasetConfig(FolderLayout, MovingLayout):
    """Scenes in NeRF-synthetic layout: `root` holds one folder per scene, or is one."""

    name: Literal["blender"]
    sign_files: ClassVar = ("transforms_train.json",)

    def times(self, scene_name: str) -> tuple[float, ...]:
        return instants_of(self.folder(scene_name))

    def listing(self, scene_name: str, split: Split) -> Listing:
        return listing(self.folder(scene_name), split, self.frames)


def instants_of(folder: Path) -> tuple[float, ...]:
    """When the training views of the scene in `folder` were taken. Raises UserError for whatever is wrong with their
    file."""
    return times(_read_split(folder, Split.TRAIN))


def listing(folder: Path, split: Split, frames: Frames | None) -> Listing:
    """The photographs of this split of the scene in `folder`, of the instants that `frames` means; a view for
    evaluation is of the instant that is nearest in time.

    Raises UserError for whatever is missing or wrong in the folder, naming the file and what was expected.
    """
    training = _read_split(folder, Split.TRAIN)
    instants = times(training)
    numbers, said = shown(frames, instants, len(training.frames))
    path, transforms = _transforms_path(folder, split), _read_split(folder, split)
    listed = transforms.frames
    if len(numbers) < len(instants):
        listed = at_instants(path, listed, numbers, instants)
    pictures, moved = pictures_of(folder, [frame.file_path for frame in listed])
    pairs = list(zip(listed, pictures, strict=True))
    photos = (photo(path, transforms, frame, picture) for frame, picture in pairs if picture is not None)
    missing = [frame.file_path for frame, picture in pairs if picture is None]
    refusal = said_of_missing(folder, missing) if missing else None
    if refusal is not None and len(missing) == len(pictures):
        raise UserError(refusal)
    return Listing((path,), tuple(photos), (*said, *moved), refusal=refusal)


def _transforms_path(folder: Path, split: Split) -> Path:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the scene {folder.name!r} in NeRF-synthetic layout there")
    return folder / f"transforms_{Split.VAL if split == Split.PAPER else split}.json"


def _read_split(folder: Path, split: Split) -> Transforms:
    """What the file of `split` says, with the frames of the split alone."""
    path = _transforms_path(folder, split)
    if not path.is_file():
        others = "" if split == Split.TRAIN else "; expected it, or eval.split of one of them"
        raise UserError(f"{path}: no such file; the splits that exist there: {_existing_splits(folder)}{others}")
    transforms = read_transforms(path)
    if split != Split.PAPER:
        return transforms
    if len(transforms.frames) < _PAPER_FRAMES.stop:
        raise UserError(
            f"{path}: found {len(transforms.frames)} frames; expected at least {_PAPER_FRAMES.stop} for "
            f"eval.split=paper, which is val[{_PAPER_FRAMES.start}:{_PAPER_FRAMES.stop}]"
        )
    return transforms.model_copy(update={"frames": transforms.frames[_PAPER_FRAMES]})


def _existing_splits(folder: Path) -> str:
    splits = (Split.TRAIN, Split.VAL, Split.TEST)
    return ", ".join(split for split in splits if (folder / f"transforms_{split}.json").is_file()) or "none"
