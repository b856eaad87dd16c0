"""What is wrong with a given mask, beside the one that replaces it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from scipy.ndimage import binary_fill_holes

from pointrad.masks.iou import Mask, iou

_FINE = 0.98  # IoU of masks that differ by little
_MOST = 0.5  # of all that differs: what explains it names the error
_ONE_SIDED = 3  # times as much on one side of the outline as on the other


class Kind(StrEnum):
    """What kind of error a given mask has. missing: it shows nothing, or everything. shifted: it has too much on one
    side and too little on another, as if moved or turned."""

    MISSING = "missing"
    TOO_LARGE = "too large"
    TOO_SMALL = "too small"
    SHIFTED = "shifted"
    HOLE = "hole"
    STRAY_BLOB = "stray blob"
    FINE = "fine"


@dataclass(frozen=True)
class Comparison:
    """iou: of the given mask and the repaired one; 0 where the given one is missing. distance: between their outlines,
    the mean in pixels; None where one has none."""

    kind: Kind
    iou: float
    distance: float | None

    def enlarged(self, factor: float) -> Comparison:
        """Of the same masks with so many times as many pixels along each axis."""
        return self if self.distance is None else replace(self, distance=factor * self.distance)


def compare(given: Mask | None, repaired: Mask) -> Comparison:
    """given, repaired: [H, W]; None: no mask was given, or none that could be used."""
    if given is None or not given.any() or given.all():
        agree = given is not None and np.array_equal(given, repaired)
        return Comparison(Kind.FINE, 1.0, None) if agree else Comparison(Kind.MISSING, 0.0, None)
    agreement = iou(given, repaired)
    kind = Kind.FINE if agreement >= _FINE else _kind(given, repaired)
    return Comparison(kind, agreement, outline_distance(given, repaired))


def outline_distance(one: Mask, other: Mask) -> float | None:
    """The mean distance in pixels from each pixel of either mask's outline to the other's; None where one has none."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    outlines = [mask & (cv2.erode(mask.astype(np.uint8), cross) == 0) for mask in (one, other)]
    if not all(line.any() for line in outlines):
        return None
    there, back = (
        cv2.distanceTransform((~line).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for line in outlines
    )
    return float((there[outlines[1]].mean() + back[outlines[0]].mean()) / 2)


def _kind(given: Mask, repaired: Mask) -> Kind:
    """By what explains most of the pixels that differ: first what is apart from the outline, then its sides."""
    beyond, lacking = given & ~repaired, repaired & ~given
    all_that_differs = np.count_nonzero(beyond) + np.count_nonzero(lacking)
    if np.count_nonzero(lacking & binary_fill_holes(given)) >= _MOST * all_that_differs:
        return Kind.HOLE
    if np.count_nonzero(_apart(given, repaired)) >= _MOST * all_that_differs:
        return Kind.STRAY_BLOB
    if np.count_nonzero(beyond) > _ONE_SIDED * np.count_nonzero(lacking):
        return Kind.TOO_LARGE
    if np.count_nonzero(lacking) > _ONE_SIDED * np.count_nonzero(beyond):
        return Kind.TOO_SMALL
    return Kind.SHIFTED


def _apart(given: Mask, repaired: Mask) -> Mask:
    """The parts of the given mask that touch nothing of the repaired one."""
    count, parts = cv2.connectedComponents(given.astype(np.uint8), connectivity=8)
    touching = np.zeros(count, bool)
    touching[np.unique(parts[repaired])] = True
    apart: Mask = given & ~touching[parts]
    return apart
