"""Gaussians train by gsplat as by our own kernels: parameters, moments, and where the loss pulls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pointrad.model.base import Cloud
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.training.checkpoint import Checkpoint
from pointrad.training.config import AdamConfig
from pointrad.training.densify import SCREEN_GRADIENT
from pointrad.training.steps.base import EXP_AVG, EXP_AVG_SQ, Step
from pointrad.training.steps.build import build_step
from pointrad.training.steps.gsplat import GsplatStep
from pointrad.training.target import targets
from pointrad.training.trainer import initial_state, train
from tests.render.gaussian_renderers import build, needs_gsplat
from tests.runs import CONTENT
from tests.scenes import sphere_views
from tests.training.test_gaussian_training import BLACK, CONFIG, gaussians
from tests.training.test_trainer import VIEWS, Heard

ADAM = AdamConfig(beta1=0.9, beta2=0.99, epsilon=1e-4)  # as large as in `test_gaussian_training`, and for its reason
OF_GSPLAT = ["gsplat in torch", pytest.param("gsplat", marks=needs_gsplat)]


def step_of(name: str, cloud: Cloud, stage: str = "grow") -> Step:
    renderer = build(name, GaussianSettings(BLACK, CONFIG.model.sh_degree))
    there = cloud.with_parameters(cloud.parameters.to(renderer.device))
    return build_step(there, renderer, CONFIG.schedule.stages[stage], ADAM)


def trained(step: Step, steps: int = 4) -> Cloud:
    """On the CPU."""
    views, device = sphere_views(2, 32, 24), step.cloud.parameters.device
    for n in range(steps):
        target = targets([views[n % 2]], 1, device, torch.float32)[0]
        step(views[n % 2].camera, target, dict.fromkeys(step.cloud.model.rates, 1.0))
    state = {name: values.cpu() for name, values in step.cloud.state.items()}
    return Cloud(step.cloud.model, step.cloud.parameters.cpu(), state)


def some_unseen() -> Cloud:
    """Gaussians of which the last five lie where no view looks."""
    cloud = gaussians()
    cloud["position"][:, -5:] += 50
    return cloud


@pytest.mark.parametrize("stage", ["coarse", "grow"], ids=["base colour", "with harmonics"])
@pytest.mark.parametrize("name", OF_GSPLAT)
def test_it_trains_as_our_kernels_do(name: str, stage: str) -> None:
    found, expected = (trained(step_of(by, some_unseen(), stage)) for by in (name, "cpu"))
    for group in expected.model.groups:
        torch.testing.assert_close(found[group.name], expected[group.name], rtol=1e-3, atol=1e-3, msg=group.name)
    for moment in (EXP_AVG, EXP_AVG_SQ, SCREEN_GRADIENT):
        error = found.state[moment] - expected.state[moment]
        assert error.norm() <= 1e-3 * expected.state[moment].norm(), moment


@pytest.mark.parametrize("name", OF_GSPLAT)
def test_what_no_pixel_takes_stays_as_it_is(name: str) -> None:
    cloud = some_unseen()
    moments = {moment: torch.full_like(cloud.parameters, 0.1) for moment in (EXP_AVG, EXP_AVG_SQ)}
    step = step_of(name, cloud)
    state = {moment: values.to(step.cloud.parameters.device, copy=True) for moment, values in moments.items()}
    step.go_on_with(Cloud(cloud.model, step.cloud.parameters, state))
    found = trained(step, steps=2)
    unseen = slice(len(cloud) - 5, None)
    assert torch.equal(found.parameters[:, unseen], some_unseen().parameters[:, unseen])
    for moment, values in moments.items():
        assert torch.equal(found.state[moment][:, unseen], values[:, unseen])
    assert (found.state[SCREEN_GRADIENT][unseen] == 0).all()
    assert not torch.equal(found.parameters, some_unseen().parameters)


def test_its_renderer_gets_its_step() -> None:
    assert isinstance(step_of("gsplat in torch", gaussians()), GsplatStep)


@pytest.mark.parametrize("name", OF_GSPLAT)
def test_a_schedule_trains_to_its_end_and_grows(name: str, tmp_path: Path) -> None:
    renderer = build(name, GaussianSettings(BLACK, CONFIG.model.sh_degree))
    initial_state(gaussians(), CONFIG.training_identity(CONTENT), {}).save(tmp_path)
    state = Checkpoint.load(tmp_path, CONFIG.training_identity(CONTENT))
    assert state is not None
    cloud = train(state, VIEWS, CONFIG, renderer, tmp_path, Heard())
    assert len(cloud) > 40
    assert cloud.parameters.isfinite().all()
