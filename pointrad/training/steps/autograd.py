"""The step of any renderer: torch's losses, gradients and Adam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam as fused_adam

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.training.config import AdamConfig, StageConfig
from pointrad.training.losses import image_loss, residual, ridge
from pointrad.training.steps.base import EXP_AVG, EXP_AVG_SQ, with_moments
from pointrad.training.target import Target


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
