"""The scene that comes with the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pointrad.bundled import DEMO_FOLDER
from pointrad.data.blender import listing
from pointrad.data.layout import Layout
from pointrad.data.photo import Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError


class DemoDatasetConfig(Layout):
    """The scene that comes with the repository, in NeRF-synthetic layout."""

    name: Literal["demo"]

    def folder(self, scene_name: str) -> Path:
        if scene_name != "demo":
            raise UserError(
                f"scene.name: found {scene_name!r}; dataset=demo holds only 'demo' (others: dataset=blender)"
            )
        return DEMO_FOLDER

    def listing(self, scene_name: str, split: Split) -> Listing:
        return listing(self.folder(scene_name), split, frames=None)
