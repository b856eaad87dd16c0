"""Random clouds of Gaussians before random cameras, made to hit the corners of splatting."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from pointrad.camera import Camera
from pointrad.render import gaussian_oracle as oracle
from pointrad.render import gaussians
from tests.render.clouds import front_camera
from tests.scenes import look_at, off_centre

BLACK, WHITE, GREY = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.1, 0.5, 0.9)
# How near to a border, relative to it, float32 cannot tell on which side an alpha lies, and a transmittance: behind an
# alpha of 0.99 the error of that alpha is a hundred times as large in what is left.
BORDER = 1e-4
BORDER_OF_TRANSMITTANCE = 1e-2


@dataclass(frozen=True)
class Case:
    """A cloud of Gaussians and how it is seen."""

    parameters: Tensor
    camera: Camera
    background: tuple[float, float, float]
    degree: int


def cloud(camera: Camera, count: int, degree: int, seed: int, pixels: float = 2.0) -> Tensor:
    """[D, N] float32: Gaussians of about so many pixels to the standard deviation, most of them in the image."""
    random = np.random.default_rng(seed)
    depth = random.uniform(1, 5, count) * np.where(random.random(count) < 0.1, -1, 1)
    u, v = random.uniform(-0.2, 1.2, (2, count)) * [[camera.width], [camera.height]]
    fx, fy, cx, cy = camera.intrinsics
    local = np.stack([(u - cx) / fx * depth, -(v - cy) / fy * depth, -depth, np.ones(count)])
    parameters = np.empty((gaussians.rows(degree), count), np.float32)
    parameters[gaussians.POSITION] = (camera.camera_to_world @ local)[:3]
    parameters[gaussians.SCALE] = np.log(pixels * np.abs(depth) / fx) + random.normal(0, 0.7, (3, count))
    parameters[gaussians.ROTATION] = random.normal(size=(4, count))
    parameters[gaussians.OPACITY] = random.normal(1, 2.5, count)
    parameters[gaussians.BASE] = random.uniform(-0.1, 1, (3, count))
    parameters[gaussians.FIRST_HARMONIC :] = random.uniform(-0.2, 0.2, parameters[gaussians.FIRST_HARMONIC :].shape)
    return torch.from_numpy(parameters)


@st.composite
def cases(draw: st.DrawFn, most_gaussians: int = 80, largest_side: int = 48) -> Case:
    """Clouds without an alpha or a transmittance so near to a border that rounding decides."""
    seed = draw(st.integers(0, 2**32 - 1), label="seed")
    width, height = (draw(st.integers(1, largest_side), label=side) for side in ("width", "height"))
    if draw(st.booleans(), label="straight down"):
        camera = front_camera(width, height, 1.3 * width)
    else:
        direction = np.random.default_rng(seed).normal(size=3)
        camera = Camera.centred(look_at(3 * direction / np.linalg.norm(direction)), 1.3 * width, width, height)
    if draw(st.booleans(), label="off centre"):
        camera = off_centre(camera)
    count = draw(st.integers(0, most_gaussians), label="gaussians")
    degree = draw(st.integers(0, gaussians.MOST_DEGREE), label="degree of the cloud")
    sigma = draw(st.sampled_from([0.2, 1.0, 3.0, 15.0]), label="pixels to the standard deviation")
    parameters = cloud(camera, count, degree, seed, sigma)
    if draw(st.booleans(), label="twice each"):
        parameters = parameters[:, np.arange(count) // 2].contiguous()
    case = Case(
        parameters,
        camera,
        draw(st.sampled_from([BLACK, WHITE, GREY]), label="background"),
        draw(st.integers(0, degree), label="degree seen"),
    )
    return clear_of_borders(case)


def clear_of_borders(case: Case, uncut: bool = False) -> Case:
    """Without the Gaussians that have an alpha, or leave a transmittance, on which rounding decides.

    uncut: also without those of an alpha above MOST_ALPHA, or that leave less than OPAQUE.
    """
    splats = oracle.project(case.parameters.double(), case.camera, case.degree)
    y, x = torch.meshgrid(torch.arange(case.camera.height), torch.arange(case.camera.width), indexing="ij")
    pixels = torch.stack([x, y], dim=2) + 0.5
    transmittance = torch.ones(x.shape, dtype=torch.float64)
    kept = []
    for i in torch.argsort(splats.depth.float(), stable=True).tolist():
        if abs(float(splats.depth[i]) - gaussians.NEAR) < BORDER:
            continue
        if splats.depth[i] > gaussians.NEAR:
            d = pixels - splats.centre[i]
            q = torch.einsum("hwi,ij,hwj->hw", d, torch.linalg.inv(splats.covariance[i]), d)
            alpha = splats.opacity[i] * torch.exp(-q / 2)
            counted = torch.where(alpha >= gaussians.LEAST_ALPHA, alpha.clamp(max=gaussians.MOST_ALPHA), 0)
            left = transmittance * (1 - counted)
            alphas = (alpha, gaussians.LEAST_ALPHA, BORDER), (alpha, gaussians.MOST_ALPHA, BORDER)
            borders = *alphas, (left, gaussians.OPAQUE, BORDER_OF_TRANSMITTANCE)
            if any(bool(((values / border - 1).abs() < width).any()) for values, border, width in borders):
                continue
            if uncut and bool(((alpha > gaussians.MOST_ALPHA) | (left < gaussians.OPAQUE)).any()):
                continue
            transmittance = torch.where(transmittance >= gaussians.OPAQUE, left, transmittance)
        kept.append(i)
    return replace(case, parameters=case.parameters[:, sorted(kept)].contiguous())
