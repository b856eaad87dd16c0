"""The training step on the Triton renderer: the loss and its gradient by a kernel between the two ways of rendering."""

from __future__ import annotations

import torch
from torch import Tensor

from pointrad.cloud import Cloud
from pointrad.config import AdamConfig, PhotometricLossConfig, StageConfig
from pointrad.render import triton_kernels as kernels
from pointrad.render.triton import TritonRenderer, launching_on, tiles_along
from pointrad.scene.types import Camera
from pointrad.training.step import AutogradStep


class TritonStep(AutogradStep):
    """Autograd's step with the photometric loss in one kernel; other losses are torch's."""

    def __init__(self, cloud: Cloud, renderer: TritonRenderer, stage: StageConfig, adam: AdamConfig) -> None:
        super().__init__(cloud, renderer, stage, adam)
        self._composite, self._background = renderer.composite, renderer.background
        shifts = stage.loss.shifts if isinstance(stage.loss, PhotometricLossConfig) else ()
        self._shifts = torch.tensor(shifts, dtype=torch.int32, device=renderer.device)

    def _differentiate(self, parameters: Tensor, camera: Camera, target: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(self.stage.loss, PhotometricLossConfig):
            return super()._differentiate(parameters, camera, target)
        composited = self._composite(parameters, camera, self.stage.harmonics)
        losses, *gradients = photometric(
            *composited, self._background, target, self.stage.loss.gradient_weight, self._shifts
        )
        (gradient,) = torch.autograd.grad(composited, parameters, gradients)
        return losses, gradient


def photometric(
    image: Tensor, transmittance: Tensor, background: Tensor, target: Tensor, gradient_weight: float, shifts: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`losses.photometric` of a composited image [3, H, W] with transmittance [H, W], against `target` [3, H, W].

    background: [3]; shifts: int32; everything else float32, contiguous, on one device. Returns the loss and its MSE
    part as [2], and the loss's gradients with respect to image and transmittance.
    """
    _, height, width = target.shape
    columns = tiles_along(width)
    tiles = columns * tiles_along(height)
    gradient, behind = torch.empty_like(image), torch.empty_like(transmittance)
    sums = image.new_empty(2, tiles)
    with launching_on(image):
        kernels.photometric[tiles,](
            image, transmittance, background, target, shifts, gradient, behind, sums, columns, height, width,
            len(shifts), gradient_weight / max(len(shifts), 1), num_warps=kernels.WARPS,
        )  # fmt: skip
    return sums.sum(dim=1), gradient, behind
