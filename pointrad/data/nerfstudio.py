"""Captures in the layout of nerfstudio and instant-ngp: a folder with a transforms.json.

Its poses are camera to world in OpenGL axes. `applied_transform` is in them already, so nothing is left to apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pointrad.data.layout import CaptureLayout
from pointrad.data.moving import MovingLayout, shown
from pointrad.data.photo import Listing, Photo
from pointrad.data.picture_files import pictures_of, without_suffix
from pointrad.data.scene import Split
from pointrad.data.transforms import Transforms, at_instants, photo, read_transforms, times
from pointrad.errors import UserError

_FILE = "transforms.json"


class NerfstudioDatasetConfig(CaptureLayout, MovingLayout):
    """Captures of nerfstudio and instant-ngp. Views are held out as the file says, else every `holdout`-th."""

    name: Literal["nerfstudio"]
    sign_files: ClassVar = (_FILE,)

    def times(self, scene_name: str) -> tuple[float, ...]:
        return times(read_transforms(self.found(scene_name) / _FILE))

    def listing(self, scene_name: str, split: Split) -> Listing:
        file = self.found(scene_name) / _FILE
        whole = read_transforms(file)
        transforms, said = self._shown(file, whole)
        photos, moved = _photos(file, transforms)
        splits = _splits(file, whole)
        remarks = [*moved, *_left_out(transforms, photos), *said, *_oddities(splits)]
        if not splits:
            return Listing((file,), self.held_out(tuple(photos.values()), split), tuple(remarks))
        remarks.append(f"{_FILE} says which views are held out; dataset.holdout has no effect")
        if split == Split.TEST and split not in splits and Split.VAL in splits:
            split = Split.VAL
        if split not in splits:
            raise UserError(
                f"{file}: {split}_filenames: missing; expected a list of frames, or eval.split of the splits that the "
                f"file has: {', '.join(splits)}"
            )
        chosen = sorted((photos[name] for name in splits[split] if name in photos), key=lambda photo: photo.name)
        if not chosen and (split == Split.TRAIN or transforms is whole):  # of an instant, none may be held out
            raise UserError(f"{file}: {split}_filenames: found no frame that has a picture; expected at least one")
        return Listing((file,), tuple(chosen), tuple(remarks))

    def _shown(self, file: Path, transforms: Transforms) -> tuple[Transforms, tuple[str, ...]]:
        """The file with the frames alone that are shown at once, and what to say of it."""
        instants = times(transforms)
        numbers, said = shown(self.frames, instants, len(transforms.frames))
        if len(numbers) == len(instants):
            return transforms, said
        frames = at_instants(file, transforms.frames, numbers, instants)
        return transforms.model_copy(update={"frames": frames}), said


def _photos(file: Path, transforms: Transforms) -> tuple[dict[str, Photo], tuple[str, ...]]:
    """The photographs of the frames that have a picture, by the frames' file_path without suffix; and what to say of
    where they are."""
    pictures, said = pictures_of(file.parent, [frame.file_path for frame in transforms.frames])
    photos = {
        without_suffix(frame.file_path): photo(file, transforms, frame, picture)
        for frame, picture in zip(transforms.frames, pictures, strict=True)
        if picture is not None
    }
    if not photos:
        raise UserError(
            f"{file}: frames: found no picture of any of its {len(pictures)} frames, the first of them "
            f"{file.parent / transforms.frames[0].file_path}; expected the paths of pictures"
        )
    return photos, said


def _splits(file: Path, transforms: Transforms) -> dict[Split, set[str]]:
    """The frames of each split that the file has, by their file_path without suffix."""
    listed = {Split.TRAIN: transforms.train_filenames, Split.VAL: transforms.val_filenames,
              Split.TEST: transforms.test_filenames}  # fmt: skip
    known = {without_suffix(frame.file_path) for frame in transforms.frames}
    for split, names in listed.items():
        unknown = [name for name in names or () if without_suffix(name) not in known]
        if unknown:
            raise UserError(f"{file}: {split}_filenames: found {unknown[0]!r}; expected the file_path of a frame")
    return {split: {without_suffix(name) for name in names} for split, names in listed.items() if names}


def _left_out(transforms: Transforms, photos: Mapping[str, Photo]) -> list[str]:
    names = [frame.file_path for frame in transforms.frames]
    missing = [name for name in names if without_suffix(name) not in photos]
    said = f"{len(missing)} of {len(names)} frames have no picture and are left out"
    return [f"{said}, the first {missing[0]}"] if missing else []


def _oddities(splits: Mapping[Split, set[str]]) -> list[str]:
    """What is worth saying of the file's splits."""
    said = []
    if Split.VAL in splits and Split.TEST not in splits:
        said.append("test_filenames is missing; val_filenames are held out in its place")
    for split in (Split.VAL, Split.TEST):
        shared = splits.get(Split.TRAIN, set()) & splits.get(split, set())
        if shared:
            said.append(f"{len(shared)} frames are in train_filenames and in {split}_filenames")
    return said
