"""The losses of docs/method.md in torch; `cpu_kernels.photometric` is the same computed by hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pointrad.config import LossConfig, PhotometricLossConfig, SilhouetteLossConfig


@dataclass(frozen=True)
class Unknown:
    """What pixels count as whose target is NaN, unknown: as background [3] of which a share of the error counts.

    With a share of 0 they count as met, and nothing keeps contours from growing into them. A small one does, and gives
    way to any view that knows better.
    """

    background: Tensor
    share: float


def image_loss(config: LossConfig, image: Tensor, target: Tensor, unknown: Unknown) -> Tensor:
    """The part of a loss that depends on the rendered image [H, W, 3], against `target` of the same shape."""
    match config:
        case PhotometricLossConfig():
            return photometric(config, image, target, unknown)
        case SilhouetteLossConfig():
            return silhouette(config, image, target, unknown)


def photometric(config: PhotometricLossConfig, image: Tensor, target: Tensor, unknown: Unknown) -> Tensor:
    """MSE plus the mean absolute error of differences between pixels `shifts` apart."""
    error = residual(image, target, unknown)
    loss = error.square().mean()
    for shift in config.shifts:
        for axis in (0, 1):
            if error.shape[axis] > shift:
                size = error.shape[axis] - shift
                here, there = error.narrow(axis, shift, size), error.narrow(axis, 0, size)
                loss = loss + config.gradient_weight / len(config.shifts) * (here - there).abs().mean()
    return loss


def silhouette(config: SilhouetteLossConfig, image: Tensor, target: Tensor, unknown: Unknown) -> Tensor:
    """MSE between soft silhouettes tanh(sharpness max RGB) of image and target (the report's position pretraining)."""

    def soft(pixels: Tensor) -> Tensor:
        return torch.tanh(config.sharpness * pixels.amax(dim=-1))

    softly_unknown = Unknown(soft(unknown.background), unknown.share)
    return residual(soft(image), soft(target), softly_unknown).square().mean()


def residual(image: Tensor, target: Tensor, unknown: Unknown) -> Tensor:
    """image - target; where the target is unknown (NaN), a share of image - background."""
    return torch.where(target.isnan(), unknown.share * (image - unknown.background), image - target)


def ridge(config: LossConfig) -> float:
    """The weight of the mean squared position coordinate that is added to the loss."""
    return config.ridge if isinstance(config, SilhouetteLossConfig) else 0.0
