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
    """The masks of some photographs. files: what is read for them beside the photographs. said: which they are, in a
    few words, where that is worth telling."""

    files: tuple[Path, ...] = ()
    said: str = ""

    @abstractmethod
    def of(self, photo: Photo, picture: Picture) -> SoftMask:
        """[H, W] uint8, 255 on the object, of a photograph's pixels. Raises UserError if it cannot be had."""
        ...
