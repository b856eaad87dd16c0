"""Masks that are the alpha of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pointrad.data.photo import Photo
from pointrad.data.picture_files import Picture
from pointrad.errors import UserError
from pointrad.masks.base import Masks, SoftMask
from pointrad.masks.config import MasksConfig


class AlphaMasks(Masks):
    def of(self, photo: Photo, picture: Picture) -> SoftMask:
        if picture.alpha is None:
            raise UserError(
                f"{photo.path}: found a {picture.mode} image without alpha; expected RGBA, its alpha the mask; masks "
                "in files of their own: masks=folder masks.folder=FOLDER"
            )
        return picture.alpha


class AlphaMasksConfig(MasksConfig):
    """The object masks are the alpha channels of the pictures."""

    name: Literal["alpha"]

    def find(self, photos: Sequence[Photo], folder: Path) -> Masks:
        return AlphaMasks()
