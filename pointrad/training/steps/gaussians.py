"""The training step of Gaussians on the CPU: its kernels from positions to Adam, without autograd."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.cpu.gaussians import GaussianCpuRenderer, GaussianSplatting
from pointrad.training.config import AdamConfig, PhotometricLossConfig, StageConfig
from pointrad.training.densify import SCREEN_GRADIENT
from pointrad.training.steps.base import EXP_AVG, EXP_AVG_SQ, differentiate_loss, with_moments
from pointrad.training.target import Target


class GaussianStep:
    """A `Step`. Gaussians that no pixel of the view takes stay as they are, and so do their moments."""

    def __init__(self, cloud: Cloud, renderer: GaussianCpuRenderer, stage: StageConfig, adam: AdamConfig) -> None:
        self.stage, self.adam = stage, adam
        self.steps = 0
        self._degree = renderer.degree(stage.harmonics)
        self._splatting = GaussianSplatting(renderer.settings.background)
        self._photometric = stage.loss if isinstance(stage.loss, PhotometricLossConfig) else None
        self._shifts = np.asarray(self._photometric.shifts if self._photometric else (), np.int64)
        self.go_on_with(cloud)

    def go_on_with(self, cloud: Cloud) -> None:
        self.cloud = with_moments(cloud, SCREEN_GRADIENT)
        # The same memory as NumPy sees it.
        self._parameters = self.cloud.parameters.numpy()
        self._exp_avg, self._exp_avg_sq, self._screen_gradient = (
            self.cloud.state[name].numpy() for name in (EXP_AVG, EXP_AVG_SQ, SCREEN_GRADIENT)
        )

    def __call__(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> Tensor:
        self.steps += 1
        loss = self._photometric
        if loss is None:
            return self._pass_by_pass(camera, target, decay)
        losses = self._splatting.train(
            self._parameters, camera, self._degree, target.image.numpy(), target.kernel_weight,
            loss.gradient_weight, self._shifts, self._exp_avg, self._exp_avg_sq, self._rates(decay), self._adam(),
            self._screen_gradient,
        )  # fmt: skip
        return torch.tensor(losses, dtype=torch.float64)

    def _pass_by_pass(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> Tensor:
        image = self._splatting.forward(self._parameters, camera, self._degree)
        losses, gradient = differentiate_loss(self.stage.loss, image, camera, target)
        self._splatting.step(
            self._parameters, gradient, self._exp_avg, self._exp_avg_sq, self._rates(decay), self._adam(),
            self._screen_gradient,
        )  # fmt: skip
        return torch.from_numpy(losses)

    def _rates(self, decay: Mapping[str, float]) -> np.ndarray:
        """[D] float32, each row's learning rate over the bias correction of this step; 0 of what does not train."""
        rates = np.zeros(self.cloud.model.width, np.float32)
        correction = 1 - self.adam.beta1**self.steps
        for group in self.cloud.model.groups:
            if self.stage.harmonics or group.name != "harmonics":
                rates[self.cloud.model.rows[group.name]] = self.stage.lr[group.rate] * decay[group.rate] / correction
        return rates

    def _adam(self) -> tuple[float, float, float, float]:
        adam = self.adam
        return adam.beta1, adam.beta2, (1 - adam.beta2**self.steps) ** -0.5, adam.epsilon
