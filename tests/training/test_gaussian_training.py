"""Gaussians train: by their kernels as by autograd, with operations within stages, killed or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pointrad.config import RunConfig
from pointrad.model.base import Cloud
from pointrad.render.build import build_renderer, build_settings
from pointrad.render.cpu.gaussians import GaussianCpuRenderer
from pointrad.training.checkpoint import Checkpoint
from pointrad.training.config import AdamConfig, L1SsimLossConfig, LossConfig, SilhouetteLossConfig
from pointrad.training.densify import SCREEN_GRADIENT
from pointrad.training.losses import image_loss
from pointrad.training.preemption import Preempted
from pointrad.training.steps.autograd import AutogradStep
from pointrad.training.steps.base import Step
from pointrad.training.steps.build import build_step
from pointrad.training.steps.gaussians import GaussianStep
from pointrad.training.target import targets
from pointrad.training.trainer import initial_state, train
from tests.runs import CONTENT, QUICK, config
from tests.scenes import sphere_views
from tests.training.test_trainer import VIEWS, Heard

# Larger than in schedules: Adam divides by the gradient's size, so that rounding noise alone would count in full.
ADAM = AdamConfig(beta1=0.9, beta2=0.99, epsilon=1e-4)
LENGTHS = {"coarse": 4, "half": 4, "grow": 8, "settle": 8}  # steps, of 4 views an epoch
BLACK = (0.0, 0.0, 0.0)


def training_config(*overrides: str) -> RunConfig:
    steps = [f"schedule.stages.{name}.epochs.steps={count}" for name, count in LENGTHS.items()]
    every = [f"schedule.stages.{name}.every.steps=3" for name in ("coarse", "half", "grow")]
    chosen = ("model=gaussians", "schedule=gaussians_fast", "dataset.root=nowhere", "checkpoint.every_seconds=0")
    quick = (override for override in QUICK if not override.startswith("scene."))
    return config(*quick, *chosen, *steps, *every, *overrides)


CONFIG = training_config()


def gaussians(count: int = 40) -> Cloud:
    generator = torch.Generator().manual_seed(0)
    positions = 0.3 * torch.randn(count, 3, generator=generator)
    return CONFIG.model.build().start(positions, torch.rand(count, 3, generator=generator), seed=0)


def renderer() -> GaussianCpuRenderer:
    built = build_renderer(CONFIG.renderer, build_settings(CONFIG.model, BLACK, []))
    assert isinstance(built, GaussianCpuRenderer)
    return built


def trained(step: Step, steps: int = 4) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The parameters by group, and the losses."""
    views, losses = sphere_views(2, 32, 24), []
    for n in range(steps):
        view = views[n % 2]
        target = targets([view], 1, torch.device("cpu"), torch.float32)[0]
        losses.append(step(view.camera, target, dict.fromkeys(step.cloud.model.rates, 1.0)).double())
    return step.cloud.model.split(step.cloud.parameters), torch.stack(losses)


@pytest.mark.parametrize("stage", ["coarse", "grow"], ids=["base colour", "with harmonics"])
def test_the_kernels_step_equals_autograds(stage: str) -> None:
    chosen = CONFIG.schedule.stages[stage]
    found, losses = trained(GaussianStep(gaussians(), renderer(), chosen, ADAM))
    expected, expected_losses = trained(AutogradStep(gaussians(), renderer(), chosen, ADAM))
    torch.testing.assert_close(losses, expected_losses, rtol=1e-4, atol=1e-7)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-3, atol=1e-3, msg=name)


def test_the_step_notes_where_the_loss_pulls() -> None:
    step = GaussianStep(gaussians(), renderer(), CONFIG.schedule.stages["grow"], ADAM)
    trained(step, steps=1)
    found = step.cloud.state[SCREEN_GRADIENT]
    assert (found > 0).float().mean() > 0.5
    assert torch.corrcoef(torch.stack([found, pull_on_screen(gaussians())]))[0, 1] > 0.9  # which is an estimate


