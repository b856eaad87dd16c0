"""The layouts that captures may have, and what is done to a scene of any of them before work starts."""

from __future__ import annotations

from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.demo import DemoDatasetConfig
from pointrad.data.layout import Layout
from pointrad.data.poses import refuse_world_to_camera
from pointrad.data.remarks import remark
from pointrad.data.scene import Scene
from pointrad.masks.hard import MasksConfig, with_hard_masks

DatasetConfig = DemoDatasetConfig | BlenderDatasetConfig  # each layout is registered here


def prepare(scene: Scene, dataset: Layout, masks: MasksConfig) -> Scene:
    """A loaded scene, made ready to work on: its masks hard, views without a usable mask left out, and remarked upon.

    Raises UserError if most masks are unusable, or poses are world-to-camera.
    """
    refuse_world_to_camera([view.camera for view in scene.train])
    remark(scene, dataset.background)
    return with_hard_masks(scene, masks.threshold_on(dataset.background))
