"""What the training views say of the object: a value for each of their pixels, and what it asks of the hull."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pointrad.data.scene import View

Pixels = NDArray[np.bool_]  # [P], those of all views in a row, or a view's own [H, W]
Values = TypeVar("Values", bound=np.generic)
Colour = tuple[float, float, float]
BACKGROUND_TOLERANCE = 0.5 / 255  # of a channel: what an 8-bit picture cannot tell from the background


def in_a_row(pictures: Iterable[NDArray[Values]]) -> NDArray[Values]:
    """[P] all pixels of pictures [H, W], which may differ in size: one picture's rows after another's."""
    return np.concatenate([picture.ravel() for picture in pictures])


def by_view(pixels: NDArray[Values], views: Sequence[View]) -> list[NDArray[Values]]:
    """Of each view its own pixels [H, W], of those of all views in a row [P]; no copies."""
    ends = np.cumsum([view.mask.size for view in views])
    parts = np.split(pixels, ends[:-1])
    return [part.reshape(view.mask.shape) for part, view in zip(parts, views, strict=True)]


@dataclass(frozen=True)
class Needs:
    """What a point of the hull needs.

    votes: from so many views. empty_share: the share that may see background, of the views that vote or do.
    """

    votes: int
    empty_share: float


@dataclass(frozen=True)
class Evidence:
    """What each pixel of the views says, [P] bool each, those of all views in a row, and what to ask of points.

    votes: the view votes for what it sees there. seen_object: what the hull's silhouettes should be; a vote that may be
    a mask's error is not of it. seen_background: the view sees that nothing is there. unknown: the object may be there
    all the same, since a wrong mask may have cut it off the image, or left it among the surroundings. Pixels that are
    not to be used (`View.used`) are none of these.
    cut: wrong masks have cut the images, which then show nothing but the object, and not all of it.
    The views' images are as training sees them, and the background where they show surroundings or are unknown.
    """

    views: tuple[View, ...]
    votes: Pixels
    seen_object: Pixels
    seen_background: Pixels
    unknown: Pixels
    cut: bool
    needs: Needs

    def unknown_weight(self, darkening: float) -> float:
        """What the error of an unknown pixel should be multiplied by (`View.weight`), its target being background.

        The less views may miss of the object, the more. Colours tend to what most of the squared errors ask for: of a
        point that a share m of the views miss, with a share s of their errors, m s^2 / (1 - m) of it is background.
        That is kept at `darkening`.
        """
        missing = 1 - self.needs.votes / len(self.views)
        return min(1.0, math.sqrt(darkening * (1 - missing) / missing)) if missing else 1.0


def weighted_views(evidence: Evidence, darkening: float) -> tuple[View, ...]:
    """The views, in which unknown pixels count as background with `unknown_weight`."""
    weight = evidence.unknown_weight(darkening)
    unknown = by_view(evidence.unknown, evidence.views)
    return tuple(view.weighing(pixels, weight) for view, pixels in zip(evidence.views, unknown, strict=True))
