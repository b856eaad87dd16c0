"""Points with a base colour and degree-2 spherical harmonics, splatted as discs of one radius (spec, section 4)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pointrad import harmonics
from pointrad.model import groups
from pointrad.model.base import Cloud, Model, Vertices

# The rows of a cloud of points: for the renderers of this model, which stream along them.
POSITION = slice(0, 3)
BASE = slice(3, 6)
HARMONICS = slice(6, 6 + 3 * harmonics.COUNT)
ROWS = HARMONICS.stop

_SEEN = ("red", "green", "blue")
_POSITION = ("x", "y", "z")
_COLOURS = ("base_r", "base_g", "base_b", *(f"sh_{j}_{c}" for j in range(harmonics.COUNT) for c in "rgb"))


class Points(Model):
    """Coefficient j of channel c is row 3 j + c of the harmonics."""

    name = "points"
    groups = groups.POINTS

    def start(self, positions: Tensor, colours: Tensor, seed: int) -> Cloud:
        """Harmonics are uniform in [0, 1), as in the published program."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(ROWS - HARMONICS.start, len(positions), generator=generator)
        return Cloud(self, torch.cat([positions.T.float(), colours.T.float(), drawn]).contiguous())

    def to_vertices(self, cloud: Cloud) -> Vertices:
        """`red`, `green` and `blue`, which viewers show, are the colour without what depends on the direction."""
        seen = np.clip((cloud["base"] + harmonics.Y0 * cloud["harmonics"][:3]).cpu().numpy(), 0, 1)
        values = cloud.parameters.cpu().numpy()
        return {
            **dict(zip(_POSITION, values[POSITION], strict=True)),
            **dict(zip(_SEEN, np.rint(255 * seen).astype(np.uint8), strict=True)),
            **dict(zip(_COLOURS, values[BASE.start :], strict=True)),
        }

    def from_vertices(self, vertices: Vertices) -> Cloud:
        columns = [vertices[name].astype(np.float32) for name in _POSITION + _COLOURS]
        return Cloud(self, torch.from_numpy(np.stack(columns)))


POINTS = Points()
