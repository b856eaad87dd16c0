"""Models of how object masks go wrong, one per file."""

from __future__ import annotations

from pointrad.corruption.base import corrupt_views, cut_targets
from pointrad.corruption.matching import corrupted_at, matching_level

__all__ = [
    "corrupt_views",
    "corrupted_at",
    "cut_targets",
    "matching_level",
]
