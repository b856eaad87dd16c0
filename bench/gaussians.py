"""Time Gaussians on the CPU against their floor: python -m bench.gaussians [COUNT] [THREADS]

A seeded cloud in the shape of `bench.workload`'s, with about as many intersections and hits as a trained hotdog of
40,000. Each pass is a call from Python; the whole step is one call, as in training. Core milliseconds are those that
threads compute: on a busy machine compare them, of one thread (`python -m bench.gaussians 40000 1`).
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from rich.console import Console
from rich.table import Table
from scipy.spatial import KDTree

from bench import workload
from bench.floor import CHANNELS, FLOAT, Floor, Multiply, Stream
from pointrad.data.scene import Float32Array
from pointrad.render import gaussians
from pointrad.render.cpu import gaussian_kernels as kernels
from pointrad.render.cpu import point_kernels
from pointrad.render.cpu.gaussians import GaussianSplatting
from pointrad.render.cpu.points import set_threads
from pointrad.training.target import ALL_COUNT

DEGREE = 2
ROUNDS = 6  # over all views
BACKGROUND = (0.0, 0.0, 0.0)
LOSS = ALL_COUNT, 0.03, np.array([1, 2, 3], np.int64)  # all pixels count; the gradient loss's weight and shifts
NUMBERS = 10  # of a splat
SUMS = 9  # of an intersection
ADAM = 0.9, 0.99, 1.0, 1e-15


@dataclass(frozen=True)
class Work(Floor):
    """What a step must move and compute: N Gaussians of D parameters, of which V are seen; P intersections of splats
    and tiles, A pixels, H hits: pixels that take a splat."""

    gaussians: int
    rows: int
    seen: int
    intersections: int
    pixels: int
    hits: int

    def bytes(self) -> dict[str, int]:
        n, d, v, p, a = self.gaussians, self.rows, self.seen, self.intersections, self.pixels
        floats = {
            "forward": d * n + 2 * NUMBERS * v + NUMBERS * p + 4 * a,
            "loss": 3 * CHANNELS * a,
            "differentiate": NUMBERS * p + 2 * CHANNELS * a + SUMS * p,
            "adam": SUMS * p + 6 * d * v,
        }
        return {name: FLOAT * count for name, count in floats.items()}

    def flops(self) -> dict[str, int]:
        colours = 2 * (self.rows - gaussians.FIRST_HARMONIC)
        return {
            "forward": (330 + colours) * self.gaussians + 33 * self.hits,
            "loss": (6 + 8 * len(LOSS[2])) * CHANNELS * self.pixels,
            "differentiate": 55 * self.hits,
            "adam": (500 + colours + 13 * self.rows) * self.seen,
        }


def cloud(count: int) -> Float32Array:
    """[D, N]: flat Gaussians that overlap their neighbours on the surfaces of `workload.cloud_parameters`."""
    random = np.random.default_rng(workload.SEED)
    points = workload.cloud_parameters(count).numpy()
    apart = KDTree(points[:3].T).query(points[:3].T, 4)[0][:, 1:].mean(axis=1)
    parameters = np.empty((gaussians.rows(DEGREE), count), np.float32)
    parameters[gaussians.POSITION] = points[:3]
    parameters[gaussians.SCALE] = np.log(0.7 * apart) + random.normal(0, 0.5, (3, count))
    parameters[gaussians.ROTATION] = random.normal(size=(4, count))
    parameters[gaussians.OPACITY] = random.normal(-0.3, 1.6, count)
    parameters[gaussians.BASE] = points[3:6]
    parameters[gaussians.FIRST_HARMONIC :] = random.normal(0, 0.05, (len(parameters) - gaussians.FIRST_HARMONIC, count))
    return parameters


def targets(parameters: Float32Array) -> list[Float32Array]:
    """[3, H, W] per camera: the cloud's own renders with other colours, so that every step has a gradient."""
    other = parameters.copy()
    other[gaussians.BASE] *= np.float32(0.9)
    splatting = GaussianSplatting(BACKGROUND)
    size = workload.SIZE
    return [splatting.forward(other, camera, DEGREE)[:, :size, :size].clip(0, 1) for camera in workload.cameras()]


