"""The model: a cloud of points with a base colour and degree-2 spherical harmonics (spec, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointrad import harmonics

POSITION = slice(0, 3)
BASE = slice(3, 6)
HARMONICS = slice(6, 6 + 3 * harmonics.COUNT)
ROWS = HARMONICS.stop


@dataclass(frozen=True)
class Cloud:
    """N points as one tensor.

    parameters: [33, N] float32, contiguous: 3 rows of position (scene units), 3 of base RGB, 27 of harmonics
        (coefficient-major: row 6 + 3 j + c is coefficient j of channel c). A row per parameter rather than a row per
        point, so that kernels and the optimiser stream along the points.
    """

    parameters: Tensor

    @classmethod
    def from_points(cls, positions: Tensor, colours: Tensor, seed: int) -> Cloud:
        """A fresh cloud from [N, 3] positions and RGB, its harmonics uniform in [0, 1) drawn from `seed`."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(ROWS - HARMONICS.start, len(positions), generator=generator)
        return cls(torch.cat([positions.T.float(), colours.T.float(), drawn]).contiguous())

    def __len__(self) -> int:
        return self.parameters.shape[1]

    @property
    def positions(self) -> Tensor:
        """[3, N] view, scene units (`SceneFrame`)."""
        return self.parameters[POSITION]

    @property
    def base(self) -> Tensor:
        """[3, N] view, RGB."""
        return self.parameters[BASE]

    @property
    def harmonics(self) -> Tensor:
        """[9, 3, N] view, coefficients per channel."""
        return self.parameters[HARMONICS].view(harmonics.COUNT, 3, -1)

    @property
    def megabytes(self) -> float:
        """Size of the parameters in units of 2^20 bytes, the published "model size"."""
        return self.parameters.numel() * self.parameters.element_size() / 2**20

    def select(self, index: Tensor) -> Cloud:
        """The points at [M] int64 or [N] bool `index`, in that order, as a new cloud."""
        return Cloud(self.parameters[:, index].contiguous())
