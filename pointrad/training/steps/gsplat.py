"""The training step of Gaussians by gsplat: autograd, with what growth asks for, and Adam of those that are seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.gsplat import GsplatRenderer
from pointrad.training.densify import SCREEN_GRADIENT
from pointrad.training.steps.autograd import AutogradStep
from pointrad.training.steps.base import with_moments
from pointrad.training.target import Target


class GsplatStep(AutogradStep):
    """What `GaussianStep` does: Gaussians that no pixel of the view takes stay as they are, and so do their moments."""

    renderer: GsplatRenderer

    def go_on_with(self, cloud: Cloud) -> None:
        super().go_on_with(with_moments(cloud, SCREEN_GRADIENT))

    def _differentiate(self, parameters: Tensor, camera: Camera, target: Target) -> tuple[Tensor, Tensor]:
        image, centres = self.renderer.splat(parameters, camera, self.stage.harmonics)
        centres.register_hook(partial(self._note, camera.width / 2))  # type: ignore[no-untyped-call]
        return self._of_image(parameters, image, target)

    def _note(self, half: float, gradient: Tensor) -> None:
        """Add up how long the centres' gradients [1, N, 2] per pixel are, in units of half the image's width."""
        self.cloud.state[SCREEN_GRADIENT].add_(gradient[0].norm(dim=-1), alpha=half)

    def _update(self, gradient: Tensor, rates: Sequence[float] | Tensor, steps: Tensor) -> None:
        taken = gradient.any(dim=0).float()  # 1 of those that a pixel took, else 0
        first_share, second_share = taken * (1 - self.adam.beta1), taken * (1 - self.adam.beta2)
        first_correction, second_correction = (
            1 - beta ** (self.steps + 1) for beta in (self.adam.beta1, self.adam.beta2)
        )
        for rate, rows in zip(rates, self._trained.values(), strict=True):
            pull, first, second = gradient[rows], self.exp_avg[rows], self.exp_avg_sq[rows]
            first.lerp_(pull, first_share)
            second.lerp_(pull.square(), second_share)
            size = (second / second_correction).sqrt() + self.adam.epsilon
            self.cloud.parameters[rows] -= rate / first_correction * taken * first / size
