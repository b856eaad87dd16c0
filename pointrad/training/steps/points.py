"""The step of points on the CPU: its kernels from positions to Adam, without autograd."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.base import SplatSettings
from pointrad.render.cpu import point_kernels as kernels
from pointrad.render.cpu.points import Splatting
from pointrad.training.config import AdamConfig, PhotometricLossConfig, StageConfig
from pointrad.training.losses import ridge
from pointrad.training.steps.base import EXP_AVG, EXP_AVG_SQ, differentiate_loss, with_moments
from pointrad.training.target import Target


class FusedStep:
    """Points: the CPU renderer's kernels from positions to Adam, without autograd and without allocation."""

    def __init__(self, cloud: Cloud, settings: SplatSettings, stage: StageConfig, adam: AdamConfig) -> None:
        self.settings, self.stage, self.adam = settings, stage, adam
        self.steps = 0
        self.go_on_with(cloud)
        self._splatting = Splatting(settings)
        # What stays the same is looked up once: after a kernel has filled the caches, Python itself is slow.
        self._photometric_loss = stage.loss if isinstance(stage.loss, PhotometricLossConfig) else None
        self._shifts = np.asarray(self._photometric_loss.shifts if self._photometric_loss else (), np.int64)
        self._ridge = ridge(stage.loss)

    def go_on_with(self, cloud: Cloud) -> None:
        self.cloud = with_moments(cloud)
        self.exp_avg, self.exp_avg_sq = self.cloud.state[EXP_AVG], self.cloud.state[EXP_AVG_SQ]
        # The same memory as NumPy sees it.
        self._parameters, self._exp_avg, self._exp_avg_sq = (
            values.numpy() for values in (self.cloud.parameters, self.exp_avg, self.exp_avg_sq)
        )

    def __call__(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> Tensor:
        loss, harmonics = self._photometric_loss, self.stage.harmonics
        self.steps += 1
        if loss and not self._splatting.composites_harmonics(harmonics):
            losses = np.empty(2)
            self._splatting.train(
                self._parameters, camera, harmonics, target.image.numpy(), target.kernel_weight, loss.gradient_weight,
                self._shifts, self._exp_avg, self._exp_avg_sq, *self._adam(decay), losses,
            )  # fmt: skip
        else:
            losses = self._pass_by_pass(camera, target, decay)
        return torch.from_numpy(losses)

    def _pass_by_pass(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> np.ndarray:
        """What `kernels.train` does, for any loss of any image."""
        parameters, harmonics, loss = self._parameters, self.stage.harmonics, self._photometric_loss
        image = self._splatting.forward(parameters, camera, harmonics)
        if loss:
            losses, gradient = self._photometric(loss, image, target)
        else:
            losses, gradient = differentiate_loss(self.stage.loss, image, camera, target)
        self._splatting.differentiate(gradient)
        if self._ridge:
            losses[0] += self._ridge * float(self.cloud["position"].square().mean())
        kernels.adam(
            parameters, *self._splatting.intersections_of_points(), self._exp_avg, self._exp_avg_sq,
            camera.position.astype(np.float32), harmonics, *self._adam(decay),
            np.float32(2 * self._ridge / max(self.cloud["position"].numel(), 1)),
        )  # fmt: skip
        return losses

    def _photometric(
        self, config: PhotometricLossConfig, image: np.ndarray, target: Target
    ) -> tuple[np.ndarray, np.ndarray]:
        gradient = self._splatting.buffers.gradient
        losses = kernels.photometric(
            image, target.image.numpy(), target.kernel_weight, config.gradient_weight, self._shifts, gradient
        )  # fmt: skip
        return np.array(losses), gradient

    def _adam(self, decay: Mapping[str, float]) -> tuple[np.float32, ...]:
        """What `kernels.adam` takes of this step: both rates, beta1, beta2, the bias correction's root, and epsilon."""
        adam, correction = self.adam, 1 - self.adam.beta1**self.steps
        rates = (self.stage.lr[rate] * (decay[rate] / correction) for rate in ("position", "colour"))
        root = (1 - adam.beta2**self.steps) ** -0.5
        return tuple(map(np.float32, (*rates, adam.beta1, adam.beta2, root, adam.epsilon)))
