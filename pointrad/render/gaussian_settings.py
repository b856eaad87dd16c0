"""How Gaussians become pixels, as far as users choose; `gaussians` says the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render import gaussian_oracle
from pointrad.render.base import Settings

_SPLAT_BYTES = 600  # of a Gaussian as a GPU sees it, with what sorting takes
_IMAGES = 16  # as large as what is composited: errors and gradients


@dataclass(frozen=True)
class GaussianSettings(Settings):
    """background: RGB in [0, 1] behind the cloud. degree: of the cloud's harmonics."""

    background: tuple[float, float, float]
    degree: int

    def unhidden_weight(self, parameters: Tensor, camera: Camera) -> Tensor:
        """[N], the integral of opacity exp(-q / 2)."""
        splats = gaussian_oracle.project(parameters.detach(), camera, degree=0)
        return 2 * math.pi * splats.opacity * splats.covariance.det().clamp(min=0).sqrt()

    def as_gaussians(self, cloud: Cloud, cameras: Sequence[Camera]) -> Cloud:
        return cloud

    def rendering_bytes(self, points: int, camera: Camera) -> int:
        return points * _SPLAT_BYTES + 4 * 4 * camera.width * camera.height * _IMAGES
