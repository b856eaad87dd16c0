"""The scenes that come with the repository."""

from __future__ import annotations

from abc import ABC
from pathlib import Path
from typing import ClassVar, Literal

from pointrad.bundled import DEMO_FOLDER, DEMO_MOVING_FOLDER
from pointrad.data.blender import instants_of, listing
from pointrad.data.layout import Layout
from pointrad.data.moving import MovingLayout
from pointrad.data.photo import Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError


class BundledLayout(Layout, ABC):
    """One scene in NeRF-synthetic layout, of the dataset's name.

    bundled: where it lies.
    """

    bundled: ClassVar[Path]

    def folder(self, scene_name: str) -> Path:
        if scene_name != self.name:
            raise UserError(
                f"scene.name: found {scene_name!r}; dataset={self.name} holds only {self.name!r} (others: "
                "dataset=blender)"
            )
        return self.bundled


class DemoDatasetConfig(BundledLayout):
    """The bundled scene."""

    name: Literal["demo"]
    bundled: ClassVar = DEMO_FOLDER

    def listing(self, scene_name: str, split: Split) -> Listing:
        return listing(self.folder(scene_name), split, frames=None)


class DemoMovingDatasetConfig(BundledLayout, MovingLayout):
    """The bundled scene that moves."""

    name: Literal["demo_moving"]
    bundled: ClassVar = DEMO_MOVING_FOLDER

    def times(self, scene_name: str) -> tuple[float, ...]:
        return instants_of(self.folder(scene_name))

    def listing(self, scene_name: str, split: Split) -> Listing:
        return listing(self.folder(scene_name), split, self.frames)
