"""The renderer's speed: `make bench` measures everything below, prints one table and writes bench/results.json.

All cases run in each of three sittings, one after another, and PyTorch3D's in the middle one, so that a slow minute of
the machine falls on all of them alike. Compilation and first calls are never timed. Cameras change from call to call.
POINTRAD_BENCH_FULL=1 adds PyTorch3D at 250,000 points, which takes a minute or more.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch3d.renderer.compositing import alpha_composite
from pytorch3d.renderer.points.rasterize_points import rasterize_points
from pytorch3d.structures import Pointclouds

from bench import workload
from bench.floor import Multiply, Stream, Work
from bench.report import MEDIUM, POINTS, Case, Report
from pointrad.camera import Camera
from pointrad.render.cpu.points import CpuRenderer, Splatting, set_threads
from pointrad.render.projection import features, project
from pointrad.training.steps.points import FusedStep

pytestmark = pytest.mark.bench

SITTINGS = 3
MIDDLE = SITTINGS // 2
CASES = [
    *(Case(what, points, 400) for points in POINTS for what in ("forward", "backward", "raster", "step")),
    *(Case(what, points, 400) for points in (10_000, 100_000, 1_000_000) for what in ("raster", "step")),
    *(Case(what, MEDIUM, size) for size in (200, 800, 1600) for what in ("raster", "step")),
    *(Case(what, MEDIUM, 400, threads) for threads in (1, 2) for what in ("raster", "step")),
    *(Case("render", points, 400) for points in (*POINTS, 1_000_000)),
    *(Case("render", MEDIUM, size) for size in (800, 1600)),
    *(Case("views", points, 400) for points in POINTS),
]
REFERENCE_POINTS = POINTS if os.environ.get("POINTRAD_BENCH_FULL") == "1" else POINTS[:2]
BEYOND_CACHE = 768 * 2**20  # bytes, well over any last-level cache

Benchmark = Any  # pytest-benchmark is untyped


def _rounds(case: Case) -> int:
    """Calls per sitting: many where a call is short, at least three."""
    most = 10 if case.what == "views" else 40
    return max(3, min(most, int(3e6 / (case.points + 20 * (case.size**2 / 16)))))


@pytest.mark.parametrize("sitting", range(SITTINGS))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_ours(case: Case, sitting: int, benchmark: Benchmark, report: Report) -> None:
    if case.threads > workload.thread_limit():
        pytest.skip(f"{case.threads} threads; this machine has {workload.thread_limit()}")
    set_threads(case.threads)
    try:
        runner = {"render": _Render, "views": _RenderViews, "step": _TrainingStep}.get(case.what, _Raster)(case)
        benchmark.pedantic(runner.target, setup=runner.setup, rounds=_rounds(case), warmup_rounds=2)
        if benchmark.stats is not None:
            report.add(case, benchmark.stats.stats.data, runner.facts())
    finally:
        set_threads(0)


@pytest.mark.parametrize("sitting", [MIDDLE])
@pytest.mark.parametrize("points", REFERENCE_POINTS)
def test_pytorch3d(points: int, sitting: int, benchmark: Benchmark, report: Report) -> None:
    """One forward and one backward call, on the splats that we composite; then both images must be the same.

    But for a pixel in 10,000: where a border passes a pixel's centre, rounding decides whether it is among the first K.
    """
    camera = workload.cameras()[0]
    reference = _Reference(points, camera)
    benchmark.pedantic(reference.forward_and_backward, rounds=1)
    with torch.no_grad():
        ours = CpuRenderer(workload.SETTINGS).render(workload.cloud_parameters(points), camera)
    difference = (ours - reference.image.detach().clamp(0, 1).permute(1, 2, 0)).abs().amax(2)
    assert float((difference > 1e-4).float().mean()) <= 1e-4
    if benchmark.stats is not None:
        facts = {"greatest_difference": float(difference.max())}
        report.add(Case("pytorch3d", points, workload.SIZE), benchmark.stats.stats.data, facts)


@pytest.mark.parametrize("sitting", range(SITTINGS))
@pytest.mark.parametrize("points", [0, *POINTS])
def test_bandwidth(points: int, sitting: int, benchmark: Benchmark, report: Report) -> None:
    """Of memory (0), and over as many bytes as the parameters and moments of a cloud have, which a cache may hold."""
    stream = Stream(points * 3 * 33 * 4 if points else BEYOND_CACHE)
    benchmark.pedantic(stream, rounds=10 if points == 0 else 30, warmup_rounds=2)
    if benchmark.stats is not None:
        report.add(Case("bandwidth", points, 0), benchmark.stats.stats.data, {"moved": stream.moved})


@pytest.mark.parametrize("sitting", range(SITTINGS))
def test_peak(sitting: int, benchmark: Benchmark, report: Report) -> None:
    multiply = Multiply()
    benchmark.pedantic(multiply, rounds=5, warmup_rounds=2)
    if benchmark.stats is not None:
        report.add(Case("peak", 0, 0), benchmark.stats.stats.data, {"flops": multiply.flops})


class _Raster:
    """Splatting from positions to the image, and from the image's gradient to each point's."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.splatting = Splatting(workload.SETTINGS)
        self.parameters = workload.cloud_parameters(case.points).numpy()
        self.cameras = itertools.cycle(workload.cameras(case.size))
        self.gradient = workload.image_gradient(case.size)
        self.target: Callable[..., object] = {
            "forward": self.forward,
            "backward": self.backward,
            "raster": self.forward_and_backward,
        }[case.what]

    def setup(self) -> tuple[tuple[object, ...], dict[str, object]]:
        camera = next(self.cameras)
        if self.case.what == "backward":
            self.forward(camera)
            return (), {}
        return (camera,), {}

    def forward(self, camera: Camera) -> None:
        self.splatting.forward(self.parameters, camera, harmonics=True)

    def backward(self) -> None:
        self.splatting.backward(self.parameters, self.gradient)

    def forward_and_backward(self, camera: Camera) -> None:
        self.forward(camera)
        self.backward()

    def facts(self) -> dict[str, int]:
        return {"intersections": self.splatting.intersections, "bytes_held": workload.held_bytes(self.splatting)}


