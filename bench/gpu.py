"""Time the Triton renderer against PyTorch3D's on a GPU: make bench-gpu, or python -m bench.gpu [DEVICE]

Everything is warm, and every round ends when the device has finished. Lower is better, but for frames per second.

render   one view, without gradients
raster   one view and the gradient of its pixels with respect to all parameters
step     a whole training step of the paper's last stage, Adam included

`triton graphs` is Triton with `renderer.graphs=true`: a step replays two CUDA graphs.
PyTorch3D runs twice: `exact` tests every point against every pixel, as `renderer=pytorch3d` does; `binned` lets it sort
points into its bins first, which is faster and drops points where a bin overflows.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench import workload
from bench.gpu_roofline import PAPER_FPS, PAPER_STEP_MS
from pointrad.camera import Camera
from pointrad.errors import UserError
from pointrad.evaluation import device_name
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.base import Renderer
from pointrad.render.build import build_renderer
from pointrad.render.config import RendererConfig
from pointrad.render.pytorch3d import Pytorch3dRenderer
from pointrad.training.steps.build import build_step

SIZES = (15_000, 56_542, 250_000)
ROUNDS = 10
CALLS = 20  # of a round: the host may run ahead within it, as in training
WARM_UP = workload.VIEWS  # each view once, so that graphs for as many intersections as it has are recorded
WHAT = ("render", "raster", "step")
GRAPHS = "triton graphs"
NAMES = ("triton", GRAPHS, "pytorch3d binned", "pytorch3d exact")


@dataclass(frozen=True)
class Timing:
    """Milliseconds a call, in each round."""

    what: str
    points: int
    renderer: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


def measure(name: str, renderer: Renderer, points: int, size: int = workload.SIZE, rounds: int = ROUNDS,
            calls: int = CALLS) -> Iterator[Timing]:  # fmt: skip
    """`renderer` on the benchmark's cloud of `points` points, seen in images of size x size, everything of `WHAT`.

    But for graphs, without which images are rendered.
    """
    for what, call in _calls(renderer, points, size).items():
        if name == GRAPHS and what != "step":
            continue
        views = itertools.cycle(range(workload.VIEWS))
        for view in itertools.islice(views, WARM_UP if calls > 1 else 1):
            call(view)
        yield Timing(what, points, name, tuple(_round_ms(call, views, renderer, calls) for _ in range(rounds)))


def _round_ms(call: Callable[[int], object], views: Iterator[int], renderer: Renderer, calls: int) -> float:
    renderer.synchronise()
    start = time.perf_counter()
    for view in itertools.islice(views, calls):
        call(view)
    renderer.synchronise()
    return 1e3 * (time.perf_counter() - start) / calls


def _calls(renderer: Renderer, points: int, size: int) -> dict[str, Callable[[int], object]]:
    """What is timed, each a function of the number of a view."""
    parameters = workload.cloud_parameters(points).to(renderer.device)
    cameras: list[Camera] = workload.cameras(size)
    targets = [target.to(renderer.device) for target in workload.targets(points, size)]
    step = build_step(Cloud(POINTS, parameters.clone()), renderer, workload.STAGE, workload.SCHEDULE.adam)

    def render(view: int) -> Tensor:
        with torch.no_grad():
            return renderer.render(parameters, cameras[view])

    def raster(view: int) -> Tensor:
        leaf = parameters.detach().requires_grad_()
        return torch.autograd.grad(renderer.render(leaf, cameras[view]).sum(), leaf)[0]

    return {
        "render": render,
        "raster": raster,
        "step": lambda view: step(cameras[view], targets[view], workload.DECAY),
    }


def table(timings: Sequence[Timing], device: str) -> Table:
    """A row for each renderer, task and number of points; below, the paper's run as published."""
    ours = {(timing.what, timing.points): timing.median for timing in timings if timing.renderer == NAMES[0]}
    result = Table("what", "points", "renderer", "median ms", "least ms", "per second", "of ours", title=device)
    for timing in timings:
        median = timing.median
        result.add_row(
            timing.what, f"{timing.points:,}", timing.renderer, f"{median:.3f}", f"{min(timing.rounds):.3f}",
            f"{1e3 / median:.1f}", f"{median / ours[timing.what, timing.points]:.2f} x",
        )  # fmt: skip
    result.add_section()
    result.add_row("step", "to 58,000", "the paper's hotdog run, A100: 148.59 s", f"{PAPER_STEP_MS:.1f}", "", "", "")
    result.add_row("render", "58,000", "the same", "", "", f"{PAPER_FPS:.1f}", "")
    return result


def renderers(device: str) -> dict[str, Renderer]:
    """Those that are compared, by `NAMES`. Raises UserError where the device or Triton is missing."""
    ours, graphed = (
        build_renderer(RendererConfig(name="triton", device=device, graphs=graphs), workload.SETTINGS)
        for graphs in (False, True)
    )
    others = [Pytorch3dRenderer(workload.SETTINGS, ours.device, bin_size) for bin_size in (None, 0)]
    return dict(zip(NAMES, [ours, graphed, *others], strict=True))


def main(device: str = "cuda") -> None:
    try:
        compared = renderers(device)
    except UserError as error:
        sys.exit(f"Error: nothing to time: {error}")
    timings = [
        timing for points in SIZES for name, renderer in compared.items() for timing in measure(name, renderer, points)
    ]
    timings.sort(key=lambda timing: (WHAT.index(timing.what), timing.points, NAMES.index(timing.renderer)))
    versions = f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    Console(width=140).print(table(timings, f"{device_name(compared[NAMES[0]].device)}, 400x400, K = 15, {versions}"))


if __name__ == "__main__":
    main(*sys.argv[1:2])
