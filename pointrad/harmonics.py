"""Real spherical harmonics up to degree 3, in the order and signs of the published code (PlenOctrees, 3DGS)."""

from __future__ import annotations

import torch
from torch import Tensor

COUNT = 9  # of a point's, of degree 2

# Normalisation of the bands: sqrt(1 / 4 pi), sqrt(3 / 4 pi), sqrt(15 / 4 pi), sqrt(5 / 16 pi), sqrt(15 / 16 pi), and of
# the last sqrt(35 / 32 pi), sqrt(105 / 4 pi), sqrt(21 / 32 pi), sqrt(7 / 16 pi), sqrt(105 / 16 pi).
Y0 = 0.28209479177387814
Y1 = 0.4886025119029199
Y2 = 1.0925484305920792
Y2_ZZ = 0.31539156525252005
Y2_XX_YY = 0.5462742152960396
Y3 = 0.5900435899266435
Y3_XYZ = 2.890611442640554
Y3_ZZ = 0.4570457994644658
Y3_ZZZ = 0.3731763325901154
Y3_XX_YY = 1.445305721320277


def basis(directions: Tensor, degree: int = 2) -> Tensor:
    """The (degree + 1)^2 harmonics at unit world directions [3, ...] (camera to point), stacked first, same dtype."""
    x, y, z = directions
    bands = [
        [torch.full_like(x, Y0)],
        [-Y1 * y, Y1 * z, -Y1 * x],
        [
            Y2 * x * y,
            -Y2 * y * z,
            Y2_ZZ * (2 * z * z - x * x - y * y),
            -Y2 * x * z,
            Y2_XX_YY * (x * x - y * y),
        ],
        [
            -Y3 * y * (3 * x * x - y * y),
            Y3_XYZ * x * y * z,
            -Y3_ZZ * y * (4 * z * z - x * x - y * y),
            Y3_ZZZ * z * (2 * z * z - 3 * x * x - 3 * y * y),
            -Y3_ZZ * x * (4 * z * z - x * x - y * y),
            Y3_XX_YY * z * (x * x - y * y),
            -Y3 * x * (x * x - 3 * y * y),
        ],
    ]
    return torch.stack([value for band in bands[: degree + 1] for value in band])
