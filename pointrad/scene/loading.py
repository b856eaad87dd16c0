"""From a dataset's config to a scene."""

from __future__ import annotations

from pathlib import Path

from pointrad.config import BlenderDatasetConfig, DatasetConfig, DemoDatasetConfig, MasksConfig
from pointrad.scene.blender import load_blender
from pointrad.scene.demo import demo_folder, load_demo
from pointrad.scene.masks import with_hard_masks
from pointrad.scene.poses import refuse_world_to_camera
from pointrad.scene.remarks import remark
from pointrad.scene.types import Scene, Split


def load_scene(dataset: DatasetConfig, scene_name: str, split: Split) -> Scene:
    """Load a scene with its train views and, for evaluation, those of `split`; no other image is read.

    Images are on the dataset's background, masks soft (`prepare` makes them hard). Raises UserError naming the file or
    key that is wrong, what was found there and what is expected.
    """
    match dataset:
        case DemoDatasetConfig():
            return load_demo(scene_name, split, dataset.downscale, dataset.background)
        case BlenderDatasetConfig():
            return load_blender(dataset.root, scene_name, split, dataset.downscale, dataset.background)


def prepare(scene: Scene, dataset: DatasetConfig, masks: MasksConfig) -> Scene:
    """A loaded scene, made ready to work on: its masks hard, views without a usable mask left out, and remarked upon.

    Raises UserError if most masks are unusable, or poses are world-to-camera.
    """
    refuse_world_to_camera([view.camera for view in scene.train])
    remark(scene, dataset.background)
    return with_hard_masks(scene, masks.threshold_on(dataset.background))


def scene_folder(dataset: DatasetConfig, scene_name: str) -> Path:
    """The folder that holds the scene's files. Raises UserError if the dataset has no such scene."""
    match dataset:
        case DemoDatasetConfig():
            return demo_folder(scene_name)
        case BlenderDatasetConfig():
            return dataset.root / scene_name
