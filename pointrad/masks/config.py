"""The keys that all sources of masks share.

Masks are 8 bits at first, 255 on the object. They become hard once images were composited by them (`hard.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pointrad.data.photo import Photo
from pointrad.data.scene import Background, Scene
from pointrad.masks.base import Masks
from pointrad.masks.files import find_masks
from pointrad.masks.hard import with_hard_masks
from pointrad.schema import Config


class MasksConfig(Config, ABC):
    """The keys of `masks=`.

    threshold: the share above which a pixel is the object's. reference: a folder of masks that are known to be right,
    in the scene's folder or anywhere: the given ones are measured against them, and views for evaluation are composited
    by them.
    """

    threshold: Annotated[float, Field(ge=0, lt=1)] | None
    reference: str | None

    @abstractmethod
    def find(self, photos: Sequence[Photo], folder: Path) -> Masks:
        """The given masks of photographs of the scene in `folder`. Raises UserError if one has none."""
        ...

    def find_reference(self, photos: Sequence[Photo], folder: Path) -> Masks | None:
        """The reference masks; None where the given ones are all there are."""
        if self.reference is None:
            return None
        return find_masks("masks.reference", self.reference, photos, folder)

    def threshold_on(self, background: Background) -> float:
        """The share of alpha above which a pixel is the object's; published results take all that is not 0."""
        if self.threshold is not None:
            return self.threshold
        return 0.0 if background == "published" else 0.5

    def harden(self, scene: Scene, background: Background) -> Scene:
        """The scene with hard masks, without training views whose masks say nothing of the object."""
        return with_hard_masks(scene, self.threshold_on(background))

    def decisive(self, background: Background) -> dict[str, object]:
        """The values that decide a result, beside the masks themselves."""
        values = self.model_dump(mode="json", exclude={"folder"})
        return values | {"threshold": self.threshold_on(background), "reference": self.reference is not None}
