"""How wrong corrupted masks are, in one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointrad.data.scene import View

Mask = NDArray[np.bool_]


def iou(one: Mask, other: Mask) -> float:
    """The intersection over union of two masks [H, W]; two empty ones agree (1)."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def mask_iou(corrupted: Sequence[View], clean: Sequence[View]) -> float:
    """Mean over views of the intersection over union of the corrupted and the clean mask, both taken as mask > 0, the
    way the hull reads them, of the pixels that are used."""
    pairs = zip(corrupted, clean, strict=True)
    return float(np.mean([iou((a.mask > 0) & a.used, (b.mask > 0) & a.used) for a, b in pairs]))


def with_true_masks(views: Sequence[View]) -> tuple[View, ...]:
    """The views with their reference masks, where they have some, in place of those given."""
    return tuple(view if view.reference is None else replace(view, mask=view.reference) for view in views)
