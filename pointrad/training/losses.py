"""The losses of spec, section 6, in torch; `cpu_kernels.photometric` is the same computed by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from pointrad.config import PhotometricLossConfig, SilhouetteLossConfig


def image_loss(config: PhotometricLossConfig | SilhouetteLossConfig, image: Tensor, target: Tensor) -> Tensor:
    """The part of a loss that depends on the rendered image [H, W, 3], against `target` of the same shape.

    Where the target is NaN it is unknown, and counts as met.
    """
    match config:
        case PhotometricLossConfig():
            return photometric(config, image, target)
        case SilhouetteLossConfig():
            return silhouette(config, image, target)


def photometric(config: PhotometricLossConfig, image: Tensor, target: Tensor) -> Tensor:
    """MSE plus the mean absolute error of differences between pixels `shifts` apart."""
    error = residual(image, target)
    loss = error.square().mean()
    for shift in config.shifts:
        for axis in (0, 1):
            if error.shape[axis] > shift:
                size = error.shape[axis] - shift
                here, there = error.narrow(axis, shift, size), error.narrow(axis, 0, size)
                loss = loss + config.gradient_weight / len(config.shifts) * (here - there).abs().mean()
    return loss


def silhouette(config: SilhouetteLossConfig, image: Tensor, target: Tensor) -> Tensor:
    """MSE between soft silhouettes tanh(sharpness max RGB) of image and target (the report's position pretraining)."""

    def soft(pixels: Tensor) -> Tensor:
        return torch.tanh(config.sharpness * pixels.amax(dim=-1))

    return residual(soft(image), soft(target)).square().mean()


def residual(image: Tensor, target: Tensor) -> Tensor:
    """image - target, 0 where the target is unknown (NaN)."""
    return torch.where(target.isnan(), 0.0, image - target)


def ridge(config: PhotometricLossConfig | SilhouetteLossConfig) -> float:
    """The weight of the mean squared position coordinate that is added to the loss."""
    return config.ridge if isinstance(config, SilhouetteLossConfig) else 0.0
