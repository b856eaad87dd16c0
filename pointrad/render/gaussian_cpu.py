"""Gaussians on the CPU: the passes of `gaussian_kernels` over a view, and room for them."""

from __future__ import annotations

from pointrad.scene.types import Camera, Float32Array


class GaussianSplatting:
    """One view of Gaussians (see `gaussians`) being splatted: all between a cloud and its image, kept for the way back.

    Buffers are allocated once for a size of clouds and views, with room for what comes, so one object serves a whole
    training; results of `forward` are valid until the next call. Images here are planar and padded to whole tiles:
    [3, H', W']. `degree` is that of the harmonics that are seen, at most that of the cloud.
    """

    def __init__(self, background: tuple[float, float, float]) -> None:
        raise NotImplementedError

    def forward(
        self, parameters: Float32Array, camera: Camera, degree: int, differentiable: bool = True
    ) -> Float32Array:
        """Composite `parameters` [D, N] over the background; returns the image [3, H', W'], not clamped.

        Only after a differentiable one can `backward` follow.
        """
        raise NotImplementedError

    @property
    def opacity(self) -> Float32Array:
        """[H', W'], of the image that `forward` returned: 1 minus the transmittance."""
        raise NotImplementedError

    def backward(self, parameters: Float32Array, gradient: Float32Array) -> Float32Array:
        """[D, N] gradient, given the gradient [3, H', W'] with respect to the image that `forward` returned."""
        raise NotImplementedError

    def step(
        self,
        parameters: Float32Array,
        gradient: Float32Array,
        exp_avg: Float32Array,
        exp_avg_sq: Float32Array,
        rates: Float32Array,
        adam: tuple[float, float, float, float],
        screen_gradient: Float32Array,
    ) -> None:
        """`backward` and Adam in one, in place, without a gradient in memory: for losses without a kernel.

        exp_avg, exp_avg_sq: [D, N]. rates: [D] float32, each row's learning rate over 1 - beta1^t; a row whose rate is
        0 and its moments stay as they are. adam: beta1, beta2, 1 / sqrt(1 - beta2^t) and epsilon. A Gaussian that no
        pixel takes in this view stays as it is, its moments, too. screen_gradient: [N] float32, to which is added how
        long the gradient with respect to each one's centre is, the centre in units of half the image's width.
        """
        raise NotImplementedError

    def train(
        self,
        parameters: Float32Array,
        camera: Camera,
        degree: int,
        target: Float32Array,
        unknown_share: float,
        gradient_weight: float,
        shifts: Float32Array,
        exp_avg: Float32Array,
        exp_avg_sq: Float32Array,
        rates: Float32Array,
        adam: tuple[float, float, float, float],
        screen_gradient: Float32Array,
    ) -> tuple[float, float]:
        """`forward`, the photometric loss and `step` in one call; returns the loss and its MSE part.

        target [3, H, W], unknown_share, gradient_weight and shifts: as `cpu_kernels.photometric` takes them; the rest
        as `step` does.
        """
        raise NotImplementedError
