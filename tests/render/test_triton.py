"""The Triton renderer computes what the others do: in Triton's interpreter, or on a GPU with POINTRAD_DEVICE=cuda."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from torch import Tensor

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render import oracle
from pointrad.run.run import run
from tests.device import DEVICE, needs_gpu
from tests.render.clouds import Case, cases, cloud, front_camera, settings
from tests.render.test_exactness import WHITE, assert_agree, cpu, image_and_gradient, triton
from tests.runs import QUICK, REPOSITORY, config, random_cloud
from tests.scenes import look_at, sphere_views, write_tiny_scene
from tests.training.tape import Reads
from tests.training.test_step import ADAM, FULL, both
from tests.training.test_trainer import Heard, start, training_config

pytest.importorskip("triton")
from pointrad.render.triton import TILE, Bins, TritonRenderer, bin_splats, count_intersections, list_intersections
from pointrad.training.steps.base import Step
from pointrad.training.steps.build import build_step
from pointrad.training.target import Target, targets
from pointrad.training.trainer import train

pytestmark = [pytest.mark.integration] if DEVICE.type == "cpu" else []  # seconds of Triton's interpreter

# The interpreter takes milliseconds for a splat in a tile, so its clouds are small.
SMALL = {"most_points": 8, "largest_side": 20} if DEVICE.type == "cpu" else {}
# It takes seconds for the gradients of splats that each pixel sees along a direction of its own.
ALONG_PIXELS = pytest.mark.slow if DEVICE.type == "cpu" else ()
few = hypothesis_settings(max_examples=8 if DEVICE.type == "cpu" else 100, deadline=None, derandomize=True)


@few
@given(cases(**SMALL))
def test_it_agrees_with_the_cpu_renderer(case: Case) -> None:
    assert_agree(triton, cpu, case)


@few
@given(cases(**SMALL))
def test_it_agrees_with_the_oracle(case: Case) -> None:
    assert_agree(triton, oracle.render, case)


def pile(points: int, camera: Camera) -> Tensor:
    """Splats over one another near the corner that four tiles share."""
    rows = [[TILE + 0.3 + 0.01 * i, TILE - 0.4 + 0.02 * i, 2 + 0.01 * i] for i in range(points)]
    return cloud(camera, rows)


def scattered(points: int, camera: Camera) -> Tensor:
    pixels = np.random.default_rng(0).uniform([-3, -3, 2], [camera.width + 3, camera.height + 3, 4], (points, 3))
    return cloud(camera, pixels)


CAMERA = front_camera(21, 13)
CORNERS = {
    "across the borders of tiles": Case(scattered(30, CAMERA), CAMERA, settings(0.25), True),
    "white": Case(scattered(10, CAMERA), CAMERA, settings(0.25, background=WHITE), True),
    "larger than tiles": Case(scattered(6, CAMERA), CAMERA, settings(2.0), True),
    "smaller than pixels": Case(scattered(30, CAMERA), CAMERA, settings(0.06), True),
    "more hits than K": Case(pile(12, CAMERA), CAMERA, settings(0.3, 4), True),
    "full before the second batch": Case(pile(40, CAMERA), CAMERA, settings(2.5, 1), False),
    "the largest K": Case(pile(40, CAMERA), CAMERA, settings(0.25, 255), False),
    "along pixels": Case(scattered(6, CAMERA), CAMERA, settings(0.2, 2, "pixel", WHITE), True),
    "a pixel wide": Case(scattered(5, front_camera(1, 9)), front_camera(1, 9), settings(3.0), True),
    "all behind": Case(cloud(CAMERA, [[5, 5, -2], [9, 4, -3]]), CAMERA, settings(background=WHITE), True),
    "none": Case(torch.zeros(33, 0), CAMERA, settings(background=WHITE), True),
}


@pytest.mark.parametrize("name", CORNERS)
def test_it_agrees_with_the_cpu_renderer_on(name: str) -> None:
    assert_agree(triton, cpu, CORNERS[name])


def test_it_computes_the_same_bits_again() -> None:
    case = CORNERS["across the borders of tiles"]
    once, again = image_and_gradient(triton, case), image_and_gradient(triton, case)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_of_equal_points_beyond_k_the_last_gets_no_gradient() -> None:
    camera = front_camera()
    case = Case(cloud(camera, [[16.5, 14.5, 2]] * 3), camera, settings(0.25, 2), False)
    gradient = image_and_gradient(triton, case)[1]
    assert gradient[3:6, 0].all()
    assert not gradient[:, 2].any()


class TestBins:
    RADIUS = 5.3

    def bins(self, points: int) -> tuple[Bins, Tensor, Tensor, Tensor, Camera]:
        camera = Camera.centred(look_at(np.array([1.0, 2.0, 2.0])), 40.0, 43, 30)
        generator = torch.Generator().manual_seed(0)
        u, v = (torch.rand(points, generator=generator) * 70 - 14 for _ in range(2))
        depth = torch.randint(-1, 6, (points,), generator=generator).float()
        return bin_splats(u, v, depth, camera, self.RADIUS), u, v, depth, camera

    def test_a_tile_lists_the_splats_that_can_touch_it_nearest_first(self) -> None:
        bins, u, v, depth, camera = self.bins(200)
        for tile in range(bins.tiles):
            listed = bins.point_of[bins.tile_start[tile] : bins.tile_start[tile + 1]].tolist()
            left, top = tile % bins.columns * TILE, tile // bins.columns * TILE
            x = torch.arange(left, min(left + TILE, camera.width)) + 0.5
            y = torch.arange(top, min(top + TILE, camera.height)) + 0.5
            square = (x - u[:, None]).square()[:, None, :] + (y - v[:, None]).square()[:, :, None]
            hits = ((square < self.RADIUS**2).flatten(1).any(dim=1) & (depth > 0)).nonzero().flatten().tolist()
            assert set(hits) <= set(listed)
            assert listed == sorted(listed, key=lambda point: (float(depth[point]), point))

    def test_every_pair_has_a_slot_of_its_own_in_its_points_range(self) -> None:
        bins, *_ = self.bins(200)
        place = torch.empty(200, dtype=torch.int64)
        place[bins.order] = torch.arange(200)
        first, end = bins.slot_start[place[bins.point_of.long()]], bins.slot_start[place[bins.point_of.long()] + 1]
        assert ((first <= bins.slot_of) & (bins.slot_of < end)).all()
        assert bins.slot_of.sort().values.tolist() == list(range(len(bins.slot_of)))


class TestRoomForMorePairs:
    """Arrays that are longer than there are intersections change no bit."""

    @pytest.mark.parametrize(
        ("name", "spare"),
        [
            *product(["all behind", "a pixel wide"], [0, 1, 3, 500]),
            ("across the borders of tiles", 500),
            *(("across the borders of tiles", n) for n in (0, 1, 3)),
            ("along pixels", 500),
            *(pytest.param("along pixels", n, marks=ALONG_PIXELS) for n in (0, 1, 3)),
        ],
    )
    def test_of_image_and_gradient(self, name: str, spare: int) -> None:
        case = CORNERS[name]
        renderer = TritonRenderer(case.settings, DEVICE)
        splats = renderer.footprints(case.parameters.to(DEVICE), case.camera)
        bins = list_intersections(splats, count_intersections(splats) + spare)
        assert len(bins.point_of) == len(bins.slot_of) == count_intersections(splats) + spare
        found, expected = (self.composited(renderer, case, known) for known in (bins, None))
        assert all(torch.equal(mine, other) for mine, other in zip(found, expected, strict=True))

    def composited(self, renderer: TritonRenderer, case: Case, bins: Bins | None) -> list[Tensor]:
        """Colours, transmittance and the gradient of their weighted sum."""
        parameters = case.parameters.to(DEVICE).requires_grad_()
        values = renderer.composite(parameters, case.camera, case.harmonics, bins)
        weights = torch.Generator().manual_seed(0)
        total = sum((each * torch.rand(each.shape, generator=weights).to(DEVICE)).sum() for each in values)
        assert isinstance(total, Tensor)
        return [*values, *torch.autograd.grad(total, parameters)]


def trained_losses(root: Path, folder: Path, renderer: str) -> list[float]:
    """Of a run, a step on each view in each of two stages."""
    overrides = [
        *QUICK, f"dataset.root={root}", f"renderer={renderer}", "scene.kept_share=0.02", "artifacts.views=[]",
        "schedule=demo", "schedule.stages.base.epochs=1", "schedule.stages.full.epochs=1",
        "schedule.stages.refine.enabled=false",
    ]  # fmt: skip
    run(config(*overrides), folder)
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_it_trains_to_the_losses_of_the_cpu_renderer(tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path / "scenes", {"train": 2, "val": 1, "test": 1}, width=16, height=12)
    ours, reference = (trained_losses(root, tmp_path / name, name) for name in ("triton", "cpu"))
    assert len(ours) == 2
    assert ours == pytest.approx(reference, rel=1e-4)


def test_its_kernels_compile_for_gpus_without_spills_as_documented() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu_kernels"], cwd=REPOSITORY, env=environment, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines())
    usages: list[dict[str, Any]] = [dict(zip(head, row, strict=True)) for row in rows]
    assert {(usage["kernel"], usage["GPU"]) for usage in usages} == {
        (kernel, gpu) for kernel in ("forward", "backward", "photometric") for gpu in ("sm_80", "sm_90")
    }
    assert all(usage["spilled bytes"] == usage["stack bytes"] == "0" for usage in usages)
    assert done.stdout in (REPOSITORY / "docs" / "results" / "gpu_estimates.md").read_text()


def test_its_kernels_compile_where_triton_takes_arguments_of_one_for_constants() -> None:
    script = """
