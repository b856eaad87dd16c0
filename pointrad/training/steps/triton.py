"""The training step on the Triton renderer: the loss and its gradient by a kernel between the two ways of rendering."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render import triton_kernels as kernels
from pointrad.render.triton import TritonRenderer, launching_on, tiles_along
from pointrad.training.config import AdamConfig, PhotometricLossConfig, StageConfig
from pointrad.training.steps.autograd import AutogradStep
from pointrad.training.target import Target


class TritonStep(AutogradStep):
    """Autograd's step with the photometric loss in one kernel; other losses are torch's."""

    renderer: TritonRenderer

    def __init__(self, cloud: Cloud, renderer: TritonRenderer, stage: StageConfig, adam: AdamConfig) -> None:
        super().__init__(cloud, renderer, stage, adam)
        shifts = stage.loss.shifts if isinstance(stage.loss, PhotometricLossConfig) else ()
        self._shifts = torch.tensor(shifts, dtype=torch.int32, device=renderer.device)

    def _rates(self, decay: Mapping[str, float]) -> list[float]:
        """As float32, which is how `GraphedStep` keeps them on the device: the two must train alike."""
        return [float(np.float32(rate)) for rate in super()._rates(decay)]

    def _differentiate(self, parameters: Tensor, camera: Camera, target: Target) -> tuple[Tensor, Tensor]:
        return self._of_composited(
            parameters, self.renderer.composite(parameters, camera, self.stage.harmonics), target
        )

    def _of_composited(
        self, parameters: Tensor, composited: tuple[Tensor, Tensor], target: Target
    ) -> tuple[Tensor, Tensor]:
        """`_differentiate`, given what the renderer composited of the parameters."""
        if not isinstance(self.stage.loss, PhotometricLossConfig):
            return self._of_image(parameters, self.renderer.on_background(*composited), target)
        losses, *gradients = photometric(
            *composited,
            self.renderer.background,
            target,
            self.stage.loss.gradient_weight,
            self._shifts,
        )
        (gradient,) = torch.autograd.grad(composited, parameters, gradients)
        return losses, gradient


def photometric(
    image: Tensor, transmittance: Tensor, background: Tensor, target: Target, gradient_weight: float, shifts: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """`losses.photometric` of a composited image [3, H, W] with transmittance [H, W], against `target`.

    background: [3]; shifts: int32; everything else float32, contiguous, on one device. Returns the loss and its MSE
    part as [2], and the loss's gradients with respect to image and transmittance.
    """
    _, height, width = target.image.shape
    columns = tiles_along(width)
    tiles = columns * tiles_along(height)
    gradient, behind = torch.empty_like(image), torch.empty_like(transmittance)
    sums = image.new_empty(2, tiles)
    with launching_on(image):
        kernels.photometric[tiles,](
            image, transmittance, background, target.image, target.weight, shifts, gradient, behind, sums, columns,
            height, width, len(shifts), gradient_weight / max(len(shifts), 1), num_warps=kernels.WARPS,
        )  # fmt: skip
    return sums.sum(dim=1), gradient, behind
