"""The CPU renderer: the passes of `point_kernels` over a view, room for them, and their place in torch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.model.points import BASE, HARMONICS, POSITION, ROWS
from pointrad.render.base import SplatSettings
from pointrad.render.cpu import point_kernels as kernels
from pointrad.render.cpu.threads import ThreadedRenderer
from pointrad.render.projection import pixel_directions, point_directions


def set_threads(threads: int) -> None:
    """Use `threads` threads for rendering and for torch, all cores if 0; results do not depend on it."""
    count = min(threads, numba.config.NUMBA_NUM_THREADS) if threads else numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(count)
    torch.set_num_threads(count)


class Splatting:
    """One view being splatted: everything between a cloud and its image, kept for the backward pass.

    Buffers are allocated once for a size of clouds, with room for the intersections that come, so one object serves a
    whole training; those of a picture are anew where views differ in size. Results of `forward` are valid until the
    next.
    Images here are planar and padded to whole tiles: [3, H', W'].
    """

    buffers: kernels.Buffers

    def __init__(self, settings: SplatSettings) -> None:
        self.settings = settings
        self._nearest = np.float32(settings.points_per_pixel)
        self._background = np.asarray(settings.background, np.float32)
        self._counts, self._size = (0, 0, 0, 0), (0, 0)  # what `allocate` takes first

    def forward(
        self, parameters: Float32Array, camera: Camera, harmonics: bool, differentiable: bool = True
    ) -> Float32Array:
        """Composite `parameters` [33, N] over the background; returns the image [3, H', W'], not clamped.

        Only after a differentiable one can `differentiate` follow.
        """
        self._splat(kernels.forward, parameters, camera, harmonics, differentiable)
        return self._evaluate_harmonics(self.buffers.composited)

    def train(self, parameters: Float32Array, camera: Camera, harmonics: bool, *step: Any) -> None:
        """`kernels.train` on a view; step: what it takes after the buffers."""
        self._splat(kernels.train, parameters, camera, harmonics, True, *step)

    def composites_harmonics(self, harmonics: bool) -> bool:
        """Whether a splat has all coefficients, for each pixel's ray to evaluate, and not just a colour."""
        return harmonics and self.settings.view_direction == "pixel"

    def differentiate(self, gradient: Float32Array) -> None:
        """Leave the gradient of every intersection in the buffers, for what takes `intersections_of_points`.

        gradient: [3, H', W'] of the loss with respect to the image `forward` returned.
        """
        b, spread = self.buffers, self._spread_over_harmonics(gradient)
        kernels.differentiate(
            b.binned, b.tile_start, b.tiles, b.shares, self.radius, self._nearest, self.channels, self._background,
            b.contributors, b.cell_start, spread, b.slots,
        )  # fmt: skip

    def intersections_of_points(self) -> tuple[Any, ...]:
        """What `kernels.gather` and `kernels.adam` take after the parameters: which intersections are a point's, how it
        moves them, and their gradients, as `differentiate` left them."""
        b = self.buffers
        return *self._projection, self.radius, self.channels, b.slot_start, b.slot_place, b.slots

    def backward(self, parameters: Float32Array, gradient: Float32Array) -> Float32Array:
        """[3 + channels, N] gradient with respect to positions and composited channels, given the image's gradient."""
        self.differentiate(gradient)
        kernels.gather(parameters, *self.intersections_of_points(), self.buffers.gathered)
        return self.buffers.gathered

    def _splat(
        self,
        kernel: Callable[..., int],
        parameters: Float32Array,
        camera: Camera,
        harmonics: bool,
        differentiable: bool,
        *more: Any,
    ) -> None:
        """Call a kernel that begins as `kernels.forward` does, again with more room if it lacked some."""
        self.camera = camera
        self.channels = kernels.ALL_CHANNELS if self.composites_harmonics(harmonics) else kernels.CHANNELS
        self.radius = np.float32(self.settings.radius_in_pixels(camera))
        lens = tuple(np.float32(value) for value in camera.intrinsics)
        self._projection = camera.world_to_image.astype(np.float32), lens
        view = (
            *self._projection, camera.position.astype(np.float32), camera.width, camera.height, self.radius,
            self._nearest, harmonics, self.channels, self._background,
        )  # fmt: skip
        cells = max(kernels.most_cells(float(self.radius)), self._counts[-1])  # radii go by the views' sizes, too
        counts = parameters.shape[1], len(self.channels), numba.get_num_threads(), cells
        size = camera.width, camera.height
        if counts != self._counts or (differentiable and not self.buffers.slot_start.size):
            self._allocate(counts, size, counts[0] + counts[0] // 2, differentiable)
        elif size != self._size:
            self._size, self.buffers = size, kernels.resize(self.buffers, *size)
        self.intersections = kernel(parameters, *view, self.buffers, *more)
        if self.intersections >= 2**31:
            raise OverflowError(
                f"{self.intersections} splats in all tiles; the CPU renderer can hold {2**31 - 1}: use a smaller "
                "model.splat_radius or fewer points"
            )
        if self.intersections > len(self.buffers.binned):
            self._allocate(counts, size, self.intersections + self.intersections // 4, differentiable)
            kernel(parameters, *view, self.buffers, *more)

    def _allocate(
        self, counts: tuple[int, int, int, int], size: tuple[int, int], intersections: int, differentiable: bool
    ) -> None:
        self._counts, self._size = counts, size
        self.buffers = kernels.allocate(*counts, *size, intersections, differentiable)

    def _evaluate_harmonics(self, composited: Float32Array) -> Float32Array:
        if len(self.channels) == 3:
            return composited
        colours = torch.from_numpy(composited)
        coefficients = colours[3:].view(sh.COUNT, 3, *colours.shape[1:])
        return (colours[:3] + torch.einsum("jhw,jchw->chw", self._pixel_basis(), coefficients)).numpy()

    def _spread_over_harmonics(self, gradient: Float32Array) -> Float32Array:
        """The gradient with respect to each composited channel."""
        if len(self.channels) == 3:
            return gradient
        colours = torch.from_numpy(gradient)
        spread = self._pixel_basis()[:, None] * colours
        return torch.cat([colours, spread.flatten(0, 1)]).numpy()

    def _pixel_basis(self) -> Tensor:
        """[9, H', W'] harmonics along the pixels' rays, 0 in the padding."""
        values = sh.basis(pixel_directions(self.camera, torch.device("cpu")))
        padded = torch.zeros(sh.COUNT, *self.buffers.composited.shape[1:])
        padded[:, : self.camera.height, : self.camera.width] = values
        return padded


def shown(image: Float32Array, camera: Camera) -> Tensor:
    """[H, W, 3] clamped, of a padded image [3, H', W']."""
    clamped = np.empty((3, camera.height, camera.width), np.float32)
    kernels.show(image, clamped)
    return torch.from_numpy(clamped).permute(1, 2, 0)


class _Splat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameters: Tensor, splatting: Splatting, camera: Camera, harmonics: bool) -> Tensor:
        values = parameters.detach().contiguous().numpy()
        image = splatting.forward(values, camera, harmonics)
        ctx.splatting, ctx.values, ctx.image, ctx.harmonics = splatting, values, image, harmonics
        return shown(image, camera)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        splatting, values = ctx.splatting, ctx.values
        gathered = splatting.backward(values, pad_gradient(gradients[0], ctx.image))
        full = torch.zeros(ROWS, values.shape[1])
        full[: len(gathered)] = torch.from_numpy(gathered)
        if ctx.harmonics and len(gathered) == 6:
            directions = point_directions(torch.from_numpy(values[POSITION]), splatting.camera)
            full[HARMONICS] = (sh.basis(directions)[:, None] * full[BASE]).flatten(0, 1)
        return full, None, None, None


def pad_gradient(gradient: Tensor, colours: Float32Array) -> Float32Array:
    """A gradient [H, W, 3] as [3, H', W'], zero in the padding and where `colours` [3, H', W'] was clamped."""
    padded = np.zeros_like(colours)
    height, width, _ = gradient.shape
    padded[:, :height, :width] = gradient.permute(2, 0, 1).numpy()
    padded[(colours < 0) | (colours > 1)] = 0
    return padded


class CpuRenderer(ThreadedRenderer[Splatting]):
    """Our tile renderer of points on all cores."""

    name = "cpu"
    settings: SplatSettings

    def __init__(self, settings: SplatSettings) -> None:
        super().__init__()
        self.settings = settings

    def _allocate(self) -> Splatting:
        return Splatting(self.settings)

    def _draw(self, buffers: Splatting, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        values = parameters.detach().contiguous().numpy()
        return shown(buffers.forward(values, camera, harmonics, differentiable=False), camera)

    def _differentiable(self, parameters: Tensor, camera: Camera, harmonics: bool) -> Tensor:
        image: Tensor = _Splat.apply(parameters, Splatting(self.settings), camera, harmonics)  # type: ignore[no-untyped-call]
        return image