def pull_on_screen(cloud: Cloud) -> torch.Tensor:
    """[N], from the gradients of positions, as if they were all due to where centres are seen."""
    view, loss = sphere_views(2, 32, 24)[0], CONFIG.schedule.stages["grow"].loss
    image = renderer().render(cloud.parameters.requires_grad_(), view.camera)
    error = image_loss(loss, image, torch.from_numpy(view.image), torch.ones(()))
    (gradient,) = torch.autograd.grad(error, cloud.parameters)
    rows = torch.from_numpy(view.camera.world_to_image).float()
    depth = rows[2, :3] @ cloud["position"] + rows[2, 3]
    return ((rows[:2, :3] @ gradient[cloud.model.rows["position"]]).norm(dim=0) * depth).detach()


def test_a_base_stage_leaves_harmonics_as_they_are() -> None:
    found, _ = trained(GaussianStep(gaussians(), renderer(), CONFIG.schedule.stages["coarse"], ADAM))
    assert (found["harmonics"] == 0).all()
    assert not torch.equal(found["base"], gaussians()["base"])


@pytest.mark.parametrize(
    "loss",
    [
        SilhouetteLossConfig(name="silhouette", sharpness=5, ridge=0),
        L1SsimLossConfig(name="l1_ssim", ssim_share=0.2),
    ],
    ids=lambda loss: loss.name,
)
def test_a_loss_without_a_kernel_trains_too(loss: LossConfig) -> None:
    stage = CONFIG.schedule.stages["grow"].model_copy(update={"loss": loss})
    step = build_step(gaussians(), renderer(), stage, ADAM)
    _, losses = trained(step, steps=12)
    assert losses[-1][0] < losses[0][0]


def start(folder: Path, run_config: RunConfig = CONFIG) -> None:
    initial_state(gaussians(), run_config.training_identity(CONTENT), {}).save(folder)


def go_on(folder: Path, listener: Heard, run_config: RunConfig = CONFIG) -> Cloud:
    state = Checkpoint.load(folder, run_config.training_identity(CONTENT))
    assert state is not None
    return train(state, VIEWS, run_config, renderer(), folder, listener)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cloud, Heard]:
    folder, heard = tmp_path_factory.mktemp("uninterrupted"), Heard()
    start(folder)
    return go_on(folder, heard), heard


def test_stages_last_as_many_whole_epochs_as_come_nearest_to_their_steps(uninterrupted: Any) -> None:
    epochs = [(record.stage, record.stage_epoch, record.stage_epochs) for record in uninterrupted[1].records]
    assert epochs == [
        ("coarse", 1, 1),
        ("half", 1, 1),
        ("grow", 1, 2),
        ("grow", 2, 2),
        ("settle", 1, 2),
        ("settle", 2, 2),
    ]


def test_operations_within_a_stage_come_after_every_so_many_steps(uninterrupted: Any) -> None:
    """12 % of 40 are split once in each of the first stages, and twice in the third."""
    points = [record.points for record in uninterrupted[1].records]
    assert points == [45, 50, 56, 63, 63, 63]


def test_rates_fall_step_by_step_along_an_exponential_curve(uninterrupted: Any) -> None:
    settle = [record.lr["opacity"] for record in uninterrupted[1].records if record.stage == "settle"]
    assert settle == pytest.approx([0.2, 0.2 * 0.02**0.5])


def test_training_lowers_the_loss(uninterrupted: Any) -> None:
    assert uninterrupted[1].records[-1].loss < 0.5 * uninterrupted[1].records[0].loss


@pytest.mark.parametrize("event", ["step 2", "step 3", "step 11", "step 12", "epoch 2", "epoch 3", "stage grow"])
def test_killed_or_told_to_stop_it_ends_the_same(event: str, tmp_path: Path, uninterrupted: Any) -> None:
    start(tmp_path)
    told = event.startswith("step")
    stop = Heard(stop=event.__eq__, error=lambda _: Preempted() if told else KeyboardInterrupt())
    with pytest.raises((Preempted, KeyboardInterrupt)):
        go_on(tmp_path, stop)
    assert torch.equal(go_on(tmp_path, Heard()).parameters, uninterrupted[0].parameters)
