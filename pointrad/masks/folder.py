"""Masks in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pointrad.data.photo import Photo
from pointrad.data.picture_files import check_headers
from pointrad.masks.alpha import AlphaMasks
from pointrad.masks.base import Masks
from pointrad.masks.config import MasksConfig
from pointrad.masks.files import find_masks


class FolderMasksConfig(MasksConfig):
    """Masks in a folder, named like the photographs.

    folder: in the scene's folder, or anywhere. invert: they are black on the object.
    """

    name: Literal["folder"]
    folder: str
    invert: bool

    def find(self, photos: Sequence[Photo], folder: Path) -> Masks:
        return find_masks("masks.folder", self.folder, photos, folder, self.invert)

    def find_reference(self, photos: Sequence[Photo], folder: Path) -> Masks | None:
        """Where no folder is named: the alpha of pictures that have one."""
        named = super().find_reference(photos, folder)
        return (
            AlphaMasks()
            if named is None and all(header.has_alpha for header in check_headers([photo.path for photo in photos]))
            else named
        )
