"""What splats of a moving scene keep over all stages of a frame: where they come from, and how they may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pointrad.model.base import Cloud

# Of `Cloud.state`.
ORIGIN = "origin"  # [N] int64: 1 + the place that a splat had in the cloud of the frame before, 0 for one that is new
STILL = "still"  # [N] bool: the splat is not trained
TOGETHER = "together"  # [N] bool: the splat moves as its neighbours do
BEGUN = "begun"  # [3, N] float32, scene units: where the splat was before this frame was trained

_NEIGHBOURS = 32  # splats that move as one, itself among them


def lasting(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a cloud's state outlasts a stage."""
    return {name: state[name] for name in (ORIGIN, STILL, TOGETHER, BEGUN) if name in state}


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


def move_together(cloud: Cloud) -> None:
    """In place, after an epoch: a splat that moves as its neighbours do gets the mean of their displacements since the
    frame before. What they have in common is motion; what each does besides is noise, and would flicker.
    """
    together = cloud.state.get(TOGETHER)
    if together is None or not together.any():
        return
    from scipy.spatial import KDTree  # not above: slow to import, and the first frame would wait for it

    begun, positions = cloud.state[BEGUN], cloud["position"]
    places = together.nonzero()[:, 0]
    tree = KDTree(begun.T.cpu().numpy())
    near = tree.query(begun[:, places].T.cpu().numpy(), range(1, min(_NEIGHBOURS, len(cloud)) + 1))[1]
    displacements = (positions - begun)[:, torch.from_numpy(near).to(places.device)]
    positions[:, places] = begun[:, places] + displacements.mean(dim=2)
