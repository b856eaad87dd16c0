"""Gaussians on the CPU: the passes of `gaussian_kernels` over a view, room for them, and their place in autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.render.cpu import gaussian_kernels as kernels
from pointrad.render.cpu.points import pad_gradient, shown
from pointrad.render.cpu.threads import ThreadedRenderer
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.render.gaussians import MARGIN, MOST_DEGREE, rows

Adam = tuple[float, float, float, float]


class GaussianSplatting:
    """One view of Gaussians (see `gaussians`) being splatted: all between a cloud and its image, kept for the way back.

    Buffers are allocated once for a size of clouds, with room for what comes, so one object serves a whole training;
    those of a picture are anew where views differ in size. Results of `forward` are valid until the next call. Images
    here are planar and padded to whole tiles: [3, H', W']. `degree` is that of the harmonics that are seen, at most
    that of the cloud.
    """

    buffers: kernels.Buffers

    def __init__(self, background: tuple[float, float, float]) -> None:
        self._background = np.asarray(background, np.float32)
        self._counts, self._size = (0, 0), (0, 0)  # what `allocate` takes first

    def forward(self, parameters: Float32Array, camera: Camera, degree: int) -> Float32Array:
        """Composite `parameters` [D, N] over the background; returns the image [3, H', W'], not clamped."""
        self._splat(kernels.forward, parameters, camera, degree)
        image: Float32Array = self.buffers.image[:3]
        return image

    @property
    def opacity(self) -> Float32Array:
        """[H', W'], of the image that `forward` returned: 1 minus the transmittance."""
        opacity: Float32Array = 1 - self.buffers.image[3]
        return opacity

    def depth(self) -> Float32Array:
        """[H', W'] world units, after `forward`, whose image it replaces: nothing can be differentiated any more.

        The mean depth of the Gaussians that a pixel shows, weighted as their colours are; 0 where there is none.
        """
        kernels.composite_depth(self.buffers)
        depth: Float32Array = self.buffers.image[0] / np.maximum(self.opacity, np.float32(1e-12))
        return depth

    def backward(self, parameters: Float32Array, gradient: Float32Array) -> Float32Array:
        """[D, N] gradient, given the gradient [3, H', W'] with respect to the image that `forward` returned."""
        kernels.differentiate(gradient, self.buffers)
        gathered = np.zeros_like(parameters)
        seen = rows(self._degree)  # others are harmonics that the image has none of
        kernels.gather(parameters[:seen], self._view, self._degree, self.buffers, gathered[:seen])
        return gathered

    def step(
        self,
        parameters: Float32Array,
        gradient: Float32Array,
        exp_avg: Float32Array,
        exp_avg_sq: Float32Array,
        rates: Float32Array,
        adam: Adam,
        screen_gradient: Float32Array,
    ) -> None:
        """`backward` and Adam in one, in place, without a gradient in memory: for losses without a kernel.

        exp_avg, exp_avg_sq: [D, N]. rates: [D] float32, each row's learning rate over 1 - beta1^t; a row whose rate is
        0 and its moments stay as they are. adam: beta1, beta2, 1 / sqrt(1 - beta2^t) and epsilon. A Gaussian that no
        pixel takes in this view stays as it is, its moments, too. screen_gradient: [N] float32, to which is added how
        long the gradient with respect to each one's centre is, the centre in units of half the image's width.
        """
        kernels.differentiate(gradient, self.buffers)
        kernels.adam(
            parameters, self._view, self._degree, self.buffers, exp_avg, exp_avg_sq, rates, *map(np.float32, adam),
            screen_gradient,
        )  # fmt: skip

    def train(
        self,
        parameters: Float32Array,
        camera: Camera,
        degree: int,
        target: Float32Array,
        weight: Float32Array,
        gradient_weight: float,
        shifts: NDArray[np.int64],
        exp_avg: Float32Array,
        exp_avg_sq: Float32Array,
        rates: Float32Array,
        adam: Adam,
        screen_gradient: Float32Array,
    ) -> tuple[float, float]:
        """`forward`, the photometric loss and `step` in one call; returns the loss and its MSE part.

        target [3, H, W], weight [H, W], gradient_weight and shifts: as `point_kernels.photometric` takes them; the rest
        as `step` does.
        """
        losses = np.empty(2)
        self._splat(
            kernels.train, parameters, camera, degree, target, weight, gradient_weight, shifts, exp_avg,
            exp_avg_sq, rates, *map(np.float32, adam), screen_gradient, losses,
        )  # fmt: skip
        return float(losses[0]), float(losses[1])

    def _splat(
        self, kernel: Callable[..., int], parameters: Float32Array, camera: Camera, degree: int, *more: Any
    ) -> None:
        """Call a kernel that begins as `kernels.forward` does, again with more room if it lacked some."""
        if len(parameters) < rows(degree) or degree > MOST_DEGREE:
            raise ValueError(f"degree {degree}: a cloud of {len(parameters)} rows has fewer harmonics")
        self._view, self._degree = _view(camera), degree
        count, threads = parameters.shape[1], numba.get_num_threads()
        counts, size = (count, threads), (camera.width, camera.height)
        if counts != self._counts:
            self._allocate(counts, size, 2 * count // threads + 256)
        elif size != self._size:
            self._size, self.buffers = size, kernels.resize(self.buffers, *size)
        arguments = parameters, self._view, degree, self._background
        needed = kernel(*arguments, self.buffers, *more)
        if needed * threads >= 2**31:
            raise OverflowError(
                f"Gaussians and tiles meet {needed * threads} times; the CPU renderer can hold {2**31 - 1}: use "
                "fewer or smaller Gaussians"
            )
        if needed > len(self.buffers.cells) // threads:
            self._allocate(counts, size, needed + needed // 4)
            kernel(*arguments, self.buffers, *more)

    def _allocate(self, counts: tuple[int, int], size: tuple[int, int], intersections: int) -> None:
        self._counts, self._size = counts, size
        self.buffers = kernels.allocate(*counts, *size, intersections)


def _view(camera: Camera) -> kernels.View:
    fx, fy, cx, cy = camera.intrinsics
    across, down = MARGIN * camera.width, MARGIN * camera.height
    limits = (
        (-across - cx) / fx,
        (camera.width + across - cx) / fx,
        (-down - cy) / fy,
        (camera.height + down - cy) / fy,
    )
    return kernels.View(
        pose=camera.world_to_image.astype(np.float32),
        lens=np.array([fx, fy, cx, cy], np.float32),
        limits=np.array(limits, np.float32),
        eye=camera.position.astype(np.float32),
        width=camera.width,
        height=camera.height,
    )


class _Splat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameters: Tensor, splatting: GaussianSplatting, camera: Camera, degree: int) -> Tensor:
        ctx.values, ctx.splatting = parameters.detach().contiguous().numpy(), splatting
        ctx.image = splatting.forward(ctx.values, camera, degree)
        return shown(ctx.image, camera)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = ctx.splatting.backward(ctx.values, pad_gradient(gradients[0], ctx.image))
        return torch.from_numpy(gradient), None, None, None


def render(parameters: Tensor, camera: Camera, background: tuple[float, float, float], degree: int) -> Tensor:
    """[H, W, 3] float32 in [0, 1], differentiable with respect to `parameters` [D, N] float32."""
    image: Tensor = _Splat.apply(parameters, GaussianSplatting(background), camera, degree)  # type: ignore[no-untyped-call]
    return image


class GaussianCpuRenderer(ThreadedRenderer[GaussianSplatting]):
    """Our tile renderer of Gaussians on all cores."""

    name = "cpu"
    settings: GaussianSettings

    def __init__(self, settings: GaussianSettings) -> None:
        super().__init__()
        self.settings = settings

    def degree(self, harmonics: bool) -> int:
        """Of the harmonics that are seen."""
        return self.settings.degree if harmonics else 0

    def _allocate(self) -> GaussianSplatting:
        return GaussianSplatting(self.settings.background)

    def _draw(self, buffers: GaussianSplatting, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        values = parameters.detach().contiguous().numpy()
        return shown(buffers.forward(values, camera, self.degree(harmonics)), camera)

    def _differentiable(self, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        return render(parameters, camera, self.settings.background, self.degree(harmonics))
