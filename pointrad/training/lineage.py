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
class Bonds:
    """What splats of a cloud may not do on their own; until operations change which splats there are.

    held: the places of those that stay as they are. parameters: [D, H], theirs. together: the places [M] of those that
    move as their neighbours do. neighbours: [M, K], the places of these.
    """

    held: Tensor
    parameters: Tensor
    together: Tensor
    neighbours: Tensor

    @classmethod
    def of(cls, cloud: Cloud) -> Bonds:
        held, together = _places(cloud, STILL), _places(cloud, TOGETHER)
        return cls(held, cloud.parameters[:, held], together, _neighbours(cloud, together))

    def put_back(self, cloud: Cloud) -> None:
        """In place, after a step: Adam moves every splat by about its rate, however small its gradient."""
        if len(self.held):
            cloud.parameters[:, self.held] = self.parameters

    def move_together(self, cloud: Cloud) -> None:
        """In place, after an epoch: a splat that moves as its neighbours do gets the mean of their displacements since
        the frame before. What they have in common is motion; what each does besides is noise, and would flicker.
        """
        if len(self.together):
            begun, positions = cloud.state[BEGUN], cloud["position"]
            displacements = (positions - begun)[:, self.neighbours]
            positions[:, self.together] = begun[:, self.together] + displacements.mean(dim=2)


def _places(cloud: Cloud, name: str) -> Tensor:
    marked = cloud.state.get(name)
    places = torch.zeros(0, dtype=torch.int64) if marked is None else marked.nonzero()[:, 0]
    return places.to(cloud.parameters.device)


def _neighbours(cloud: Cloud, places: Tensor) -> Tensor:
    """[M, K] the places of the splats that were nearest to these [M] in the frame before, each itself among them."""
    if not len(places):
        return places[:, None]
    from scipy.spatial import KDTree  # not above: slow to import, and the first frame would wait for it

    begun = cloud.state[BEGUN].T.cpu().numpy()
    near = KDTree(begun).query(begun[places.cpu().numpy()], range(1, min(_NEIGHBOURS, len(cloud)) + 1))[1]
    return torch.from_numpy(near).to(places.device)
