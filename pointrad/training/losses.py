"""The losses of docs/method.md in torch; `cpu.point_kernels.photometric` is the same computed by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from pointrad.training.config import CustomLossConfig, LossConfig, PhotometricLossConfig, SilhouetteLossConfig


def image_loss(config: LossConfig, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The part of a loss that depends on the rendered image [H, W, 3], against `target` of the same shape.

    weight: [H, W], what a pixel's error is multiplied by (`Target`). Where it is 0, pixels count as met, and nothing
    keeps contours from growing into them; a small weight does, and gives way to any view that knows better.
    """
    match config:
        case PhotometricLossConfig():
            return photometric(config, image, target, weight)
        case SilhouetteLossConfig():
            return silhouette(config, image, target, weight)
        case CustomLossConfig():
            return config.of(image, target, weight)


def photometric(config: PhotometricLossConfig, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """MSE plus the mean absolute error of differences between pixels `shifts` apart."""
    error = residual(image, target, weight)
    loss = error.square().mean()
    for shift in config.shifts:
        for axis in (0, 1):
            if error.shape[axis] > shift:
                size = error.shape[axis] - shift
                here, there = error.narrow(axis, shift, size), error.narrow(axis, 0, size)
                loss = loss + config.gradient_weight / len(config.shifts) * (here - there).abs().mean()
    return loss


def silhouette(config: SilhouetteLossConfig, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """MSE between soft silhouettes tanh(sharpness max RGB) of image and target (the report's position pretraining)."""

    def soft(pixels: Tensor) -> Tensor:
        return torch.tanh(config.sharpness * pixels.amax(dim=-1))

    return (weight * (soft(image) - soft(target))).square().mean()


def residual(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """image - target [H, W, 3], times weight [H, W]."""
    return weight[..., None] * (image - target)


def ridge(config: LossConfig) -> float:
    """The weight of the mean squared position coordinate that is added to the loss."""
    return config.ridge if isinstance(config, SilhouetteLossConfig) else 0.0
