"""A training step: the fused one, autograd's, and torch's own Adam compute the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.model.points import BASE, HARMONICS, POSITION
from pointrad.render.base import Renderer
from pointrad.render.cpu.points import CpuRenderer
from pointrad.render.pytorch3d import Pytorch3dRenderer
from pointrad.training.config import AdamConfig, StageConfig
from pointrad.training.losses import image_loss, ridge
from pointrad.training.steps.autograd import AutogradStep
from pointrad.training.steps.base import Step
from pointrad.training.steps.build import build_step
from pointrad.training.steps.points import FusedStep
from pointrad.training.target import Target, targets
from tests.render.clouds import settings
from tests.runs import config, copy, random_cloud
from tests.scenes import sphere_views

# Larger than published: Adam divides by the gradient's size, so that one of rounding noise alone would count in full.
ADAM = AdamConfig(beta1=0.9, beta2=0.999, epsilon=1e-5)
STAGES = config("schedule=report").schedule.stages
BASE_STAGE, FULL, SILHOUETTE = STAGES["base"], STAGES["full"], STAGES["position_pretraining"]
WHITE = (1.0, 1.0, 1.0)
DECAYS = (1.0, 1.0, 0.5, 0.5)


def both(decay: float) -> dict[str, float]:
    """The decay of both rates of points."""
    return {"position": decay, "colour": decay}


def pictures(width: int = 32, height: int = 24) -> list[tuple[Camera, Target]]:
    views = sphere_views(3, width, height)
    return [*zip((view.camera for view in views), targets(views, 1, torch.device("cpu"), torch.float32), strict=True)]


def trained(step: Step) -> tuple[Tensor, list[tuple[float, float]]]:
    """The parameters and the losses after a few steps."""
    pairs = pictures()
    losses = [tuple(step(*pairs[n % len(pairs)], both(decay)).tolist()) for n, decay in enumerate(DECAYS)]
    return step.cloud.parameters, losses


def torch_trained(cloud: Cloud, renderer: Renderer, stage: StageConfig) -> tuple[Tensor, list[float]]:
    """The same written with torch.optim.Adam, a parameter group for each learning rate."""
    rates = (stage.lr["position"], stage.lr["colour"], stage.lr["colour"] * stage.harmonics)
    blocks = [cloud.parameters[rows].clone().requires_grad_() for rows in (POSITION, BASE, HARMONICS)]
    groups = [{"params": [block], "published": rate} for block, rate in zip(blocks, rates, strict=True)]
    optimiser = torch.optim.Adam(groups, betas=(ADAM.beta1, ADAM.beta2), eps=ADAM.epsilon)
    losses, pairs = [], pictures()
    for n, decay in enumerate(DECAYS):
        for group in optimiser.param_groups:
            group["lr"] = group["published"] * decay
        camera, target = pairs[n % len(pairs)]
        image = renderer.render(torch.cat(blocks), camera, stage.harmonics)
        loss = image_loss(stage.loss, image, target.image.permute(1, 2, 0), target.weight)
        loss = loss + ridge(stage.loss) * blocks[0].square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return torch.cat(blocks).detach(), losses


@pytest.mark.parametrize("view_direction", ["point", "pixel"])
@pytest.mark.parametrize("stage", [BASE_STAGE, FULL, SILHOUETTE], ids=["base", "full", "silhouette"])
class TestSteps:
    def test_the_fused_step_equals_autograds(self, stage: StageConfig, view_direction: Any) -> None:
        renderer = CpuRenderer(settings(0.2, 6, view_direction, WHITE))
        fused, fused_losses = trained(FusedStep(random_cloud(), renderer.settings, stage, ADAM))
        expected, losses = trained(AutogradStep(random_cloud(), renderer, stage, ADAM))
        torch.testing.assert_close(torch.tensor(fused_losses), torch.tensor(losses), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(fused, expected, rtol=1e-4, atol=2e-5)

    def test_the_fused_step_equals_pytorch3ds(self, stage: StageConfig, view_direction: Any) -> None:
        splats = settings(0.2, 6, view_direction)
        fused, fused_losses = trained(FusedStep(random_cloud(), splats, stage, ADAM))
        reference = Pytorch3dRenderer(splats, torch.device("cpu"))
        expected, losses = trained(AutogradStep(random_cloud(), reference, stage, ADAM))
        torch.testing.assert_close(torch.tensor(fused_losses), torch.tensor(losses), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(fused, expected, rtol=1e-3, atol=2e-4)

    def test_autograds_step_is_torchs_adam(self, stage: StageConfig, view_direction: Any) -> None:
        renderer = CpuRenderer(settings(0.2, 6, view_direction, WHITE))
        found, losses = trained(AutogradStep(random_cloud(), renderer, stage, ADAM))
        expected, expected_losses = torch_trained(random_cloud(), renderer, stage)
        torch.testing.assert_close(torch.tensor([loss for loss, _ in losses]), torch.tensor(expected_losses))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [FusedStep, AutogradStep])
class TestRatesOfZero:
    def test_position_pretraining_leaves_colours_as_they_are(self, make: type) -> None:
        assert torch.equal(self.after(make, SILHOUETTE)[3:], random_cloud().parameters[3:])

    def test_a_colour_only_stage_leaves_positions_as_they_are(self, make: type) -> None:
        assert torch.equal(self.after(make, STAGES["colour_only"])[:3], random_cloud().parameters[:3])

    def test_a_base_stage_leaves_harmonics_as_they_are(self, make: type) -> None:
        assert torch.equal(self.after(make, BASE_STAGE)[6:], random_cloud().parameters[6:])

    def after(self, make: type, stage: StageConfig) -> Tensor:
        renderer = CpuRenderer(settings())
        step = make(random_cloud(), renderer if make is AutogradStep else renderer.settings, stage, ADAM)
        return trained(step)[0]


@pytest.mark.parametrize("make", [FusedStep, AutogradStep])
def test_the_second_part_of_a_steps_loss_is_the_mean_squared_error(make: type) -> None:
    renderer = CpuRenderer(settings())
    camera, target = pictures()[0]
    with torch.no_grad():
        image = renderer.render(random_cloud().parameters, camera, True)
    step = make(random_cloud(), renderer if make is AutogradStep else renderer.settings, FULL, ADAM)
    expected = float((image - target.image.permute(1, 2, 0)).square().mean())
    assert float(step(camera, target, both(1.0))[1]) == pytest.approx(expected, rel=1e-5)


def test_points_that_no_view_sees_stay_where_they_are() -> None:
    cloud = random_cloud()
    cloud.parameters[:3, 7] = 100.0
    before = copy(cloud).parameters[:, 7]
    assert torch.equal(trained(FusedStep(cloud, settings(), FULL, ADAM))[0][:, 7], before)


def test_a_step_that_first_lacks_room_for_its_splats_moves_points_once() -> None:
    """Each splat lies in several tiles, for which room is found only after counting them."""
    camera, target = pictures(400, 300)[0]
    renderer = CpuRenderer(settings(0.3, 6))
    fused = FusedStep(random_cloud(), renderer.settings, FULL, ADAM)
    expected = AutogradStep(random_cloud(), renderer, FULL, ADAM)
    losses = [step(camera, target, both(1.0)) for step in (fused, expected)]
    assert fused._splatting.intersections > 1.5 * len(fused.cloud)
    torch.testing.assert_close(*losses, check_dtype=False, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(fused.cloud.parameters, expected.cloud.parameters, rtol=1e-4, atol=2e-5)
    torch.testing.assert_close(fused.exp_avg, expected.exp_avg, rtol=1e-4, atol=1e-7)


def test_our_renderer_takes_the_fused_step() -> None:
    assert isinstance(build_step(random_cloud(), CpuRenderer(settings()), FULL, ADAM), FusedStep)


def test_any_other_renderer_takes_autograds_step() -> None:
    reference = Pytorch3dRenderer(settings(), torch.device("cpu"))
    assert isinstance(build_step(random_cloud(), reference, FULL, ADAM), AutogradStep)
