"""The losses in torch; `cpu.point_kernels.photometric` is that of docs/method.md computed by hand."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from pointrad.training.config import (
    CustomLossConfig,
    L1SsimLossConfig,
    LossConfig,
    PhotometricLossConfig,
    SilhouetteLossConfig,
)

_WINDOW = 11  # pixels: a Gaussian of this many, and of this sigma, both as in the scores (Wang et al. 2004)
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2  # of images in [0, 1]


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
        case L1SsimLossConfig():
            return l1_ssim(config, image, target, weight)
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


def l1_ssim(config: L1SsimLossConfig, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """A weighted mean of the mean absolute error and 1 - SSIM, where a weight moves the image towards the target."""
    error = residual(image, target, weight)
    return torch.lerp(error.abs().mean(), 1 - ssim(target + error, target), config.ssim_share)


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """The mean SSIM of two images [H, W, 3] in [0, 1] of any size: what lies around them is black."""
    x, y = image.permute(2, 0, 1), truth.permute(2, 0, 1)
    mean_x, mean_y, squares, products = _windowed(torch.stack([x, y, x * x + y * y, x * y]))
    product, both = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    likeness: Tensor = (2 * product + _C1) * (2 * (products - product) + _C2) / (both + _C1) / (squares - both + _C2)
    return likeness.mean()


def _windowed(fields: Tensor) -> Tensor:
    """The mean of each [..., H, W] field in the window around each pixel, of the same shape."""
    offset = torch.arange(_WINDOW, dtype=fields.dtype, device=fields.device) - _WINDOW // 2
    window = torch.softmax(-0.5 * (offset / _SIGMA).square(), dim=0)
    planes = fields.flatten(0, -3)[None]
    for size in ((_WINDOW, 1), (1, _WINDOW)):
        filters = window.reshape(1, 1, *size).expand(planes.shape[1], 1, *size)
        planes = conv2d(planes, filters, padding=(size[0] // 2, size[1] // 2), groups=planes.shape[1])
    return planes.view_as(fields)


def residual(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """image - target [H, W, 3], times weight [H, W]."""
    return weight[..., None] * (image - target)


def ridge(config: LossConfig) -> float:
    """The weight of the mean squared position coordinate that is added to the loss."""
    return config.ridge if isinstance(config, SilhouetteLossConfig) else 0.0
