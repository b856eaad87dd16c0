"""What a stage trains towards: an image, and how much each of its pixels counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pointrad.data.scene import Float32Array, View

ALL_COUNT = np.ones((1, 1), np.float32)


@dataclass(frozen=True)
class Target:
    """image: [3, H, W], float32 in [0, 1], or uint8 in 0 ... 255 where memory is short.
    weight: [H, W] float32, what a pixel's error is multiplied by: 1 where the image is known; where it is not, the
    image is the background, and the weight says how much that counts.
    """

    image: Tensor
    weight: Tensor

    @classmethod
    def known(cls, image: Tensor) -> Target:
        """All of it counts."""
        return cls(image, torch.ones(image.shape[1:], device=image.device))

    @cached_property
    def kernel_weight(self) -> Float32Array:
        """The weight as the CPU's kernels take it: [1, 1] where all pixels count, so that a step reads no more."""
        weight = self.weight.numpy()
        return ALL_COUNT if (weight == 1).all() else weight

    def to(self, device: torch.device) -> Target:
        return Target(self.image.to(device), self.weight.to(device))

    def packed(self, dtype: torch.dtype) -> Target:
        """With the image as `dtype`; uint8 holds multiples of 1/255, so that others move by up to 0.5/255."""
        return replace(self, image=(255 * self.image).round().to(dtype)) if dtype == torch.uint8 else self

    def unpacked(self) -> Target:
        """With the float32 image that was packed, as far as uint8 holds it."""
        return replace(self, image=self.image / 255) if self.image.dtype == torch.uint8 else self


def targets(views: Sequence[View], factor: int, device: torch.device, dtype: torch.dtype) -> list[Target]:
    """Of each view, at a resolution that is lower by `factor`: means of blocks of pixels, weighted as these are."""
    known: dict[tuple[int, ...], Tensor] = {}  # the weights of views without any, shared
    return [_target(view, factor, known, device).packed(dtype) for view in views]


def _target(view: View, factor: int, known: dict[tuple[int, ...], Tensor], device: torch.device) -> Target:
    image = torch.from_numpy(view.image).permute(2, 0, 1)
    if view.weight is None:
        pooled = avg_pool2d(image, factor).contiguous().to(device)
        size = tuple(pooled.shape[1:])
        if size not in known:
            known[size] = torch.ones(size, device=device)
        return Target(pooled, known[size])
    weight = torch.from_numpy(view.weight)
    pooled_weight = avg_pool2d(weight[None], factor)[0]
    total = avg_pool2d(weight * image, factor) / pooled_weight
    pooled = torch.where(pooled_weight > 0, total, avg_pool2d(image, factor))
    return Target(pooled.contiguous().to(device), pooled_weight.contiguous().to(device))
