"""Levels at which different models spoil masks equally, so that what each does to a result can be compared."""

from __future__ import annotations

from pointrad.corruption.base import CorruptionConfig, corrupt_views
from pointrad.data.scene import Scene, View
from pointrad.masks.iou import mask_iou

LEVEL_TOLERANCE = 1e-4


def corrupted_at(config: CorruptionConfig, scene: Scene, level: float) -> tuple[View, ...]:
    """The training views corrupted with the config's model and seed, but at this level in [0, 1]."""
    return corrupt_views(config.at(level), scene.train, scene.shots)


def matching_level(config: CorruptionConfig, scene: Scene, iou: float) -> float | None:
    """The level, to within LEVEL_TOLERANCE, at which the model's mean IoU over the training views is `iou`; None if
    even level 1 leaves it higher. Where the IoU falls in steps, as with `dropout`, a level next to the step past `iou`.
    """

    from scipy.optimize import brentq  # not above: slow to import, and no run needs it

    def excess(level: float) -> float:
        return mask_iou(corrupted_at(config, scene, level), scene.train) - iou

    if excess(1) > 0:
        return None
    return round(float(brentq(excess, 0, 1, xtol=LEVEL_TOLERANCE / 2)), 4)