class _TrainingStep:
    """The whole step, as in training."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.step: FusedStep = workload.fresh_step(case.points)
        views = zip(workload.cameras(case.size), workload.targets(case.points, case.size), strict=True)
        self.views = itertools.cycle(views)
        self.target = self.step

    def setup(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (*next(self.views), workload.DECAY), {}

    def facts(self) -> dict[str, object]:
        splatting, cloud = self.step._splatting, self.step.cloud
        work = Work(
            points=len(cloud),
            visible=workload.count_visible(splatting),
            intersections=splatting.intersections,
            pixels=self.case.size**2,
            hits=workload.count_hits(splatting),
            shifts=len(workload.STAGE.loss.shifts),
        )
        held = [cloud.parameters.numpy(), self.step.exp_avg.numpy(), self.step.exp_avg_sq.numpy()]
        held_bytes = workload.held_bytes(splatting) + sum(array.nbytes for array in held)
        return {"work": work, "intersections": work.intersections, "hits": work.hits, "bytes_held": held_bytes}


class _Render:
    """Rendering only, one view after another."""

    def __init__(self, case: Case) -> None:
        self.renderer = CpuRenderer(workload.SETTINGS)
        self.parameters = workload.cloud_parameters(case.points)
        self.cameras = itertools.cycle(workload.cameras(case.size))

    def setup(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (next(self.cameras),), {}

    def target(self, camera: Camera) -> None:
        with torch.no_grad():
            self.renderer.render(self.parameters, camera)

    def facts(self) -> dict[str, int]:
        splatting = self.renderer._idle.get()  # what rendered last left behind, for the next
        self.renderer._idle.put(splatting)
        return {"bytes_held": workload.held_bytes(splatting)}


class _RenderViews:
    """Rendering only, as in an evaluation: so many views that threads may take one each."""

    def __init__(self, case: Case) -> None:
        self.renderer = CpuRenderer(workload.SETTINGS)
        self.parameters = workload.cloud_parameters(case.points)
        self.cameras = workload.cameras(case.size) * 3

    def setup(self) -> tuple[tuple[object, ...], dict[str, object]]:
        return (), {}

    def target(self) -> None:
        deque(self.renderer.render_views(self.parameters, self.cameras), maxlen=0)

    def facts(self) -> dict[str, int]:
        return {"views": len(self.cameras)}


class _Reference:
    """PyTorch3D's rasteriser and compositor; projection and harmonics, which ours does too, are not timed here."""

    def __init__(self, points: int, camera: Camera) -> None:
        parameters = workload.cloud_parameters(points)
        self.camera = camera
        self.features = features(parameters, camera, "point", harmonics=True).requires_grad_()
        u, v, depth = project(parameters[:3], camera)
        half = workload.SIZE / 2
        self.points = torch.stack([(half - u) / half, (half - v) / half, depth], dim=1).requires_grad_()

    def forward_and_backward(self) -> None:
        index, _, squared_distance = rasterize_points(
            Pointclouds([self.points]),
            image_size=(workload.SIZE, workload.SIZE),
            radius=workload.RADIUS,
            points_per_pixel=workload.SETTINGS.points_per_pixel,
            bin_size=0,
        )
        weights = 1 - squared_distance / workload.RADIUS**2
        self.image = alpha_composite(index.long().permute(0, 3, 1, 2), weights.permute(0, 3, 1, 2), self.features)[0]
        self.image.backward(torch.from_numpy(workload.image_gradient(workload.SIZE)[:, : workload.SIZE]))
