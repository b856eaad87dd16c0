"""Gaussians on a CUDA GPU by the library gsplat (Ye et al. 2024), which is given what it needs in its own conventions.

What it computes is what `gaussians` says but for two limits of its own, which it does not let users choose: alpha is at
most 0.999 rather than MOST_ALPHA, and a pixel is done before the Gaussian that would take its transmittance to OPAQUE
or below, rather than after it (docs/gpu.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera, Float64Array
from pointrad.render.base import Renderer
from pointrad.render.gaussian_oracle import colours
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.render.gaussians import BLUR, NEAR, OPACITY, POSITION, ROTATION, SCALE

Rasterization = Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]  # as `gsplat.rasterization` is called


class GsplatRenderer(Renderer):
    """Renders through `rasterization`, which is gsplat's unless a test gives another that does the same."""

    name = "gsplat"
    settings: GaussianSettings

    def __init__(
        self, settings: GaussianSettings, device: torch.device, rasterization: Rasterization | None = None
    ) -> None:
        """Raises ImportError where gsplat is not installed."""
        self.settings, self.device = settings, device
        self._rasterization = rasterization or _gsplats()
        self._background = torch.tensor(settings.background, device=device)

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        return self.splat(parameters, camera, harmonics)[0]

    def splat(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> tuple[Tensor, Tensor]:
        """The image [H, W, 3] in [0, 1], and the centres [1, N, 2] in pixels on the way to it, for their gradient.

        Both are differentiable; centres of Gaussians that the view does not show mean nothing.
        """
        if parameters.shape[1] == 0:  # which gsplat need not be asked
            blank = self._background.expand(camera.height, camera.width, 3) + parameters.sum()
            return blank, parameters[:2].T[None]
        image, _, seen = self._rasterization(
            means=parameters[POSITION].T.contiguous(),
            quats=parameters[ROTATION].T.contiguous(),
            scales=parameters[SCALE].T.exp().contiguous(),
            opacities=parameters[OPACITY].sigmoid(),
            # Ours rather than gsplat's: through its harmonics the directions, too, would pull at positions.
            colors=colours(parameters, camera, self.settings.degree if harmonics else 0).contiguous(),
            viewmats=self._constant(np.vstack([camera.world_to_image, [0, 0, 0, 1]])),
            Ks=self._constant(_intrinsic_matrix(camera)),
            width=camera.width,
            height=camera.height,
            near_plane=NEAR,
            eps2d=BLUR,
            packed=False,
            backgrounds=self._background[None],
            rasterize_mode="classic",
        )
        return image[0].clamp(0, 1), seen["means2d"]

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _constant(self, values: Float64Array) -> Tensor:
        """[1, ...] float32 on the device, of the one camera."""
        return torch.as_tensor(values[None], dtype=torch.float32).to(self.device, non_blocking=True)


def _gsplats() -> Rasterization:
    import gsplat  # not above: tests come with their own where it is not installed

    rasterization: Rasterization = gsplat.rasterization
    return rasterization


def _intrinsic_matrix(camera: Camera) -> Float64Array:
    """[3, 3], which takes image axes to pixels times depth."""
    fx, fy, cx, cy = camera.intrinsics
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
