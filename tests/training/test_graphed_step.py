"""The step as CUDA graphs trains like the step without, to the same bits; tapes stand in where there is no GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.training.config import StageConfig
from tests.device import DEVICE, needs_gpu
from tests.render.clouds import settings
from tests.runs import random_cloud
from tests.scenes import sphere_views, turned_away
from tests.training.test_step import ADAM, BASE_STAGE, FULL, SILHOUETTE, both
from tests.training.test_trainer import Heard, start, training_config

pytest.importorskip("triton")
from pointrad.render.triton import MOST_INTERSECTIONS, TritonRenderer, count_intersections
from pointrad.training.steps import graphed as graphed_step
from pointrad.training.steps.base import Step
from pointrad.training.steps.build import build_step
from pointrad.training.steps.graphed import GraphedStep, capacity
from pointrad.training.steps.triton import TritonStep
from pointrad.training.target import Target, targets
from pointrad.training.trainer import train
from tests.training.tape import Reads, capture

T = TypeVar("T")
COLOURED = (0.2, 0.5, 1.0)
DECAYS = (1.0, 0.5, 0.5, 0.25)

interpreted = pytest.mark.integration  # seconds of Triton's interpreter each


class TestCapacity:
    def test_it_never_lies_below_the_pairs_nor_a_quarter_above(self) -> None:
        for intersections in [*range(4097, 40_000, 7), *(2**k + step for k in range(13, 31) for step in (-1, 0, 1))]:
            assert intersections <= capacity(intersections) <= 1.25 * intersections

    def test_sizes_are_few(self) -> None:
        sizes = {capacity(intersections) for intersections in range(1, 1_000_000, 100)}
        assert len(sizes) < 30
        assert {capacity(size) for size in sizes} == sizes

    def test_the_largest_is_what_int32_counts(self) -> None:
        assert capacity(MOST_INTERSECTIONS) == MOST_INTERSECTIONS

    def test_no_pairs_take_no_room(self) -> None:
        assert (capacity(0), capacity(1)) == (0, 4096)


def views(count: int = 4, width: int = 12, height: int = 8) -> list[tuple[Camera, Target]]:
    """Of which every other one has pixels that count less."""
    seen = sphere_views(count, width, height)
    seen = [view.weighing(view.mask == 0, 0.2) if index % 2 else view for index, view in enumerate(seen)]
    return [*zip((view.camera for view in seen), targets(seen, 1, DEVICE, torch.float32), strict=True)]


@pytest.fixture(autouse=True)
def _tapes_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE.type == "cpu":
        monkeypatch.setattr(graphed_step, "CudaGraphs", lambda device: capture)


class Recorder:
    """Graphs, or tapes without a GPU; counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.capture = graphed_step.CudaGraphs(DEVICE)

    def __call__(self, function: Callable[[], T]) -> Callable[[], T]:
        self.count += 1
        return self.capture(function)


def steps(
    stage: StageConfig, view_direction: Any = "point", points: int = 8, recorder: Recorder | None = None
) -> tuple[TritonStep, GraphedStep]:
    """Without and with graphs, of the same cloud."""
    renderer = TritonRenderer(settings(0.2, 6, view_direction, COLOURED), DEVICE)
    clouds = [Cloud(POINTS, random_cloud(points).parameters.to(DEVICE)) for _ in range(2)]
    return TritonStep(clouds[0], renderer, stage, ADAM), GraphedStep(
        clouds[1], renderer, stage, ADAM, recorder or Recorder()
    )


def assert_train_alike(ordinary: Step, graphed: Step, seen: list[tuple[Camera, Tensor]]) -> None:
    losses = []
    for (camera, target), decay in zip(seen, DECAYS, strict=True):
        losses.append([step(camera, target, both(decay)) for step in (ordinary, graphed)])
        for name in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(getattr(graphed, name), getattr(ordinary, name))
        assert torch.equal(graphed.cloud.parameters, ordinary.cloud.parameters)
    assert graphed.steps == ordinary.steps
    assert all(torch.equal(*both) for both in losses)  # only now: no step overwrites what an earlier one returned


@pytest.mark.parametrize(
    ("stage", "view_direction"),
    [
        pytest.param(FULL, "point", id="full", marks=interpreted),
        pytest.param(FULL, "pixel", id="pixel", marks=interpreted),
        pytest.param(BASE_STAGE, "point", id="base", marks=interpreted),
        pytest.param(SILHOUETTE, "point", id="silhouette", marks=interpreted),
    ],
)
def test_it_trains_to_the_same_bits(stage: StageConfig, view_direction: Any) -> None:
    recorder = Recorder()
    assert_train_alike(*steps(stage, view_direction, recorder=recorder), views())
    assert recorder.count == 2


