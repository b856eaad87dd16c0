"""Captures on disk, as the library's callers name them."""

from __future__ import annotations

from pathlib import Path

from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.capture import Capture
from pointrad.data.demo import DemoDatasetConfig
from pointrad.data.layout import Layout
from pointrad.data.scene import Background
from pointrad.masks.alpha import AlphaMasksConfig
from pointrad.masks.config import MasksConfig

ALPHA = AlphaMasksConfig(name="alpha", threshold=None, reference=None)


def blender(root: Path, name: str = "tiny", downscale: float = 1, background: Background = "black",
            masks: MasksConfig = ALPHA, max_size: int | None = None) -> Capture:  # fmt: skip
    dataset = BlenderDatasetConfig(
        name="blender", frames=None, root=root, downscale=downscale, max_size=max_size, background=background
    )
    return Capture(dataset, masks, name)


def demo(name: str = "demo", downscale: float = 1) -> Capture:
    dataset: Layout = DemoDatasetConfig(name="demo", downscale=downscale, max_size=None, background="black")
    return Capture(dataset, ALPHA, name)
