"""Which splats of a cloud the masks hold to be the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pointrad.data.scene import View
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.training.contributions import contributions

_ENOUGH = 0.4  # of what a splat shows must lie in masks: less than half, since wrong masks cut more than they add


class Voted(NamedTuple):
    """A cloud, and of all that each of its splats shows the views, how much lies in their masks: [N] in [0, 1]."""

    cloud: Cloud
    shares: Tensor


def voted_for(cloud: Cloud, views: Sequence[View], renderer: Renderer) -> Voted:
    """The splats of which at least `_ENOUGH` of what they show the views lies in their masks.

    Others are surroundings that few masks let in, or background that hides what most masks leave out. Masks that are
    empty or full do not vote.
    """
    voting = [view for view in views if view.mask.any() and not view.mask.all()]

    def pixels(view: View) -> Tensor:
        return torch.stack([torch.from_numpy(view.mask), torch.ones(view.mask.shape)])

    in_masks, everywhere, _ = contributions(cloud, voting, renderer, pixels)
    shares = torch.where(everywhere > 0, in_masks / everywhere, 0).clamp(0, 1)
    kept = (everywhere > 0) & (in_masks >= _ENOUGH * everywhere)
    return Voted(cloud.select(kept), shares[kept]) if kept.any() else Voted(cloud, shares)
