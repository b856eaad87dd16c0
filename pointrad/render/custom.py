"""Splats of a user's own model, drawn as the Gaussians that they say they look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud, directions
from pointrad.model.custom import CustomModel
from pointrad.model.gaussians import Gaussians, colours_towards
from pointrad.render.base import Renderer, Settings
from pointrad.render.gaussian_settings import GaussianSettings


@dataclass(frozen=True)
class CustomSettings(Settings):
    """background: RGB in [0, 1] behind the cloud."""

    background: tuple[float, float, float]
    model: CustomModel

    @property
    def gaussians(self) -> GaussianSettings:
        """Of the Gaussians that are drawn, each in one colour towards a camera."""
        return GaussianSettings(self.background, degree=0)

    def drawn(self, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        """[14, N] what the camera sees; without harmonics splats have their base colours, whatever adds to them."""
        cloud = Cloud(self.model, parameters)
        colours = self.model.colours(cloud, camera) if harmonics else cloud["base"]
        return self.model.gaussians(cloud, colours)

    def unhidden_weight(self, parameters: Tensor, camera: Camera) -> Tensor:
        with torch.no_grad():
            return self.gaussians.unhidden_weight(self.drawn(parameters, camera, harmonics=False), camera)

    def as_gaussians(self, cloud: Cloud, cameras: Sequence[Camera]) -> Cloud:
        """As they are drawn. Lost: of what the model adds to base and harmonics, all but the mean over the cameras."""
        added = torch.zeros_like(cloud["base"])
        for camera in cameras:
            plain = colours_towards(cloud["base"], cloud["harmonics"], directions(cloud["position"], camera))
            added += (self.model.colours(cloud, camera) - plain) / len(cameras)
        drawn = self.model.gaussians(cloud, cloud["base"] + added)
        model = Gaussians(self.model.degree, self.model.config.opacity, most=None)
        return Cloud(model, torch.cat([drawn, cloud["harmonics"]]))

    def rendering_bytes(self, points: int, camera: Camera) -> int:
        return self.gaussians.rendering_bytes(points, camera)


class CustomRenderer(Renderer):
    """Any renderer of Gaussians, given what the splats look like; autograd knows how that depends on them."""

    settings: CustomSettings

    def __init__(self, settings: CustomSettings, gaussians: Renderer) -> None:
        self.settings, self._gaussians = settings, gaussians
        self.name, self.device = gaussians.name, gaussians.device

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        return self._gaussians.render(self.settings.drawn(parameters, camera, harmonics), camera, harmonics=False)

    def synchronise(self) -> None:
        self._gaussians.synchronise()
