"""Print where a training step's time goes, kernel by kernel: python -m bench.profile_step [POINTS] [THREADS]

Every kernel is timed inside whole steps, with the caches as the kernel before left them. What is left over is Python:
buffers, arguments, and starting and ending the threads of 9 or more kernels.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import workload
from bench.report import MEDIUM
from pointrad.render import cpu_kernels as kernels
from pointrad.render.cpu import set_threads

STEPS = 80
REST = "the rest"
# Every compiled function that `Splatting` and `FusedStep` call by name. Those that use others of them (the sort its
# passes) hold them compiled, so no time counts twice.
NAMES = [name for name, value in vars(kernels).items() if hasattr(value, "py_func") and not name.startswith("_")]


def profile(points: int) -> tuple[dict[str, list[float]], list[float]]:
    """Milliseconds of each kernel and of the rest, and of the whole step, in every step."""
    spent: dict[str, float] = defaultdict(float)
    by_step: dict[str, list[float]] = defaultdict(list)
    whole: list[float] = []

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments)
            spent[name] += time.perf_counter() - start
            return result

        return call

    step = workload.fresh_step(points)
    views = zip(workload.cameras(), workload.targets(points, workload.SIZE), strict=True)
    tile_kernels = kernels.tile_kernels
    timed_tiles = kernels.TileKernels(*map(timed, kernels.TileKernels._fields, tile_kernels(3)))
    originals = {name: getattr(kernels, name) for name in NAMES}
    try:
        kernels.tile_kernels = lambda channels: timed_tiles
        for name, function in originals.items():
            setattr(kernels, name, timed(name, function))
        for count, (camera, target) in zip(range(STEPS + 10), itertools.cycle(views), strict=False):
            spent.clear()
            start = time.perf_counter()
            step(camera, target, workload.DECAY)
            seconds = time.perf_counter() - start
            if count >= 10:  # earlier ones compile, allocate and fill caches
                whole.append(1e3 * seconds)
                for name, value in (*spent.items(), (REST, seconds - sum(spent.values()))):
                    by_step[name].append(1e3 * value)
    finally:
        kernels.tile_kernels = tile_kernels
        for name, function in originals.items():
            setattr(kernels, name, function)
    return by_step, whole


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
