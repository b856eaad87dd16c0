"""The least time a step could take on this machine: what must move through memory, and what must be computed.

Each phase reads each of its inputs once and writes each of its outputs once; temporary data is free, and so is what
only some implementation needs (radix passes, padding, lanes that miss). A phase takes at least bytes / bandwidth and at
least flops / peak; its floor is the greater, and the step's is the sum. N points, of which V are visible; P
intersections of splats and tiles; A pixels; H hits of a splat on a pixel, as composited. Floats and indices have 4
bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit, prange

from pointrad.data.scene import Float32Array
from pointrad.model.points import ROWS

FLOAT = 4
CHANNELS = 3
SPLAT = CHANNELS + 2
ADAM_ARRAYS = 3  # parameters and two moments, each read and written


class Floor(ABC):
    """What a step must do, phase by phase."""

    @abstractmethod
    def bytes(self) -> dict[str, int]:
        """Bytes that each phase must move."""

    @abstractmethod
    def flops(self) -> dict[str, int]:
        """Additions, multiplications, divisions and roots that each phase must do; each counts as one."""

    def floor_ms(self, bytes_per_second: float, flops_per_second: float) -> dict[str, float]:
        """Per phase, the time that the slower of memory and arithmetic needs."""
        flops = self.flops()
        return {
            phase: 1e3 * max(count / bytes_per_second, flops[phase] / flops_per_second)
            for phase, count in self.bytes().items()
        }


@dataclass(frozen=True)
class Work(Floor):
    points: int
    visible: int
    intersections: int
    pixels: int
    hits: int
    shifts: int

    def bytes(self) -> dict[str, int]:
        n, v, p, a = self.points, self.visible, self.intersections, self.pixels
        floats = {
            "count": 3 * n,  # positions
            "bin": ROWS * v + (SPLAT + 1) * p + n + p,  # parameters; splats and depth of each intersection, slots
            "forward": (SPLAT + 1) * p + CHANNELS * a,  # splats and depth; image
            "loss": 2 * CHANNELS * a + CHANNELS * a,  # image, target; gradient
            "backward": SPLAT * p + CHANNELS * a + SPLAT * p,  # splats, gradient; slots
            "gather": SPLAT * p + p + n + 3 * v + (3 + CHANNELS) * n,  # slots, their places, positions; gradient
            "adam": (3 + CHANNELS) * n + 2 * ADAM_ARRAYS * ROWS * n,
        }
        return {phase: FLOAT * count for phase, count in floats.items()}

    def flops(self) -> dict[str, int]:
        n, v, a, h, c = self.points, self.visible, self.pixels, self.hits, CHANNELS
        return {
            "count": 22 * n,  # where a point lies in the image
            "bin": (35 + 2 * 9 * c) * v,  # direction and basis, then the products
            "forward": (9 + 2 * c) * h,  # d2: 5, q, 1 - q, times T, T times q; a product and a sum per channel
            "loss": (6 + 8 * self.shifts) * c * a,
            "backward": (19 + 4 * c) * h,  # as forward, g . c, b, dw, du, dv; each channel's sum
            "gather": 40 * v,
            "adam": 13 * ROWS * n,  # moments 7, update 6
        }


class Stream:
    """a += s b in place, by all threads: as in Adam, no cache line is fetched only to be overwritten."""

    def __init__(self, total_bytes: int) -> None:
        size = max(total_bytes // (2 * FLOAT), 1)
        self.a, self.b = np.ones(size, np.float32), np.ones(size, np.float32)
        self.moved = 3 * FLOAT * size

    def __call__(self) -> None:
        _update(self.a, self.b, np.float32(1e-3))


class Multiply:
    """A matrix product by the vendor's library on all threads: as near to the peak of float32 as programs come."""

    def __init__(self, size: int = 1536) -> None:
        self.a, self.b = torch.rand(size, size), torch.rand(size, size)
        self.out = torch.empty(size, size)
        self.flops = 2 * size**3

    def __call__(self) -> None:
        torch.mm(self.a, self.b, out=self.out)


@njit(parallel=True, fastmath=True, cache=True)
def _update(a: Float32Array, b: Float32Array, scale: np.float32) -> None:
    for i in prange(a.size):
        a[i] += scale * b[i]
