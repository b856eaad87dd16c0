"""One training step on one view: render, loss, gradients, Adam. Two ways to the same numbers, and a third on Triton."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam as fused_adam

from pointrad.camera import Camera
from pointrad.config import AdamConfig, LossConfig, PhotometricLossConfig, StageConfig
from pointrad.model.base import Cloud
from pointrad.render import Renderer
from pointrad.render import cpu_kernels as kernels
from pointrad.render.base import SplatSettings
from pointrad.render.cpu import CpuRenderer, Splatting, pad_gradient, shown
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.training.losses import image_loss, residual, ridge
from pointrad.training.target import Target

EXP_AVG, EXP_AVG_SQ = "exp_avg", "exp_avg_sq"  # of `Cloud.state`: Adam's moments, [D, N] each


class Step(Protocol):
    """Trains `cloud` in place with Adam, whose moments are part of `cloud.state`; `steps` is how often it did."""

    cloud: Cloud
    steps: int

    def go_on_with(self, cloud: Cloud) -> None:
        """Train another cloud from now on, with the state that it has, or with a fresh one."""
        ...

    def __call__(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> Tensor:
        """One step towards `target` (float32), each learning rate times its `decay`; returns the loss and its MSE part.

        The two numbers are a tensor [2] on the device of the cloud: whoever reads it waits until the step is computed.
        """
        ...


def with_moments(cloud: Cloud, *statistics: str) -> Cloud:
    """The cloud with Adam's moments and these statistics, [N] each, in its state: 0 where it has none."""
    points = cloud.parameters.new_zeros(len(cloud))
    fresh = {EXP_AVG: torch.zeros_like(cloud.parameters), EXP_AVG_SQ: torch.zeros_like(cloud.parameters)}
    fresh |= {name: torch.zeros_like(points) for name in statistics}
    return replace(cloud, state=fresh | dict(cloud.state))


def build_step(cloud: Cloud, renderer: Renderer, stage: StageConfig, adam: AdamConfig) -> Step:
    """The step with kernels of its own where the renderer is ours, else autograd's."""
    if isinstance(renderer, CpuRenderer):
        return FusedStep(cloud, renderer.settings, stage, adam)
    if renderer.name == "gsplat":
        # Not above: runs of other models and on CPUs need neither this nor what follows.
        from pointrad.render.gsplat import GsplatRenderer
        from pointrad.training.gsplat_step import GsplatStep

        assert isinstance(renderer, GsplatRenderer)
        return GsplatStep(cloud, renderer, stage, adam)
    if isinstance(renderer.settings, GaussianSettings):
        from pointrad.render.gaussian_cpu import GaussianCpuRenderer
        from pointrad.training.gaussian_step import GaussianStep

        assert isinstance(renderer, GaussianCpuRenderer)
        return GaussianStep(cloud, renderer, stage, adam)
    if renderer.name == "triton":
        # Not above, since Triton is not everywhere.
        from pointrad.render.triton import TritonRenderer
        from pointrad.training.graphed_step import CudaGraphs, GraphedStep
        from pointrad.training.triton_step import TritonStep

        assert isinstance(renderer, TritonRenderer)
        if renderer.graphs:
            return GraphedStep(cloud, renderer, stage, adam, CudaGraphs(renderer.device))
        return TritonStep(cloud, renderer, stage, adam)
    return AutogradStep(cloud, renderer, stage, adam)


