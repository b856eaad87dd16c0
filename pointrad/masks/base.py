"""What a source of masks is: for each photograph, which of its pixels are the object's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pointrad.data.photo import Photo
from pointrad.data.picture_files import Picture

SoftMask = NDArray[np.uint8]


class Masks(ABC):
    """The masks of some photographs. said: which they are, in a few words, where that is worth telling. inverted: their
    files are black on the object."""

    said: str = ""
    inverted: bool = False

    def file(self, photo: Photo) -> Path | None:
        """What is read for a photograph's mask; None where that is the photograph, or nothing."""
        return None

    def are_what_to_ignore(self, photo: Photo) -> bool:
        """Whether the photograph's `ignore` is the mask of the object. Then what is not the object is background."""
        file = self.file(photo)
        return file is not None and photo.ignore is not None and file.resolve() == photo.ignore.path.resolve()

    def lacks(self, photo: Photo) -> bool:
        """Whether there is no mask of a photograph, which is then as if it covered all of it."""
        return False

    @abstractmethod
    def of(self, photo: Photo, picture: Picture) -> SoftMask:
        """[H, W] uint8, 255 on the object, of a photograph's pixels. Raises UserError if it cannot be had."""
        ...
