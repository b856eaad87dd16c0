"""The scene that comes with the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pointrad.bundled import DEMO_FOLDER
from pointrad.data.blender import load_folder, split_files
from pointrad.data.layout import Layout
from pointrad.data.scene import Scene, Split
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

    def files(self, scene_name: str, split: Split) -> tuple[Path, ...]:
        return split_files(self.folder(scene_name), split)

    def load(self, scene_name: str, split: Split) -> Scene:
        return load_folder(self.folder(scene_name), scene_name, split, self.downscale, self.background)
