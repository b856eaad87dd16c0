"""What every training step is, and what those share whose losses torch differentiates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.cpu.points import pad_gradient, shown
from pointrad.training.config import LossConfig
from pointrad.training.losses import image_loss, residual
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
