"""What splats of a moving scene keep over all stages of a frame: where they come from, and whether they may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pointrad.model.base import Cloud

# Of `Cloud.state`, [N] each.
ORIGIN = "origin"  # int64: 1 + the place that a splat had in the cloud of the frame before, 0 for one that is new
STILL = "still"  # bool: the splat is not trained


def lasting(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a cloud's state outlasts a stage."""
    return {name: state[name] for name in (ORIGIN, STILL) if name in state}


@dataclass(frozen=True)
class Held:
    """Splats that stay as they are: their places in a cloud, and their parameters."""

    places: Tensor
    parameters: Tensor

    @classmethod
    def of(cls, cloud: Cloud) -> Held:
        still = cloud.state.get(STILL)
        places = torch.zeros(0, dtype=torch.int64) if still is None else still.nonzero()[:, 0]
        return cls(places, cloud.parameters[:, places.to(cloud.parameters.device)])

    def put_back(self, cloud: Cloud) -> None:
        """In place, after a step: Adam moves every splat by about its rate, however small its gradient."""
        if len(self.places):
            cloud.parameters[:, self.places] = self.parameters
