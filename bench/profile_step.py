"""Print where a training step's time goes, kernel by kernel: python -m bench.profile_step [POINTS] [THREADS]

Every kernel is timed inside whole steps, with the caches as the kernel before left them. For that, each is called from
Python, so that its time has a call's in it; the whole step below is as in training, one call in all.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from numba import njit
from rich.console import Console
from rich.table import Table

from bench import workload
from bench.report import MEDIUM
from pointrad.camera import Camera
from pointrad.render.cpu import point_kernels as kernels
from pointrad.render.cpu.points import set_threads
from pointrad.training.target import Target

STEPS = 80
PASSES = ("forward", "train")
# The passes and the kernels that they call; each of these is compiled with all that it calls, so no time counts twice.
_CALLED = {name for of in PASSES for name in getattr(kernels, of).py_func.__code__.co_names}
NAMES = [name for name, value in vars(kernels).items() if name in {*PASSES, *_CALLED} and hasattr(value, "py_func")]


def profile(points: int) -> tuple[dict[str, list[float]], list[float]]:
    """Milliseconds of each kernel, in every step, and those of whole steps."""
    views = list(zip(workload.cameras(), workload.targets(points, workload.SIZE), strict=True))
    whole = [1e3 * seconds for seconds in _steps(points, views)]
    by_step: dict[str, list[float]] = {}

    def timed(name: str, function: Any) -> Callable[..., Any]:
        if function.targetoptions.get("no_cpython_wrapper"):  # a part of a kernel, which Python cannot call
            function = njit(error_model="numpy")(function.py_func)

        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments)
            by_step.setdefault(name, []).append(1e3 * (time.perf_counter() - start))
            return result

        return call

    originals = {name: getattr(kernels, name) for name in NAMES}
    try:
        for name, function in originals.items():
            setattr(kernels, name, function.py_func if name in PASSES else timed(name, function))
        for _ in _steps(points, views):
            pass
    finally:
        for name, function in originals.items():
            setattr(kernels, name, function)
    return {name: values[-STEPS:] for name, values in by_step.items()}, whole


def _steps(points: int, views: list[tuple[Camera, Target]]) -> Iterator[float]:
    """Take steps; yields the seconds of each, but for the first, which compile, allocate and fill caches."""
    step = workload.fresh_step(points)
    for count, (camera, target) in zip(range(STEPS + 10), itertools.cycle(views), strict=False):
        start = time.perf_counter()
        step(camera, target, workload.DECAY)
        if count >= 10:
            yield time.perf_counter() - start


def main(points: int = MEDIUM, threads: int = 0) -> None:
    set_threads(threads)
    by_step, whole = profile(points)
    total = statistics.median(whole)
    table = Table(
        "kernel", "median ms", "least ms", "share", title=f"A step: {points:,} points, 400x400, {STEPS} steps"
    )
    for name, values in by_step.items():
        median = statistics.median(values)
        table.add_row(name, f"{median:.2f}", f"{min(values):.2f}", f"{median / total:.0%}")
    table.add_section()
    table.add_row("whole step", f"{total:.2f}", f"{min(whole):.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
