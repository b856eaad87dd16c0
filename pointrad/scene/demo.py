"""The scene that comes with the repository."""

from __future__ import annotations

from pathlib import Path

from pointrad.bundled import DEMO_FOLDER
from pointrad.config import Background
from pointrad.errors import UserError
from pointrad.scene.blender import load_folder
from pointrad.scene.types import Scene, Split


def load_demo(scene_name: str, split: Split, downscale: int, background: Background) -> Scene:
    """Load the bundled scene, which is in NeRF-synthetic layout, with its train views and those of `split`.

    Raises UserError if another scene is asked for, or as `load_blender` does.
    """
    return load_folder(demo_folder(scene_name), scene_name, split, downscale, background)


def demo_folder(scene_name: str) -> Path:
    """The folder of the bundled scene. Raises UserError if another scene is asked for."""
    if scene_name != "demo":
        raise UserError(f"scene.name: found {scene_name!r}; dataset=demo holds only 'demo' (others: dataset=blender)")
    return DEMO_FOLDER