@interpreted
def test_each_capacity_is_recorded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms: list[int] = []

    def tight(intersections: int) -> int:
        rooms.append(intersections + 3)
        return rooms[-1]

    monkeypatch.setattr(graphed_step, "capacity", tight)
    recorder = Recorder()
    seen = views(2)
    assert_train_alike(*steps(FULL, recorder=recorder), [*seen, *seen])
    assert recorder.count == 1 + len(set(rooms)) > 2


@interpreted
def test_a_view_without_points_trains_as_ever() -> None:
    seen = views()
    seen[2] = turned_away(seen[2][0]), seen[2][1]
    ordinary, graphed = steps(FULL)
    assert count_intersections(graphed.renderer.footprints(graphed.cloud.parameters, seen[2][0])) == 0
    assert_train_alike(ordinary, graphed, seen)


@interpreted
def test_views_of_another_size_or_focal_length_are_recorded_anew() -> None:
    recorder = Recorder()
    small, (longer, target) = views(1, 8, 6)[0], views(1)[0]
    seen = [(longer, target), small, (replace(longer, fx=1.2 * longer.fx), target), (longer, target)]
    assert_train_alike(*steps(BASE_STAGE, recorder=recorder), seen)
    assert recorder.count == 6


@interpreted
def test_it_goes_on_from_a_restored_optimiser() -> None:
    ordinary, graphed = steps(FULL)
    seen = views()
    for step in (ordinary, graphed):  # the recordings are older than the state that is restored
        step(*seen[0], both(1.0))
        step.steps = 40
        step.exp_avg.copy_(1e-3 * random_cloud(8, seed=3).parameters.to(DEVICE))
        step.exp_avg_sq.fill_(1e-4)
    assert_train_alike(ordinary, graphed, seen)


def test_learning_rates_are_numbers_that_the_device_holds_exactly() -> None:
    for step in steps(FULL):
        rates = step._rates(both(0.93**7))
        assert torch.tensor(rates, dtype=torch.float32).tolist() == list(rates)


@interpreted
def test_the_host_reads_nothing_but_the_number_of_pairs() -> None:
    graphed = steps(FULL)[1]
    (camera, target), *_ = views(1)
    graphed(camera, target, both(1.0))
    with Reads() as reads:
        graphed(camera, target, both(1.0))
    assert reads.count == 1


@pytest.mark.parametrize("graphs", [False, True])
def test_the_renderer_knows_which_step_it_gets(graphs: bool) -> None:
    cloud = Cloud(POINTS, random_cloud(3).parameters.to(DEVICE))
    step = build_step(cloud, TritonRenderer(settings(), DEVICE, graphs), FULL, ADAM)
    assert type(step) is (GraphedStep if graphs else TritonStep)


@interpreted
def test_a_schedule_with_graphs_ends_with_the_same_cloud(tmp_path: Path) -> None:
    clouds, seen = [], sphere_views(2, 12, 8)
    for graphs in (False, True):
        run_config = training_config(*(f"schedule.stages.{name}.epochs=1" for name in ("base", "full", "refine")))
        renderer, folder = TritonRenderer(settings(), DEVICE, graphs), tmp_path / str(graphs)
        folder.mkdir()
        state = start(run_config, folder, random_cloud(5))
        clouds.append(train(state, seen, run_config, renderer, folder, Heard()))
    assert torch.equal(clouds[0].parameters, clouds[1].parameters)


@needs_gpu
class TestOnAGpu:
    @pytest.mark.parametrize("stage", [BASE_STAGE, FULL, SILHOUETTE], ids=["base", "full", "silhouette"])
    def test_graphs_train_to_the_same_bits(self, stage: StageConfig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            graphed_step, "capacity", lambda intersections: -(-intersections // 16) * 16
        )  # so that views differ
        seen = views(2, 64, 48)
        assert_train_alike(*steps(stage, points=2000), [*seen, *seen])

    def test_a_step_waits_once(self) -> None:
        step = steps(FULL, points=2000)[1]
        (camera, target), *_ = views(1, 64, 48)
        step(camera, target, both(1.0))
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with pytest.warns(UserWarning, match="synchronizing") as waits:
                step(camera, target, both(1.0))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert len(waits) == 1
