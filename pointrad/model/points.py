"""Points with a base colour and degree-2 spherical harmonics, splatted as discs of one radius (docs/method.md)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pointrad import harmonics
from pointrad.camera import Camera
from pointrad.model import groups
from pointrad.model.base import Cloud, Model, Vertices, directions

# The rows of a cloud of points: for the renderers of this model, which stream along them.
POSITION = slice(0, 3)
BASE = slice(3, 6)
HARMONICS = slice(6, 6 + 3 * harmonics.COUNT)
ROWS = HARMONICS.stop

_COEFFICIENTS = [f"sh_{j}_{channel}" for j in range(harmonics.COUNT) for channel in "rgb"]
_COLUMNS = [*"xyz", "base_r", "base_g", "base_b", *_COEFFICIENTS]


class Points(Model):
    """Coefficient j of channel c is row 3 j + c of the harmonics."""

    name = "points"
    groups = groups.POINTS

    def start(self, positions: Tensor, colours: Tensor, seed: int) -> Cloud:
        """Harmonics are uniform in [0, 1), as in the published program."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(ROWS - HARMONICS.start, len(positions), generator=generator)
        return Cloud(self, torch.cat([positions.T.float(), colours.T.float(), drawn]).contiguous())

    def colours(self, cloud: Cloud, camera: Camera) -> Tensor:
        values = harmonics.basis(directions(cloud["position"], camera))
        return cloud["base"] + torch.einsum(
            "jn,jcn->cn", values, cloud["harmonics"].view(harmonics.COUNT, 3, len(cloud))
        )

    def to_vertices(self, cloud: Cloud) -> Vertices:
        return dict(zip(_COLUMNS, cloud.parameters.cpu().numpy(), strict=True))

    def from_vertices(self, vertices: Vertices) -> Cloud:
        columns = [vertices[name].astype(np.float32) for name in _COLUMNS]
        return Cloud(self, torch.from_numpy(np.stack(columns)))


POINTS = Points()