from bench.gpu_kernels import compiled
size = ("columns", "height", "width")
compiled("forward", 80, (*size, "nearest"))
compiled("backward", 80, size)
compiled("photometric", 80, (*size, "count"))
"""
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, env=environment, check=True)


def small_step() -> tuple[Step, Camera, Target]:
    view, points = sphere_views(1, 8, 6)[0], random_cloud(5)
    target = targets([view], 1, DEVICE, torch.float32)[0]
    renderer = TritonRenderer(settings(), DEVICE)
    return build_step(Cloud(POINTS, points.parameters.to(DEVICE)), renderer, FULL, ADAM), view.camera, target


def test_a_step_reads_nothing_but_the_number_of_pairs() -> None:
    step, camera, target = small_step()
    with Reads() as reads:
        step(camera, target, both(1.0))
    assert reads.count == 1


def test_between_the_steps_of_an_epoch_nothing_else_is_read(tmp_path: Path) -> None:
    class Counts(Heard):
        def on_step(self, stage: str, stage_epoch: int, points: int) -> None:
            counts.append(reads.count)

    counts: list[int] = []
    one_stage = [f"schedule.stages.{name}.enabled=false" for name in ("base", "refine")]
    run_config = training_config(*one_stage, "schedule.stages.full.epochs=1")
    seen = sphere_views(3, 8, 6)
    with Reads() as reads:
        train(start(run_config, tmp_path, random_cloud(5)), seen, run_config, TritonRenderer(settings(), DEVICE),
              tmp_path, Counts())  # fmt: skip
    assert np.diff(counts).tolist() == [1] * (len(seen) - 1)


@needs_gpu
def test_a_step_on_a_gpu_waits_once() -> None:
    step, camera, target = small_step()
    step(camera, target, both(1.0))
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with pytest.warns(UserWarning, match="synchronizing") as waits:
            step(camera, target, both(1.0))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(waits) == 1