class AutogradStep:
    """Any renderer, torch's losses, gradients and fused Adam (Kingma and Ba 2015, algorithm 1)."""

    def __init__(self, cloud: Cloud, renderer: Renderer, stage: StageConfig, adam: AdamConfig) -> None:
        self.renderer, self.stage, self.adam = renderer, stage, adam
        self.steps = 0
        self.go_on_with(cloud)
        # Those that train: which rows, at the rate of which name.
        named = {rate: cloud.model.rows_at_rate(rate, stage.harmonics) for rate in cloud.model.rates if stage.lr[rate]}
        self._trained = {rate: rows for rate, rows in named.items() if rows.start < rows.stop}

    def go_on_with(self, cloud: Cloud) -> None:
        self.cloud = with_moments(cloud)
        self.exp_avg, self.exp_avg_sq = self.cloud.state[EXP_AVG], self.cloud.state[EXP_AVG_SQ]

    def __call__(self, camera: Camera, target: Target, decay: Mapping[str, float]) -> Tensor:
        parameters = self.cloud.parameters.requires_grad_()
        losses, gradient = self._differentiate(parameters, camera, target)
        parameters.requires_grad_(False)
        # Filled on the device, once for each rate: Adam adds 1 to its own.
        steps = torch.full((len(self._trained),), float(self.steps), device=gradient.device)
        self._update(gradient, self._rates(decay), steps)
        self.steps += 1
        return losses

    def _differentiate(self, parameters: Tensor, camera: Camera, target: Target) -> tuple[Tensor, Tensor]:
        """The loss and its MSE part as [2], and the gradient [D, N] of the loss."""
        return self._of_image(parameters, self.renderer.render(parameters, camera, self.stage.harmonics), target)

    def _of_image(self, parameters: Tensor, image: Tensor, target: Target) -> tuple[Tensor, Tensor]:
        """`_differentiate`, given the image [H, W, 3] of the parameters."""
        pixels = target.image.permute(1, 2, 0)
        loss = image_loss(self.stage.loss, image, pixels, target.weight)
        if ridge_weight := ridge(self.stage.loss):
            loss = loss + ridge_weight * parameters[self.cloud.model.rows["position"]].square().mean()
        (gradient,) = torch.autograd.grad(loss, parameters)
        return torch.stack([loss.detach(), residual(image.detach(), pixels, target.weight).square().mean()]), gradient

    def _rates(self, decay: Mapping[str, float]) -> list[float]:
        """The learning rates of what trains."""
        return [self.stage.lr[rate] * decay[rate] for rate in self._trained]

    def _update(self, gradient: Tensor, rates: Sequence[float] | Tensor, steps: Tensor) -> None:
        """Adam on what trains, with a rate each; steps: [rates] float32, of each the steps before this one."""
        for index, rows in enumerate(self._trained.values()):
            self._adam(rows, gradient, rates[index], steps[index])

    def _adam(self, rows: slice, gradient: Tensor, rate: float | Tensor, steps: Tensor) -> None:
        """torch.optim.Adam(fused=True) as a function: the moments stay with the step, for checkpoints."""
        fused_adam(
            [self.cloud.parameters[rows]], [gradient[rows]], [self.exp_avg[rows]], [self.exp_avg_sq[rows]], [], [steps],
            fused=True, amsgrad=False, beta1=self.adam.beta1, beta2=self.adam.beta2, lr=rate, weight_decay=0,
            eps=self.adam.epsilon, maximize=False,
        )  # fmt: skip


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
                self._parameters, camera, harmonics, target.image.numpy(), target.weight.numpy(), loss.gradient_weight,
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
            parameters, *self._splatting.pairs_of_points(), self._exp_avg, self._exp_avg_sq,
            camera.position.astype(np.float32), harmonics, *self._adam(decay),
            np.float32(2 * self._ridge / max(self.cloud["position"].numel(), 1)),
        )  # fmt: skip
        return losses

    def _photometric(
        self, config: PhotometricLossConfig, image: np.ndarray, target: Target
    ) -> tuple[np.ndarray, np.ndarray]:
        gradient = self._splatting.buffers.gradient
        losses = kernels.photometric(
            image, target.image.numpy(), target.weight.numpy(), config.gradient_weight, self._shifts, gradient
        )  # fmt: skip
        return np.array(losses), gradient

    def _adam(self, decay: Mapping[str, float]) -> tuple[np.float32, ...]:
        """What `kernels.adam` takes of this step: both rates, beta1, beta2, the bias correction's root, and epsilon."""
        adam, correction = self.adam, 1 - self.adam.beta1**self.steps
        rates = (self.stage.lr[rate] * (decay[rate] / correction) for rate in ("position", "colour"))
        root = (1 - adam.beta2**self.steps) ** -0.5
        return tuple(map(np.float32, (*rates, adam.beta1, adam.beta2, root, adam.epsilon)))


def differentiate_loss(
    config: LossConfig, image: np.ndarray, camera: Camera, target: Target
) -> tuple[np.ndarray, np.ndarray]:
    """A loss without a kernel of its own, of a padded image [3, H', W']: torch differentiates it, but not the image.

    Returns the loss and its MSE part as [2], and the loss's gradient with respect to the image, padded as it is.
    """
    pixels, wanted = shown(image, camera).requires_grad_(), target.image.permute(1, 2, 0)
    loss = image_loss(config, pixels, wanted, target.weight)
    gradient = pad_gradient(torch.autograd.grad(loss, pixels)[0], image)
    mse = residual(pixels.detach(), wanted, target.weight).square().mean()
    return np.array([float(loss.detach()), float(mse)]), gradient
