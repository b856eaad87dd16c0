"""What gsplat 1.5.3 computes, in plain torch: so much of it as `GsplatRenderer` asks for, on machines without a GPU.

Written from gsplat's kernels and in its conventions (OpenCV's camera axes, intrinsic matrices, quaternions w x y z),
not from ours, and in float64, so that what is found between both is no rounding. Where gsplat is installed, tests
compare it with gsplat's own functions in torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

MOST_ALPHA, LEAST_ALPHA, DONE = 0.999, 1 / 255, 1e-4


class Projected(NamedTuple):
    """Gaussians before one camera: centre [N, 2] pixels, covariance [N, 2, 2] square pixels with blur, depth [N]."""

    centre: Tensor
    covariance: Tensor
    depth: Tensor


def rasterization(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, viewmats: Tensor,
    Ks: Tensor,  # noqa: N803, gsplat's name
    width: int, height: int, near_plane: float, eps2d: float, packed: bool, backgrounds: Tensor, rasterize_mode: str,
) -> tuple[Tensor, Tensor, dict[str, Any]]:  # fmt: skip
    """As `gsplat.rasterization`, of one camera: [1, H, W, 3] colours, [1, H, W, 1] opacity, and the centres."""
    assert not packed
    assert rasterize_mode == "classic"
    assert len(viewmats) == len(Ks) == len(backgrounds) == 1
    covariance = covariances(quats.double(), scales.double())
    pose, matrix = viewmats[0].double(), Ks[0].double()
    seen = project(means.double(), covariance, pose, matrix, width, height, near_plane, eps2d)
    centres = seen.centre.float()[None]
    exact = seen._replace(centre=seen.centre.detach() + centres[0] - centres[0].detach())
    image, transmittance = blend(exact, opacities.double(), colors.double(), width, height, near_plane)
    on_background = image + transmittance[..., None] * backgrounds[0]
    return on_background[None].float(), 1 - transmittance[None, ..., None].float(), {"means2d": centres}


def covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """[N, 3, 3] in the world, of quaternions [N, 4] of any length and standard deviations [N, 3]."""
    w, x, y, z = (quats / quats.norm(dim=1, keepdim=True)).unbind(dim=1)
    columns = [
        torch.stack([1 - 2 * (y**2 + z**2), 2 * (x * y + w * z), 2 * (x * z - w * y)], dim=1),
        torch.stack([2 * (x * y - w * z), 1 - 2 * (x**2 + z**2), 2 * (y * z + w * x)], dim=1),
        torch.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x**2 + y**2)], dim=1),
    ]
    scaled = torch.stack(columns, dim=2) * scales[:, None]
    return scaled @ scaled.mT


def project(
    means: Tensor, covariance: Tensor, viewmat: Tensor, matrix: Tensor, width: int, height: int, near: float,
    eps2d: float,
) -> Projected:  # fmt: skip
    """As the classic mode does, whose blur leaves opacities as they are; what lies nearer than `near` means nothing.

    viewmat: [4, 4] from the world to OpenCV's camera axes. matrix: [3, 3] from those to pixels times depth.
    """
    rotation, translation = viewmat[:3, :3], viewmat[:3, 3]
    x, y, depth = (means @ rotation.T + translation).unbind(dim=1)
    z = torch.where(depth < near, 1.0, depth)
    (fx, _, cx), (_, fy, cy), _ = matrix.tolist()
    margin_x, margin_y = 0.3 * 0.5 * width / fx, 0.3 * 0.5 * height / fy
    tx = z * (x / z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    ty = z * (y / z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [torch.stack([fx / z, zero, -fx * tx / z**2], dim=1), torch.stack([zero, fy / z, -fy * ty / z**2], dim=1)],
        dim=1,
    )
    flat = jacobian @ rotation @ covariance @ rotation.T @ jacobian.mT
    centre = torch.stack([fx * x / z + cx, fy * y / z + cy], dim=1)
    return Projected(centre, flat + eps2d * torch.eye(2, dtype=z.dtype), depth)


def blend(
    seen: Projected, opacities: Tensor, colours: Tensor, width: int, height: int, near: float
) -> tuple[Tensor, Tensor]:
    """[H, W, 3] without a background, and the transmittance [H, W]; a pixel is done before it would be opaque."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([x, y], dim=2) + 0.5
    conics = torch.linalg.inv(seen.covariance)
    image, transmittance = colours.new_zeros(height, width, 3), colours.new_ones(height, width)
    done = torch.zeros(height, width, dtype=torch.bool)
    for i in torch.argsort(seen.depth.detach(), stable=True).tolist():
        if seen.depth[i] < near:
            continue
        delta = seen.centre[i] - pixels
        sigma = 0.5 * torch.einsum("hwi,ij,hwj->hw", delta, conics[i], delta)
        alpha = (opacities[i] * torch.exp(-sigma)).clamp(max=MOST_ALPHA)
        alpha = torch.where((alpha < LEAST_ALPHA) | done, 0, alpha)
        left = transmittance * (1 - alpha)
        done = done | (left <= DONE)
        image = image + torch.where(done, 0, alpha * transmittance)[..., None] * colours[i]
        transmittance = torch.where(done, transmittance, left)
    return image, transmittance
