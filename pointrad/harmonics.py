"""Real spherical harmonics up to degree 2, in the order and signs of the published code (PlenOctrees, 3DGS)."""

from __future__ import annotations

import torch
from torch import Tensor

COUNT = 9

# Normalisation of the bands: sqrt(1 / 4 pi), sqrt(3 / 4 pi), sqrt(15 / 4 pi), sqrt(5 / 16 pi), sqrt(15 / 16 pi).
Y0 = 0.28209479177387814
Y1 = 0.4886025119029199
Y2 = 1.0925484305920792
Y2_ZZ = 0.31539156525252005
Y2_XX_YY = 0.5462742152960396


def basis(directions: Tensor) -> Tensor:
    """The nine harmonics at unit world directions [3, ...] (camera to point): [9, ...], same dtype."""
    x, y, z = directions
    return torch.stack(
        [
            torch.full_like(x, Y0),
            -Y1 * y,
            Y1 * z,
            -Y1 * x,
            Y2 * x * y,
            -Y2 * y * z,
            Y2_ZZ * (2 * z * z - x * x - y * y),
            -Y2 * x * z,
            Y2_XX_YY * (x * x - y * y),
        ]
    )
