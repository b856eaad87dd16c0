"""Scenes: posed views with their masks, and where they are loaded from."""

from __future__ import annotations

from pointrad.camera import Camera
from pointrad.scene.types import Scene, Split, View

__all__ = ["Camera", "Scene", "Split", "View"]
