"""No masks: whole photographs are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pointrad.data.photo import Photo
from pointrad.data.picture_files import Picture
from pointrad.data.scene import Background, Scene
from pointrad.masks.base import Masks, SoftMask
from pointrad.masks.config import MasksConfig
from pointrad.masks.hard import with_hard_reference


class WholePictures(Masks):
    said = "none; whole photographs"

    def of(self, photo: Photo, picture: Picture) -> SoftMask:
        return np.full(picture.rgb.shape[:2], 255, np.uint8)


class NoMasksConfig(MasksConfig):
    """Every pixel is the object's."""

    name: Literal["none"]

    def idle(self) -> dict[str, str]:
        return {"threshold": "reference=null"} if self.reference is None else {}

    def find(self, photos: Sequence[Photo], folder: Path) -> Masks:
        return WholePictures()

    def harden(self, scene: Scene, background: Background) -> Scene:
        """All views stay, and their masks are whole; those of views for evaluation may be a reference."""
        return with_hard_reference(scene, self.threshold_on(background))
