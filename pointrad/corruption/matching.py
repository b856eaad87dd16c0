"""Levels at which different models spoil masks equally, so that what each does to a result can be compared."""

from __future__ import annotations

from pointrad.corruption.base import CorruptionConfig, corrupt_views
from pointrad.data.scene import View
from pointrad.masks.iou import mask_iou

LEVEL_TOLERANCE = 1e-4


def corrupted_at(config: CorruptionConfig, views: tuple[View, ...], level: float) -> tuple[View, ...]:
    """The views corrupted with the config's model and seed, but at this level in [0, 1]."""
    return corrupt_views(config.at(level), views)


def matching_level(config: CorruptionConfig, views: tuple[View, ...], iou: float) -> float | None:
    """The level, to within LEVEL_TOLERANCE, at which the model's mean IoU over the views is `iou`; None if even
    level 1 leaves it higher. Where the IoU falls in steps, as with `dropout`, a level next to the step past `iou`.
    """

    from scipy.optimize import brentq  # not above: slow to import, and no run needs it

    def excess(level: float) -> float:
        return mask_iou(corrupted_at(config, views, level), views) - iou

    if excess(1) > 0:
        return None
    return round(float(brentq(excess, 0, 1, xtol=LEVEL_TOLERANCE / 2)), 4)
