"""The one colour that says most of a splat whose colour depends on where it is seen from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pointrad.data.scene import View
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.training.contributions import contributions

_MOST_VIEWS = 24  # spread over those given: enough to see all of an object


def mean_colours(cloud: Cloud, views: Sequence[View], renderer: Renderer) -> Tensor:
    """[3, N] RGB: the mean of what each splat shows the views, weighted by how much of it they see.

    One that no view sees has the mean over all of them.
    """
    total, weights = torch.zeros_like(cloud["base"]), torch.zeros_like(cloud["base"][0])
    unseen = torch.zeros_like(total)
    count = min(len(views), _MOST_VIEWS)
    for view in (views[index * len(views) // count] for index in range(count)):
        colours = cloud.model.colours(cloud, view.camera).clamp(0, 1)
        weight = contributions(cloud, [view], renderer, lambda view: torch.ones(1, *view.mask.shape))[0].clamp(min=0)
        total += weight * colours
        weights += weight
        unseen += colours / count
    return torch.where(weights > 0, total / weights.clamp(min=1e-12), unseen)
