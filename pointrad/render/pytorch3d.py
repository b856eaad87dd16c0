"""The reference renderer: PyTorch3D's point rasteriser and alpha compositor, on CPU or CUDA."""

from __future__ import annotations

import torch
from pytorch3d.renderer.compositing import alpha_composite
from pytorch3d.renderer.points.rasterize_points import rasterize_points
from pytorch3d.structures import Pointclouds
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera
from pointrad.model.points import POSITION
from pointrad.render.base import Renderer, SplatSettings
from pointrad.render.projection import features, pixel_directions, project


class Pytorch3dRenderer(Renderer):
    """Renders through `rasterize_points` without bins, which PyTorch3D fills silently and can overflow.

    bin_size: PyTorch3D's bins in pixels after all, None for its own choice; for comparisons of speed.
    """

    name = "pytorch3d"
    settings: SplatSettings

    def __init__(self, settings: SplatSettings, device: torch.device, bin_size: int | None = 0) -> None:
        self.settings = settings
        self.device = device
        self._bin_size = bin_size

    def render(self, parameters: Tensor, camera: Camera, harmonics: bool = True) -> Tensor:
        channels = features(parameters, camera, self.settings.view_direction, harmonics)
        opaque = torch.ones_like(parameters[:1])  # composites to the opacity
        composited = self._composite(parameters[POSITION], torch.cat([channels, opaque]), camera)
        colours, opacity = composited[:-1], composited[-1]
        if colours.shape[0] > 3:
            values = sh.basis(pixel_directions(camera, parameters.device))
            coefficients = colours[3:].view(sh.COUNT, 3, *colours.shape[1:])
            colours = colours[:3] + torch.einsum("jhw,jchw->chw", values, coefficients)
        background = torch.tensor(self.settings.background, device=parameters.device)
        return (colours + (1 - opacity) * background[:, None, None]).clamp(0, 1).permute(1, 2, 0)

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _composite(self, positions: Tensor, channels: Tensor, camera: Camera) -> Tensor:
        """[C, H, W]. PyTorch3D's NDC has x left and y up, and its shorter side spans [-1, 1]."""
        half_side = min(camera.width, camera.height) / 2
        u, v, depth = project(positions, camera)
        points = torch.stack([(camera.width / 2 - u) / half_side, (camera.height / 2 - v) / half_side, depth], dim=1)
        if len(points) == 0:
            return channels.new_zeros(channels.shape[0], camera.height, camera.width)
        index, _, squared_distance = rasterize_points(
            Pointclouds([points]),
            image_size=(camera.height, camera.width),
            radius=self.settings.radius_in_pixels(camera) / half_side,
            points_per_pixel=self.settings.points_per_pixel,
            bin_size=self._bin_size,
        )
        weights = 1 - squared_distance / (self.settings.radius_in_pixels(camera) / half_side) ** 2
        composited: Tensor = alpha_composite(index.long().permute(0, 3, 1, 2), weights.permute(0, 3, 1, 2), channels)
        return composited[0]
