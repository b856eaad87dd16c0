"""How wrong corrupted masks are, in one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pointrad.data.scene import View


def mask_iou(corrupted: Sequence[View], clean: Sequence[View]) -> float:
    """Mean over views of the intersection over union of the corrupted and the clean mask, both taken as mask > 0, the
    way the hull reads them. Two empty masks agree (1)."""
    ratios = []
    for a, b in zip(corrupted, clean, strict=True):
        union = np.count_nonzero((a.mask > 0) | (b.mask > 0))
        ratios.append(np.count_nonzero((a.mask > 0) & (b.mask > 0)) / union if union else 1.0)
    return float(np.mean(ratios))


def with_true_masks(views: Sequence[View]) -> tuple[View, ...]:
    """The views with their reference masks, where they have some, in place of those given."""
    return tuple(view if view.reference is None else replace(view, mask=view.reference) for view in views)
