"""How well hulls agree with what views show, and which of them are looked at for that."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pointrad.data.scene import View
from pointrad.init.agreement import silhouette_iou
from pointrad.init.evidence import in_a_row
from pointrad.init.votes import Lattice, count_votes
from tests.init.test_adaptive import VIEWS, shifted_masks
from tests.scenes import cube


class Counter:
    """Counts votes, and remembers from which number on."""

    def __init__(self, views: tuple[View, ...]) -> None:
        self.views, self.lattice = views, Lattice(48, cube(-1, 1))
        self.floors: list[int] = []

    def __call__(self, floor: int) -> NDArray[np.uint16]:
        self.floors.append(floor)
        return count_votes(self.views, self.lattice, 0.0, floor).counts

    def iou(self, least: int) -> NDArray[np.float64]:
        shown = in_a_row(view.mask > 0 for view in self.views)
        return silhouette_iou(self.views, shown, self.lattice, self, least)


@pytest.mark.parametrize(("pixels", "floors"), [(0, [22]), (3, [22, 1])])
def test_few_votes_are_counted_only_where_they_may_agree_better(pixels: int, floors: list[int]) -> None:
    counter = Counter(shifted_masks(VIEWS, pixels))
    counter.iou(least=1)
    assert counter.floors == floors


@pytest.mark.parametrize("pixels", [0, 2, 5])
def test_what_is_left_out_is_never_the_best(pixels: int) -> None:
    counter = Counter(shifted_masks(VIEWS, pixels))
    alone = [counter.iou(least=n)[n] for n in range(1, len(VIEWS) + 1)]
    found = counter.iou(least=1)[1:]
    assert (found.max(), found[::-1].argmax()) == (max(alone), np.argmax(alone[::-1]))
