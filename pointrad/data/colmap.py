"""Captures in COLMAP's layout: a sparse model, and a folder with the photographs that it names."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pointrad.data.colmap_model import ModelFiles, Registered, model_files, read_model
from pointrad.data.layout import ImagesLayout
from pointrad.data.photo import Listing, Photo
from pointrad.data.picture_files import is_picture, pictures_of, view_name
from pointrad.data.scene import Split
from pointrad.errors import UserError

_MODELS = ("sparse/0", "sparse", "colmap/sparse/0")  # the last one is nerfstudio's


class ColmapDatasetConfig(ImagesLayout):
    """Captures of COLMAP. Photographs are known by their names in the model.

    model: the model's folder below the capture's, None for the first of `_MODELS` that holds one.
    """

    name: Literal["colmap"]
    model: str | None
    usual_images: ClassVar[str] = "images"

    @property
    def signs(self) -> str:
        return f"a COLMAP model (cameras and images, .bin or .txt) in {' or '.join(self._places)}"

    def is_in(self, folder: Path) -> bool:
        return bool(self._models_in(folder))

    def listing(self, scene_name: str, split: Split) -> Listing:
        folder = self.found(scene_name)
        images, files = self.images_in(folder), self._models_in(folder)[0]
        registered = read_model(files)
        pictures, moved = pictures_of(images, [one.name for one in registered])
        pairs = list(zip(registered, pictures, strict=True))
        refusal = _missing_pictures(
            files.images, images, [one.name for one, picture in pairs if picture is None], len(pairs)
        )
        photos = tuple(_photo(folder, picture, files.cameras, one) for one, picture in pairs if picture is not None)
        remarks = (
            *moved,
            *_unregistered({photo.path for photo in photos}, images),
            *_other_models(folder, files.images.parent),
        )
        return Listing(files, self.held_out(photos, split), remarks, refusal=refusal)

    @property
    def _places(self) -> tuple[str, ...]:
        return _MODELS if self.model is None else (self.model,)

    def _models_in(self, folder: Path) -> list[ModelFiles]:
        found = (model_files(folder / place) for place in self._places)
        return [files for files in found if files is not None]


def _missing_pictures(file: Path, images: Path, missing: Sequence[str], registered: int) -> str | None:
    """What to say if some of so many registered ones are missing. Raises UserError if all are."""
    if not registered:
        raise UserError(f"{file}: found no photograph; expected some")
    if not missing:
        return None
    said = (
        f"{file}: found {registered} photographs, of which {len(missing)} are not in {images}, the first "
        f"{missing[0]}; expected all of them there (dataset.images=FOLDER says where)"
    )
    if len(missing) == registered:
        raise UserError(said)
    return said


def _photo(folder: Path, path: Path, cameras: Path, registered: Registered) -> Photo:
    lens = partial(registered.lens.of_picture, where=f"{cameras}: the camera of {registered.name}")
    return Photo(view_name(folder, path), path, lens, registered.camera_to_world)


def _unregistered(registered: Set[Path], images: Path) -> list[str]:
    there = {path for path in images.rglob("*") if is_picture(path)}
    others = sorted(path.relative_to(images).as_posix() for path in there - registered)
    said = f"{len(others)} of {len(there)} photographs in {images.name} are not in COLMAP's model and are left out"
    return [f"{said}, the first {others[0]}"] if others else []


def _other_models(folder: Path, taken: Path) -> list[str]:
    """COLMAP writes several where it could not connect all photographs."""
    siblings = taken.parent.iterdir() if taken.parent.name == "sparse" else ()
    others = sorted(os.path.relpath(path, folder) for path in siblings if path != taken and model_files(path))
    said = f"took {os.path.relpath(taken, folder)} of {len(others) + 1} models"
    return [f"{said}; for another: dataset.model={others[0]}"] if others else []
