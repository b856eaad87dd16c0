"""From a dataset's config to a scene."""

from __future__ import annotations

from pathlib import Path

from pointrad.config import BlenderDatasetConfig, DatasetConfig, DemoDatasetConfig
from pointrad.scene.blender import load_blender
from pointrad.scene.demo import demo_folder, load_demo
from pointrad.scene.types import Scene, Split


def load_scene(dataset: DatasetConfig, scene_name: str, split: Split) -> Scene:
    """Load a scene with its train views and, for evaluation, those of `split`; no other image is read.

    Raises UserError naming the file or key that is wrong, what was found there and what is expected.
    """
    match dataset:
        case DemoDatasetConfig():
            return load_demo(scene_name, split, dataset.downscale, dataset.background)
        case BlenderDatasetConfig():
            return load_blender(dataset.root, scene_name, split, dataset.downscale, dataset.background)


def scene_folder(dataset: DatasetConfig, scene_name: str) -> Path:
    """The folder that holds the scene's files. Raises UserError if the dataset has no such scene."""
    match dataset:
        case DemoDatasetConfig():
            return demo_folder(scene_name)
        case BlenderDatasetConfig():
            return dataset.root / scene_name
