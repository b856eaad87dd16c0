"""A plain, slow, differentiable renderer: every point against every pixel, as docs/method.md reads. For tests."""

from __future__ import annotations

import torch
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera
from pointrad.model.points import BASE, HARMONICS, POSITION
from pointrad.render.base import SplatSettings
from pointrad.render.projection import pixel_directions, point_directions, project


def render(parameters: Tensor, camera: Camera, settings: SplatSettings, harmonics: bool = True) -> Tensor:
    """[H, W, 3] in [0, 1], in the dtype of `parameters` [33, N] (float64 for finite differences); see `Renderer`."""
    dtype = parameters.dtype
    image = torch.zeros(camera.height, camera.width, 3, dtype=dtype)
    transmittance = torch.ones(camera.height, camera.width, 1, dtype=dtype)
    hits = torch.zeros(camera.height, camera.width, dtype=torch.int64)
    u, v, depth = project(parameters[POSITION], camera)
    rows, columns = (torch.arange(size, dtype=dtype) + 0.5 for size in (camera.height, camera.width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    colours = _colours(parameters, camera, settings, harmonics)
    for i in torch.argsort(depth.detach(), stable=True).tolist():
        if depth[i] <= 0:
            continue
        q = ((x - u[i]) ** 2 + (y - v[i]) ** 2) / settings.radius_in_pixels(camera) ** 2
        hit = (q < 1) & (hits < settings.points_per_pixel)
        weight = torch.where(hit, 1 - q, torch.zeros_like(q))[..., None]
        image = image + transmittance * weight * colours[i]
        transmittance = transmittance * (1 - weight)
        hits += hit
    background = torch.tensor(settings.background, dtype=dtype)
    return (image + transmittance * background).clamp(0, 1)


def _colours(parameters: Tensor, camera: Camera, settings: SplatSettings, harmonics: bool) -> list[Tensor]:
    """The colour of each point, [3] or, where it depends on the pixel, [H, W, 3]."""
    base = parameters[BASE].T
    if not harmonics:
        return list(base)
    coefficients = parameters[HARMONICS].view(sh.COUNT, 3, -1)
    if settings.view_direction == "point":
        values = sh.basis(point_directions(parameters[POSITION], camera))
        return list(base + torch.einsum("jn,jcn->nc", values, coefficients))
    values = sh.basis(pixel_directions(camera, parameters.device, parameters.dtype))
    return [base[i] + torch.einsum("jhw,jc->hwc", values, coefficients[..., i]) for i in range(len(base))]
