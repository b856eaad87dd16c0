"""Gaussians as they are defined in `gaussians`, slowly, in torch: every one against every pixel. For tests."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera, to_pixels
from pointrad.model.gaussians import rotations
from pointrad.render.gaussians import (
    BASE,
    BLUR,
    FIRST_HARMONIC,
    LEAST_ALPHA,
    MARGIN,
    MOST_ALPHA,
    NEAR,
    OPACITY,
    OPAQUE,
    POSITION,
    ROTATION,
    SCALE,
)
from pointrad.render.projection import point_directions


class Splats(NamedTuple):
    """Gaussians as a camera sees them.

    centre: [N, 2] pixels; covariance: [N, 2, 2] square pixels; depth: [N] world units; opacity: [N]; colour: [N, 3].
    """

    centre: Tensor
    covariance: Tensor
    depth: Tensor
    opacity: Tensor
    colour: Tensor


def render(parameters: Tensor, camera: Camera, background: tuple[float, float, float], degree: int) -> Tensor:
    """[H, W, 3] in [0, 1], in the dtype of `parameters` [D, N]; harmonics above `degree` are left out."""
    return composite(parameters, camera, background, degree)[0].clamp(0, 1)


def composite(
    parameters: Tensor, camera: Camera, background: tuple[float, float, float], degree: int
) -> tuple[Tensor, Tensor]:
    """The image [H, W, 3] before it is clamped, and its opacity [H, W]."""
    dtype = parameters.dtype
    splats = project(parameters, camera, degree)
    image = torch.zeros(camera.height, camera.width, 3, dtype=dtype)
    transmittance = torch.ones(camera.height, camera.width, dtype=dtype)
    y, x = torch.meshgrid(
        *(torch.arange(size, dtype=dtype) + 0.5 for size in (camera.height, camera.width)), indexing="ij"
    )
    pixels = torch.stack([x, y], dim=2)
    # Of depths that float32 cannot tell apart, as the kernels see them, the lower index comes first.
    for i in torch.argsort(splats.depth.detach().float(), stable=True).tolist():
        if splats.depth[i] <= NEAR:
            continue
        d = pixels - splats.centre[i]
        q = torch.einsum("hwi,ij,hwj->hw", d, torch.linalg.inv(splats.covariance[i]), d)
        alpha = (splats.opacity[i] * torch.exp(-q / 2)).clamp(max=MOST_ALPHA)
        alpha = torch.where((alpha >= LEAST_ALPHA) & (transmittance >= OPAQUE), alpha, 0)
        image = image + (transmittance * alpha)[..., None] * splats.colour[i]
        transmittance = transmittance * (1 - alpha)
    return image + transmittance[..., None] * torch.tensor(background, dtype=dtype), 1 - transmittance


def project(parameters: Tensor, camera: Camera, degree: int) -> Splats:
    """The splats of a cloud [D, N]; those that lie nearer than NEAR are not meaningful."""
    fx, fy, cx, cy = camera.intrinsics
    pose = torch.as_tensor(camera.world_to_image, dtype=parameters.dtype, device=parameters.device)
    x, y, z = pose[:, :3] @ parameters[POSITION] + pose[:, 3:]
    z = torch.where(z > NEAR, z, torch.ones_like(z))
    across, down = _within(x / z, fx, cx, camera.width), _within(y / z, fy, cy, camera.height)
    none = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, none, -fx / z * across, none, fy / z, -fy / z * down]).T.reshape(-1, 2, 3)
    axes = jacobian @ pose[:, :3] @ rotations(parameters[ROTATION]) @ torch.diag_embed(parameters[SCALE].T.exp())
    return Splats(
        centre=torch.stack(to_pixels(x, y, z, camera.intrinsics), dim=1),
        covariance=axes @ axes.mT + BLUR * torch.eye(2, dtype=z.dtype, device=z.device),
        depth=pose[2, :3] @ parameters[POSITION] + pose[2, 3],
        opacity=torch.sigmoid(parameters[OPACITY]),
        colour=colours(parameters, camera, degree),
    )


def _within(slope: Tensor, focal: float, centre: float, size: int) -> Tensor:
    """x / z, or y / z, no farther outside the image than MARGIN."""
    return slope.clamp((-MARGIN * size - centre) / focal, ((1 + MARGIN) * size - centre) / focal)


def colours(parameters: Tensor, camera: Camera, degree: int) -> Tensor:
    """[N, 3] towards the camera, not below 0."""
    count = (degree + 1) ** 2 - 1
    coefficients = parameters[FIRST_HARMONIC : FIRST_HARMONIC + 3 * count].reshape(count, 3, parameters.shape[1])
    values = sh.basis(point_directions(parameters[POSITION], camera), degree)[1:]
    return (parameters[BASE] + torch.einsum("jn,jcn->cn", values, coefficients)).T.clamp(min=0)