class Bench:
    """A cloud before its views, with all that a training step needs."""

    def __init__(self, count: int) -> None:
        self.parameters = cloud(count)
        self.views = list(zip(workload.cameras(), targets(self.parameters), strict=True))
        self.splatting = GaussianSplatting(BACKGROUND)
        self.moments = np.zeros((2, *self.parameters.shape), np.float32)
        self.screen = np.zeros(count, np.float32)
        self.rates = np.full(len(self.parameters), 1e-6, np.float32)

    def passes(self) -> Iterator[tuple[str, Taken]]:
        """Every pass over every view, and what it took."""
        splatting = self.splatting
        for camera, target in self.views:
            yield "forward", take(splatting.forward, self.parameters, camera, DEGREE)
            b = splatting.buffers
            yield "loss", take(point_kernels.photometric, b.image, target, *LOSS, b.gradient)
            yield "differentiate", take(kernels.differentiate, b.gradient, b)
            yield "differentiate and adam", take(splatting.step, self.parameters, b.gradient, *self._adam())

    def steps(self) -> Iterator[tuple[str, Taken]]:
        """A step on every view, and what it took."""
        for camera, target in self.views:
            yield (
                "whole step",
                take(self.splatting.train, self.parameters, camera, DEGREE, target, *LOSS, *self._adam()),
            )

    def work(self) -> Work:
        """The mean of all views."""
        counts = []
        for camera, _ in self.views:
            self.splatting.forward(self.parameters, camera, DEGREE)
            b = self.splatting.buffers
            found = int(b.tile_start[-1])
            counts.append((len(np.unique(b.indices[:found][b.hit_cells[:found] != 0])), found, _count_hits(b)))
        seen, intersections, hits = np.mean(counts, axis=0).astype(int).tolist()
        rows, count = self.parameters.shape
        return Work(count, rows, seen, intersections, workload.SIZE**2, hits)

    def _adam(self) -> tuple[Any, ...]:
        return *self.moments, self.rates, ADAM, self.screen


class Taken(NamedTuple):
    """Milliseconds by the clock, and of all threads' computing."""

    wall: float
    core: float


def take(call: Callable[..., object], *arguments: Any) -> Taken:
    wall, core = time.perf_counter(), time.process_time()
    call(*arguments)
    return Taken(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - core))


@njit(error_model="numpy")
def _count_hits(b):  # type: ignore[no-untyped-def]
    """How many pixels took a splat, over all splats, in the last forward pass."""
    columns = b.image.shape[2] // kernels.TILE
    hits = 0
    for tile in range(len(b.tile_start) - 1):
        left, top = tile % columns * kernels.TILE, tile // columns * kernels.TILE
        transmittance = np.ones((kernels.TILE, kernels.TILE), np.float32)
        for n in range(b.tile_start[tile], b.tile_start[tile + 1]):
            splat = b.splats[b.indices[n]]
            for y in range(kernels.TILE):
                for x in range(kernels.TILE):
                    cell = np.uint64(y // 4 * kernels.LINES + x // 4)
                    if (b.hit_cells[n] >> cell) & np.uint64(1) and transmittance[y, x] >= gaussians.OPAQUE:
                        dy = top + y + 0.5 - splat[1]
                        t = left + x + 0.5 - splat[0] - splat[2] * dy
                        alpha = 2 ** (splat[3] * t * t + splat[4] * dy * dy + splat[5])
                        if alpha >= gaussians.LEAST_ALPHA:
                            hits += 1
                            transmittance[y, x] *= 1 - min(alpha, gaussians.MOST_ALPHA)
    return hits


def _per_second(call: Stream | Multiply, amount: float) -> float:
    return 1e3 * amount / min(take(call).wall for _ in range(10))


def main(count: int = 40_000, threads: int = 0) -> None:
    set_threads(threads)
    bench = Bench(count)
    work = bench.work()
    taken: dict[str, list[Taken]] = {}
    for sweep in (bench.passes, bench.steps):
        taken |= {name: [] for name, _ in sweep()}  # compiles and fills caches
        for _ in range(ROUNDS):
            for name, one in sweep():
                taken[name].append(one)
    # Of the cloud's size, which a large cache may hold: the stricter of `bench.floor`'s two.
    stream, product = Stream(3 * bench.parameters.nbytes), Multiply()
    floor = work.floor_ms(_per_second(stream, stream.moved), _per_second(product, product.flops))
    floor["whole step"] = sum(floor.values())
    floor["differentiate and adam"] = floor["differentiate"] + floor["adam"]
    table = Table("pass", "median ms", "least ms", "core ms", "floor ms", "least / floor")
    for name, values in taken.items():
        walls = [one.wall for one in values]
        core = statistics.median(one.core for one in values)
        numbers = statistics.median(walls), min(walls), core, floor[name]
        table.add_row(name, *(f"{number:.2f}" for number in numbers), f"{min(walls) / floor[name]:.1f}")
    Console().print(work, table)
    median = statistics.median(one.wall for one in taken["forward"])
    Console().print(f"render only: {1e3 / median:.0f} frames per second, one after another")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
