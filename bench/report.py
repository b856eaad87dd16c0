"""Pools what was measured, makes bench/results.json of it, and prints one table."""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cpuinfo  # comes with pytest-benchmark
import pytorch3d
from rich.console import Console
from rich.table import Table

from bench import workload
from bench.floor import Work
from pointrad.files import write_json
from pointrad.run.provenance import provenance

RESULTS = Path(__file__).resolve().parent / "results.json"
L3_SIZE = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
POINTS = (15_000, 56_542, 250_000)
MEDIUM = POINTS[1]  # the paper's final hotdog cloud

Results = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """threads: 0 for all."""

    what: str
    points: int
    size: int
    threads: int = 0

    def __str__(self) -> str:
        return f"{self.what}-{self.points}-{self.size}-{self.threads or 'all'}"


class Report:
    """Collects every call's time."""

    def __init__(self) -> None:
        self.seconds: dict[Case, list[float]] = defaultdict(list)
        self.facts: dict[Case, dict[str, Any]] = {}

    def add(self, case: Case, seconds: Sequence[float], facts: dict[str, Any]) -> None:
        self.seconds[case].extend(seconds)
        self.facts[case] = facts

    def results(self) -> Results:
        """The contents of results.json; None for what was not measured. Times are medians over all calls."""
        raster, step = self._ms(Case("raster", MEDIUM, 400)), self._ms(Case("step", MEDIUM, 400))
        views = Case("views", MEDIUM, 400)
        medium = self._floor(Case("step", MEDIUM, 400))
        one, two = (self._ms(Case("step", MEDIUM, 400, threads)) for threads in (1, 2))
        machine = _machine()
        hotdog = _hotdog_of(machine)
        return {
            "raster_ratio_vs_pytorch3d": _ratio(self._ms(Case("pytorch3d", MEDIUM, 400)), raster),
            "step_ms": step,
            "raster_ms": raster,
            "step_over_raster": _ratio(step, raster),
            "step_over_floor": medium.get("step_over_floor"),
            "step_over_floor_in_cache": medium.get("step_over_floor_in_cache"),
            "thread_speedup_2": _ratio(one, two),
            "render_fps_400": self._fps(views),
            "render_fps_400_one_at_a_time": self._fps(Case("render", MEDIUM, 400)),
            "hotdog_train_seconds": hotdog.get("paper", {}).get("train_seconds"),
            "hotdog": hotdog,
            "cases": [self._case(case) for case in self.seconds],
            "machine": machine
            | {
                "memory_gb_per_second": _giga(self._bandwidth(0)),
                "peak_gflops": _giga(self._peak()),
                "load_average": os.getloadavg()[0],
                "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }

    def print_table(self, results: Results) -> None:
        table = Table("what", "points", "pixels", "threads", "median ms", "least ms", "calls", "memory MB", "beside")
        for case in results["cases"]:
            beside = []
            if "ours_is_faster" in case:
                beside.append(f"{case['ours_is_faster']:.0f} x ours")
            if "floor_ms" in case:
                beside.append(f"floor {case['floor_ms']:.2f} ms (in cache {case['floor_in_cache_ms']:.2f})")
            if "fps" in case:
                beside.append(f"{case['fps']:.0f} fps")
            if "per_second" in case:
                beside.append(f"{case['per_second'] / 1e9:.1f} {'GB/s' if case['what'] == 'bandwidth' else 'GFLOP/s'}")
            table.add_row(
                case["what"], f"{case['points']:,}", f"{case['size']}", f"{case['threads']}", f"{case['ms']:.2f}",
                f"{case['least_ms']:.2f}", f"{case['calls']}",
                f"{case['bytes_held'] / 2**20:.1f}" if "bytes_held" in case else "", ", ".join(beside),
            )  # fmt: skip
        table.add_section()
        for name, value in results.items():
            if isinstance(value, float | None):
                table.add_row(name, *[""] * 7, "not measured" if value is None else f"{value:.2f}")
        Console(width=140).print(table)

    def write(self, results: Results) -> None:
        write_json(RESULTS, results)

    def _case(self, case: Case) -> Results:
        seconds = self.seconds[case]
        facts = {name: value for name, value in self.facts[case].items() if not isinstance(value, Work)}
        result: Results = {
            "what": case.what,
            "points": case.points,
            "size": case.size,
            "threads": case.threads or workload.thread_limit(),
            "ms": self._ms(case),
            "least_ms": 1e3 * min(seconds),
            "calls": len(seconds),
            **facts,
        }
        if case.what == "step":
            result |= self._floor(case)
        if case.what == "pytorch3d" and (ours := self._ms(Case("raster", case.points, case.size))):
            result["ours_is_faster"] = result["ms"] / ours
        if case.what in ("render", "views"):
            result["fps"] = self._fps(case)
        if case.what == "bandwidth":
            result["per_second"] = self._bandwidth(case.points)
        if case.what == "peak":
            result["per_second"] = self._peak()
        return result

    def _ms(self, case: Case) -> float | None:
        return 1e3 * statistics.median(self.seconds[case]) if case in self.seconds else None

    def _fps(self, case: Case) -> float | None:
        ms = self._ms(case)
        return ms and 1e3 * self.facts[case].get("views", 1) / ms

    def _floor(self, case: Case) -> Results:
        """The floor with memory's bandwidth and, for those sizes that it was measured at, with that of the caches."""
        memory, peak = self._bandwidth(0), self._peak()
        if case.threads or case not in self.seconds or memory is None or peak is None:
            return {}
        work: Work = self.facts[case]["work"]
        cached = max(self._bandwidth(case.points) or memory, memory)
        phases = work.floor_ms(memory, peak)
        floor, in_cache, step = sum(phases.values()), sum(work.floor_ms(cached, peak).values()), self._ms(case)
        return {
            "floor_ms": floor,
            "floor_in_cache_ms": in_cache,
            "step_over_floor": _ratio(step, floor),
            "step_over_floor_in_cache": _ratio(step, in_cache),
            "phases": {
                phase: {"bytes": count, "flops": work.flops()[phase], "floor_ms": phases[phase]}
                for phase, count in work.bytes().items()
            },
        }

    def _bandwidth(self, points: int) -> float | None:
        """Bytes per second at best: a floor takes the machine at its fastest."""
        case = Case("bandwidth", points, 0)
        return self.facts[case]["moved"] / min(self.seconds[case]) if case in self.seconds else None

    def _peak(self) -> float | None:
        case = Case("peak", 0, 0)
        return self.facts[case]["flops"] / min(self.seconds[case]) if case in self.seconds else None


def merge_hotdog(schedule: str, figures: Results) -> None:
    """Put the figures of a full training into results.json."""
    machine = _machine()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"machine": machine}
    results["hotdog"] = _hotdog_of(machine) | {schedule: figures}
    results["hotdog_train_seconds"] = results["hotdog"].get("paper", {}).get("train_seconds")
    write_json(RESULTS, results)


def _hotdog_of(machine: Results) -> Results:
    """The trainings in results.json, if they ran on such a machine."""
    held: Results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    same = all(held.get("machine", {}).get(key) == machine[key] for key in ("cpu", "cores"))
    return held.get("hotdog", {}) if same else {}


def _machine() -> Results:
    info = cpuinfo.get_cpu_info()
    origin = provenance()
    return {
        "cpu": info.get("brand_raw"),
        "cores": workload.thread_limit(),
        "l3_cache": L3_SIZE.read_text().strip() if L3_SIZE.is_file() else None,
        "platform": origin["platform"],
        "versions": origin["versions"] | {"pytorch3d": pytorch3d.__version__},
        "git": origin["git"],
    }


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _giga(value: float | None) -> float | None:
    return None if value is None else value / 1e9
