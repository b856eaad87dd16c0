"""Models of how object masks go wrong, one per file."""

from __future__ import annotations

from pointrad.corruption.base import Corruption, corrupt_views, cut_targets
from pointrad.corruption.iou import mask_iou
from pointrad.corruption.matching import corrupted_at, matching_level

__all__ = [
    "Corruption",
    "corrupt_views",
    "corrupted_at",
    "cut_targets",
    "mask_iou",
    "matching_level",
]
