"""Estimate a training step on GPUs from what it moves and computes: python -m bench.gpu_roofline [POINTS]

Needs no GPU. Two estimates, of the paper's last stage on the benchmark's cloud (400x400, K = 15):

floor        every phase reads its inputs and writes its outputs once, or does its arithmetic, at the published rates;
as written   every operation of the step that runs on the device reads and writes memory, and is launched by the host;
             with CUDA graphs (`renderer.graphs=true`) the host launches two of them and what lies between.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bench import workload
from bench.floor import Work
from bench.gpu_kernels import SIGNATURES
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render import triton_kernels as kernels
from pointrad.render.base import SplatSettings
from pointrad.render.cpu.points import Splatting
from pointrad.render.projection import project
from pointrad.render.triton import Bins, TritonRenderer, bin_splats
from pointrad.training.steps.build import build_step
from pointrad.training.steps.graphed import GraphedStep
from pointrad.training.target import Target

T = TypeVar("T")
PAPER_STEP_MS = 1e3 * 148.59 / 11_000  # the published hotdog run on an A100: 110 epochs of 100 views
PAPER_FPS = 120.01
LAUNCH_SECONDS = 5e-6  # of the host, per operation: an assumption


@dataclass(frozen=True)
class Gpu:
    """Published peak rates: memory in bytes per second, float32 operations outside tensor cores per second."""

    name: str
    bandwidth: float
    flops: float


GPUS = (Gpu("A100 SXM 80 GB", 2.039e12, 19.5e12), Gpu("H100 SXM", 3.35e12, 67e12))


class Traffic(TorchDispatchMode):
    """Counts the operations that would be launched on a device and the bytes of their tensors; views are free."""

    def __init__(self) -> None:
        super().__init__()
        self.launches = 0
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = function(*arguments, **(options or {}))
        if not function.is_view and "empty" not in function.name():
            written = _written(function, arguments) if result is None else result
            self.count([*arguments, *(options or {}).values(), written])
        return result

    def count(self, values: list[Any]) -> None:
        self.launches += 1
        self.bytes += sum(tensor.nbytes for tensor in _tensors(values))


def work(points: int) -> tuple[Work, Bins]:
    """What a step on the first camera must do, with the Triton renderer's intersections."""
    camera, parameters = workload.cameras()[0], workload.cloud_parameters(points)
    splatting = Splatting(workload.SETTINGS)
    workload.splat(splatting, points, camera)
    bins = bin_splats(*project(parameters[:3], camera), camera, workload.SETTINGS.radius_in_pixels(camera))
    counted = Work(
        points=points,
        visible=workload.count_visible(splatting),
        intersections=len(bins.point_of),
        pixels=workload.SIZE**2,
        hits=workload.count_hits(splatting),
        shifts=len(workload.STAGE.loss.shifts),
    )
    return counted, bins


def traffic(points: int, size: int = workload.SIZE, settings: SplatSettings = workload.SETTINGS) -> Traffic:
    """Of a whole step as the trainer takes it; our kernels count what they are given but do not run."""
    renderer = TritonRenderer(settings, torch.device("cpu"))
    cloud = Cloud(POINTS, workload.cloud_parameters(points).clone())
    step = build_step(cloud, renderer, workload.STAGE, workload.SCHEDULE.adam)
    counted = Traffic()
    with _kernels_only_counted(counted), counted:
        step(workload.cameras(size)[0], Target.known(torch.zeros(3, size, size)), workload.DECAY)
    return counted


class Graphs:
    """A `Capture` whose replays count as one launch each; keeps how many operations each of them launched in turn."""

    def __init__(self, counted: Traffic) -> None:
        self.counted = counted
        self.operations: list[int] = []

    def __call__(self, function: Callable[[], T]) -> Callable[[], T]:
        def replay() -> T:
            launches, moved = self.counted.launches, self.counted.bytes
            result = function()
            self.operations.append(self.counted.launches - launches)
            self.counted.launches, self.counted.bytes = launches + 1, moved
            return result

        return replay


def graphed(
    points: int, size: int = workload.SIZE, settings: SplatSettings = workload.SETTINGS
) -> tuple[int, list[int]]:
    """Of a step as CUDA graphs that are recorded already: what the host launches, and what each of them does."""
    counted = Traffic()
    graphs = Graphs(counted)
    cloud = Cloud(POINTS, workload.cloud_parameters(points).clone())
    renderer = TritonRenderer(settings, torch.device("cpu"))
    step = GraphedStep(cloud, renderer, workload.STAGE, workload.SCHEDULE.adam, graphs)
    view = (workload.cameras(size)[0], Target.known(torch.zeros(3, size, size)), workload.DECAY)
    with _kernels_only_counted(counted):
        step(*view)
        graphs.operations.clear()
        counted.launches = 0
        with counted:
            step(*view)
    return counted.launches, graphs.operations


@contextmanager
def _kernels_only_counted(counted: Traffic) -> Iterator[None]:
    class Counted:
        def __getitem__(self, grid: Any) -> Any:
            return lambda *arguments, **options: counted.count(list(arguments))

    with patch.multiple(kernels, **dict.fromkeys(SIGNATURES, Counted())):
        yield


def _written(function: Any, arguments: Any) -> list[Any]:
    """What an operation that returns nothing may write in place, as its schema tells."""
    declared = zip(arguments, function._schema.arguments, strict=False)
    return [value for value, argument in declared if argument.alias_info and argument.alias_info.is_write]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def main(points: int = 56_542) -> None:
    counted, bins = work(points)
    moved, flops = sum(counted.bytes().values()), sum(counted.flops().values())
    longest = int(bins.tile_start.diff().max())
    written = traffic(points)
    print(
        f"{points:,} points, {counted.visible:,} visible, {counted.intersections:,} intersections, "
        f"{counted.hits:,} hits"
    )
    print(
        f"{bins.tiles:,} tiles of {kernels.TILE.value}x{kernels.TILE.value} pixels, at most {longest} intersections "
        "in one"
    )
    print(f"floor: {moved / 1e6:.0f} MB moved, {flops / 1e9:.2f} GFLOP")
    launched, (first, second) = graphed(points)
    print(f"as written: {written.bytes / 1e6:.0f} MB moved by {written.launches} operations")
    print(f"with graphs: {launched} launches by the host, two of them graphs of {first} and {second} operations")
    each = f"at {1e6 * LAUNCH_SECONDS:.0f} us each, ms"
    print(f"\n| | floor ms | memory, as written, ms | launches {each} | with graphs {each} |")
    print("|---|---|---|---|---|")
    for gpu in GPUS:
        floor = math.fsum(counted.floor_ms(gpu.bandwidth, gpu.flops).values())
        memory = 1e3 * written.bytes / gpu.bandwidth
        launches, replays = (1e3 * LAUNCH_SECONDS * number for number in (written.launches, launched))
        print(f"| {gpu.name} | {floor:.3f} | {memory:.2f} | {launches:.2f} | {replays:.2f} |")
    print(f"| the paper's run on an A100, measured | {PAPER_STEP_MS:.1f} | | | |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
