"""Gaussians through the common interface of renderers, on the CPU."""

from __future__ import annotations

from torch import Tensor

from pointrad.camera import Camera
from pointrad.render.cpu import shown
from pointrad.render.gaussian_cpu import GaussianSplatting, render
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.render.threads import ThreadedRenderer


class GaussianCpuRenderer(ThreadedRenderer[GaussianSplatting]):
    """Our tile renderer of Gaussians on all cores."""

    name = "cpu"
    settings: GaussianSettings

    def __init__(self, settings: GaussianSettings) -> None:
        super().__init__()
        self.settings = settings

    def degree(self, harmonics: bool) -> int:
        """Of the harmonics that are seen."""
        return self.settings.degree if harmonics else 0

    def _allocate(self) -> GaussianSplatting:
        return GaussianSplatting(self.settings.background)

    def _draw(self, buffers: GaussianSplatting, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        values = parameters.detach().contiguous().numpy()
        return shown(buffers.forward(values, camera, self.degree(harmonics)), camera)

    def _differentiable(self, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        return render(parameters, camera, self.settings.background, self.degree(harmonics))
