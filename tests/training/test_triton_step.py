"""The Triton step: its loss kernel is torch's loss, and it trains like the CPU's step."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.device import DEVICE
from tests.render.clouds import settings
from tests.runs import random_cloud
from tests.scenes import sphere_views
from tests.training.test_losses import PHOTOMETRIC
from tests.training.test_step import ADAM, BASE_STAGE, FULL, SILHOUETTE, both

pytest.importorskip("triton")
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.triton import TritonRenderer
from pointrad.training.config import StageConfig
from pointrad.training.losses import image_loss, residual
from pointrad.training.steps.base import Step
from pointrad.training.steps.build import build_step
from pointrad.training.steps.points import FusedStep
from pointrad.training.steps.triton import TritonStep, photometric
from pointrad.training.target import Target, targets

pytestmark = [pytest.mark.integration] if DEVICE.type == "cpu" else []  # seconds of Triton's interpreter

BLACK, COLOURED = (0.0, 0.0, 0.0), (0.2, 0.5, 1.0)


SHARE = 0.3  # of its error, that an unknown pixel counts with


def composited(height: int, width: int, unknown: float = 0.0) -> tuple[Tensor, Tensor, Target]:
    """Image, transmittance and target; some colours lie outside [0, 1], and a share of the target is unknown."""
    generator = torch.Generator().manual_seed(0)
    image = 1.4 * torch.rand(3, height, width, generator=generator) - 0.2
    transmittance, target = (torch.rand(*shape, height, width, generator=generator) for shape in ((), (3,)))
    weight = torch.where(torch.rand(height, width, generator=generator) < unknown, SHARE, 1.0)
    return image.to(DEVICE), transmittance.to(DEVICE), Target(target, weight).to(DEVICE)


def by_kernel(
    size: tuple[int, int], background: tuple[float, ...], shifts: tuple[int, ...], unknown: float = 0.0
) -> tuple[Tensor, ...]:
    image, transmittance, target = composited(*size, unknown)
    behind = torch.tensor(background, device=DEVICE)
    wanted = torch.tensor(shifts, dtype=torch.int32, device=DEVICE)
    return photometric(image, transmittance, behind, target, PHOTOMETRIC.gradient_weight, wanted)


def by_torch(
    size: tuple[int, int], background: tuple[float, ...], shifts: tuple[int, ...], unknown: float = 0.0
) -> tuple[Tensor, ...]:
    image, transmittance, target = composited(*size, unknown)
    image.requires_grad_(), transmittance.requires_grad_()
    behind = torch.tensor(background, device=DEVICE)
    pixels = (image + transmittance * behind[:, None, None]).clamp(0, 1).permute(1, 2, 0)
    wanted = target.image.permute(1, 2, 0)
    loss = image_loss(PHOTOMETRIC.model_copy(update={"shifts": shifts}), pixels, wanted, target.weight)
    losses = torch.stack([loss, residual(pixels, wanted, target.weight).square().mean()]).detach()
    return losses, *torch.autograd.grad(loss, (image, transmittance))


SIZES = ((9, 14), (16, 8), (2, 3), (1, 1), (1, 20), (21, 1))
SHIFTS: tuple[tuple[int, ...], ...] = ((1, 2, 3), (), (1,), (5, 40))


def combinations() -> list[Any]:
    """Every combination of shifts, background, size and share of unknown pixels.

    Triton's interpreter takes a second for some, so all are for `make test-slow`, `make test` has each two values of
    any two of them together, and `make check` has each value. A GPU has them all at once.
    """
    cases = []
    for (i, size), (j, shifts), (k, background), (m, unknown) in product(
        enumerate(SIZES), enumerate(SHIFTS), enumerate((BLACK, COLOURED)), enumerate((0.0, 0.4))
    ):
        paired = k == (i + j) % 2 and m == (i + j // 2) % 2
        first = paired and j == (i + i // 2) % 4
        marks = [pytest.mark.slow] if DEVICE.type == "cpu" and not first and not paired else []
        cases.append(pytest.param(shifts, background, size, unknown, marks=marks))
    return cases


@pytest.mark.parametrize(("shifts", "background", "size", "unknown"), combinations())
def test_the_loss_kernel_is_torchs_loss_and_gradient(
    shifts: tuple[int, ...], background: tuple[float, ...], size: tuple[int, int], unknown: float
) -> None:
    found, expected = by_kernel(size, background, shifts, unknown), by_torch(size, background, shifts, unknown)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-5, atol=0)
    for mine, torchs in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-4, atol=1e-7)


def test_the_loss_kernel_computes_the_same_bits_again() -> None:
    once, again = (by_kernel((9, 14), COLOURED, (1, 2, 3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_a_colour_that_is_not_a_number_is_not_hidden() -> None:
    image, transmittance, target = composited(9, 14)
    image[1, 4, 4] = torch.nan
    shifts = torch.tensor([1], dtype=torch.int32, device=DEVICE)
    behind = torch.zeros(3, device=DEVICE)
    assert photometric(image, transmittance, behind, target, 0.03, shifts)[0].isnan().all()


def trained(step: Step) -> tuple[Tensor, Tensor]:
    """The parameters and losses after a step on each of three views."""
    losses = []
    for view in sphere_views(3, 12, 8):
        target = targets([view], 1, step.cloud.parameters.device, torch.float32)[0]
        losses.append(step(view.camera, target, both(0.5)))
    return step.cloud.parameters.cpu(), torch.stack(losses).cpu().double()


@pytest.mark.parametrize("view_direction", ["point", "pixel"])
@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(BASE_STAGE, id="base"),
        pytest.param(FULL, id="full"),
        pytest.param(SILHOUETTE, id="silhouette"),
    ],
)
def test_it_trains_like_the_cpus_step(stage: StageConfig, view_direction: Any) -> None:
    splats = settings(0.2, 6, view_direction, COLOURED)
    cloud = Cloud(POINTS, random_cloud(12).parameters.to(DEVICE))
    step = build_step(cloud, TritonRenderer(splats, DEVICE), stage, ADAM)
    assert isinstance(step, TritonStep)
    parameters, losses = trained(step)
    expected, expected_losses = trained(FusedStep(random_cloud(12), splats, stage, ADAM))
    torch.testing.assert_close(losses, expected_losses, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(parameters, expected, rtol=1e-3, atol=2e-4)
