"""The masks that a scene comes with, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pointrad.data.photo import Photo
from pointrad.data.picture_files import check_headers
from pointrad.errors import UserError
from pointrad.masks.alpha import AlphaMasks
from pointrad.masks.base import Masks
from pointrad.masks.config import MasksConfig
from pointrad.masks.files import find_masks

_FOLDERS = ("masks", "mask", "segmentation", "seg")
_WORDS = ("mask", "seg", "matte", "alpha", "silhouette", "nobg", "rembg")  # in the names of other folders of masks


class AutoMasksConfig(MasksConfig):
    """The alpha of the pictures where all have one, else a folder beside them that is called like masks.

    invert: masks of a folder are black on the object.
    """

    name: Literal["auto"]
    invert: bool

    def find(self, photos: Sequence[Photo], folder: Path) -> Masks:
        if all(header.has_alpha for header in check_headers([photo.path for photo in photos])):
            if self.invert:
                raise UserError("masks.invert: found true, but the masks are the alpha of the pictures; expected false")
            return AlphaMasks()
        for name in _FOLDERS:
            if (folder / name).is_dir():
                return find_masks("masks.folder", name, photos, folder, self.invert)
        there = sorted(path.name for path in folder.iterdir() if path.is_dir())
        like = next((name for name in there if any(word in name.lower() for word in _WORDS)), "FOLDER")
        raise UserError(
            f"masks=auto: found photographs without alpha, and none of the folders {', '.join(_FOLDERS)} in {folder}, "
            f"which holds {', '.join(there) or 'no folder'}; expected masks=folder masks.folder={like}, or masks=none "
            "to train on whole photographs, with init=random"
        )
