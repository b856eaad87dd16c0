"""The training loop: stages, epochs and what listeners hear; and what a killed training goes on from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pointrad.config import RunConfig
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.base import SplatSettings
from pointrad.render.build import build_renderer, build_settings
from pointrad.render.cpu.points import CpuRenderer
from pointrad.training import memory
from pointrad.training.checkpoint import FILE_NAME, Checkpoint
from pointrad.training.lineage import BEGUN, TOGETHER
from pointrad.training.record import EpochRecord
from pointrad.training.trainer import initial_state, train, warm_up
from tests.runs import CONTENT, QUICK, config, copy, random_cloud
from tests.scenes import sphere_views

VIEWS = sphere_views(4, 16, 12)
# Two epochs of each: 6 epochs; the last begins with outlier removal and duplication.
TWO_EACH = ["schedule=demo", *(f"schedule.stages.{name}.epochs=2" for name in ("base", "full", "refine"))]


def training_config(*overrides: str) -> RunConfig:
    return config(*QUICK, "dataset.root=nowhere", *TWO_EACH, "checkpoint.every_seconds=0", *overrides)


@dataclass
class Heard:
    """A listener that writes down what it hears, and raises where `stop` says so."""

    stop: Callable[[str], bool] = lambda _: False
    error: Callable[[str], BaseException] = KeyboardInterrupt
    records: list[EpochRecord] = field(default_factory=list)
    stages: list[tuple[str, int, int]] = field(default_factory=list)
    steps: int = 0

    def on_step(self, stage: str, stage_epoch: int, points: int) -> None:
        self.steps += 1
        self._hear(f"step {self.steps}")

    def on_epoch(self, record: EpochRecord) -> None:
        self.records.append(record)
        self._hear(f"epoch {record.epoch}")

    def on_stage_end(self, stage: str, cloud: Cloud, epoch: int) -> None:
        self.stages.append((stage, len(cloud), epoch))
        self._hear(f"stage {stage}")

    def _hear(self, event: str) -> None:
        if self.stop(event):
            raise self.error(event)


def start(run_config: RunConfig, folder: Path, cloud: Cloud | None = None) -> Checkpoint:
    state = initial_state(
        copy(cloud or random_cloud()), run_config.training_identity(CONTENT), {"mask_iou": 1.0, "hull_points": 60}
    )
    state.save(folder)
    return state


def go_on(run_config: RunConfig, folder: Path, listener: Heard, views: Sequence[View] = VIEWS) -> Cloud:
    """Train from the checkpoint in `folder`, as a run does."""
    state = Checkpoint.load(folder, run_config.training_identity(CONTENT))
    assert state is not None
    settings = build_settings(run_config.model, (0.0, 0.0, 0.0), [view.camera for view in views])
    return train(state, tuple(views), run_config, build_renderer(run_config.renderer, settings), folder, listener)


def whole(run_config: RunConfig, folder: Path, views: Sequence[View] = VIEWS) -> tuple[Cloud, Heard]:
    start(run_config, folder)
    heard = Heard()
    return go_on(run_config, folder, heard, views), heard


def test_every_epoch_is_reported_with_its_stage_points_and_rates(tmp_path: Path) -> None:
    _, heard = whole(training_config(), tmp_path)
    assert [(r.epoch, r.stage, r.stage_epoch) for r in heard.records] == [
        (1, "base", 1), (2, "base", 2), (3, "full", 1), (4, "full", 2), (5, "refine", 1), (6, "refine", 2),
    ]  # fmt: skip
    assert [r.lr["colour"] for r in heard.records[:3]] == pytest.approx([3e-3, 3e-3 * 0.8, 22e-3])
    assert [r.lr["position"] for r in heard.records[:3]] == pytest.approx([8e-4, 8e-4 * 0.8, 8e-4])
    assert heard.records[4].points == 2 * (heard.records[4].points // 2) > heard.records[3].points
    assert heard.steps == 6 * len(VIEWS)


def test_where_less_is_known_epochs_that_are_counted_in_steps_have_more_of_them(tmp_path: Path) -> None:
    run_config = training_config(
        "schedule.stages.base.epochs={steps:8}", *(f"schedule.stages.{s}.enabled=false" for s in ("full", "refine"))
    )
    state, heard = start(run_config, tmp_path), Heard()
    state.facts["known_share"] = 0.6
    state.save(tmp_path)
    go_on(run_config, tmp_path, heard)
    assert (len(heard.records), heard.steps) == (2, 2 * 7)


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    _, heard = whole(training_config(), tmp_path)
    assert heard.records[-1].loss < 0.9 * heard.records[0].loss


def test_splats_that_move_together_do_so_after_every_epoch(tmp_path: Path) -> None:
    """They are so few that each is a neighbour of all."""
    run_config = training_config("schedule.stages.refine.enabled=false")
    cloud, together = random_cloud(20), torch.ones(20, dtype=torch.bool)
    begun = cloud["position"].clone()
    state = replace(start(run_config, tmp_path, cloud), statistics={TOGETHER: together, BEGUN: begun})
    state.save(tmp_path)
    ways = go_on(run_config, tmp_path, Heard())["position"] - begun
    assert ways.abs().max() > 1e-4
    assert ways.std(dim=1).max() < 1e-6


def test_seconds_never_go_back(tmp_path: Path) -> None:
    _, heard = whole(training_config(), tmp_path)
    seconds = [record.seconds for record in heard.records]
    assert seconds[0] > 0
    assert seconds == sorted(seconds)


def test_the_final_checkpoint_holds_the_returned_cloud_and_the_points_of_each_stage(tmp_path: Path) -> None:
    run_config = training_config()
    cloud, heard = whole(run_config, tmp_path)
    state = Checkpoint.load(tmp_path, run_config.training_identity(CONTENT))
    assert state is not None
    assert torch.equal(POINTS.join(state.parameters), cloud.parameters)
    assert state.progress.points == {"init": 60, **{stage: points for stage, points, _ in heard.stages}}


def test_a_stage_that_is_not_enabled_is_skipped(tmp_path: Path) -> None:
    _, heard = whole(training_config("schedule.stages.full.enabled=false"), tmp_path)
    assert [stage for stage, _, _ in heard.stages] == ["base", "refine"]


def test_a_stage_of_no_epochs_still_operates_on_the_cloud(tmp_path: Path) -> None:
    cloud, heard = whole(
        training_config(*(f"schedule.stages.{s}.epochs=0" for s in ("base", "full", "refine"))), tmp_path
    )
    assert heard.records == []
    assert len(cloud) > 60


def test_another_seed_visits_the_views_in_another_order(tmp_path: Path) -> None:
    first, _ = whole(training_config(), tmp_path / "0")
    second, _ = whole(training_config("seed=1"), tmp_path / "1")
    assert not torch.equal(first.parameters, second.parameters)


def test_a_stage_trains_at_its_own_resolution(tmp_path: Path) -> None:
    half, _ = whole(training_config("schedule.stages.base.downscale=2"), tmp_path / "half")
    full, _ = whole(training_config(), tmp_path / "full")
    assert not torch.equal(half.parameters, full.parameters)


def test_at_a_resolution_that_does_not_divide_the_image_what_fills_no_block_is_left_out(tmp_path: Path) -> None:
    fifth = training_config(
        "schedule.stages.base.downscale=5", *(f"schedule.stages.{s}.enabled=false" for s in ("full", "refine"))
    )
    black = [replace(view, image=view.image.copy()) for view in VIEWS]
    for view in black:
        view.image[10:], view.image[:, 15:] = 0, 0
    found = [whole(fifth, tmp_path / name, views)[0] for name, views in (("whole", VIEWS), ("black", black))]
    assert torch.equal(found[0].parameters, found[1].parameters)


def test_a_downscale_of_more_than_the_image_is_an_error(tmp_path: Path) -> None:
    message = r"schedule\.stages\.base\.downscale: found 13, more than the 16x12 pixels of a training image"
    with pytest.raises(UserError, match=message):
        whole(training_config("schedule.stages.base.downscale=13"), tmp_path)


@pytest.mark.parametrize("row", [0, 3], ids=["position", "colour"])
def test_a_point_that_is_not_a_number_ends_training_and_names_the_rates(row: int, tmp_path: Path) -> None:
    run_config = training_config()
    cloud = random_cloud()
    cloud.parameters[row, 5] = math.nan
    start(run_config, tmp_path, cloud)
    message = (
        r"training diverged: after epoch 1 of stage base the loss is .* points have parameters that are not finite; "
        r"lower a rate of schedule\.stages\.base\.lr \(found position: 0\.0008, colour: 0\.003\)"
    )
    with pytest.raises(UserError, match=message):
        go_on(run_config, tmp_path, Heard())


def test_training_that_diverged_does_not_overwrite_its_last_checkpoint(tmp_path: Path) -> None:
    run_config = training_config()
    cloud = random_cloud()
    cloud.parameters[3:] = math.nan
    start(run_config, tmp_path, cloud)
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(UserError):
        go_on(run_config, tmp_path, Heard())
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_short_of_memory_it_trains_on_images_of_8_bits_says_so_and_keeps_it_for_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_config = training_config()
    exact, _ = whole(run_config, tmp_path / "exact")
    monkeypatch.setattr(memory, "fitted", lambda need, free: replace(need, dtype=torch.uint8))
    rounded, _ = whole(run_config, tmp_path / "rounded")
    assert "Stage base: short of memory" in capsys.readouterr().err
    bits = []
    for folder in ("exact", "rounded"):
        state = Checkpoint.load(tmp_path / folder, run_config.training_identity(CONTENT))
        assert state is not None
        bits.append(state.facts["target_bits"])
    assert bits == [32, 8]
    assert not torch.equal(rounded.parameters, exact.parameters)


def test_warming_up_changes_nothing(tmp_path: Path) -> None:
    run_config = training_config()
    expected, _ = whole(run_config, tmp_path / "cold")
    warm_up(run_config, VIEWS, CpuRenderer(SplatSettings(0.2, 15, "point", (0.0, 0.0, 0.0))))
    found, _ = whole(run_config, tmp_path / "warm")
    np.testing.assert_array_equal(found.parameters, expected.parameters)
