"""A change of code that changes results has a new version: results of the old one are none of the new one.

`python -m tests.test_method` writes method.json anew, once pointrad/method.py has a version that it does not have.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import numpy as np
import pytest

from pointrad.method import METHOD_VERSION
from pointrad.run import run
from tests.runs import QUICK, config, one_epoch_each
from tests.scenes import write_tiny_scene

KEPT = Path(__file__).with_name("method.json")
RAISE = (
    "The same configuration and data give another result than before, and studies would mix the two. If the change of "
    "code that did it is meant, raise METHOD_VERSION in pointrad/method.py, then `python -m tests.test_method`."
)

# Every start, operation and loss, and several kinds of wrong masks.
RUNS = {
    "adaptive start of cut pictures": (
        "init=adaptive", "corruption=mixed", "corruption.level=0.25", "corruption.targets=masked",
        *one_epoch_each("robust"),
    ),
    "adaptive start of whole pictures on white": (
        "init=adaptive", "corruption=affine", "corruption.level=0.12", "dataset.background=white",
        *one_epoch_each("report"), "schedule.stages.base.after=[{op:drop_faint_harmonics,quantile:0.1}]",
    ),
    "soft hull": (
        "init=hull", "init.consistency=0.6", "init.jitter=0.5", "corruption=boundary", "corruption.level=0.2",
        *one_epoch_each("fast"), "schedule.stages.spread_more.downscale=2",
    ),
}  # fmt: skip
# Processors differ in the order of sums, so in a point that just is an outlier or not: by 0.5 % of points and 0.05 % of
# losses, for one without AVX.
TOLERANCE, TOLERANCE_OF_POINTS = 2e-3, 1e-2

# Where constants are part of the method, some of which decide only on scenes that a quick run does not have.
MODULES = (
    "pointrad.evidence", "pointrad.scene.frame", "pointrad.training.contributions", "pointrad.training.operations",
    "pointrad.corruption.affine", "pointrad.scene.masks",
)  # fmt: skip


def computed(name: str, folder: Path) -> dict[str, Any]:
    """What the run of this name gives."""
    overrides = (*QUICK, "artifacts.views=[]", "artifacts.turntable.frames=0", "renderer=cpu", *RUNS[name])
    root = write_tiny_scene(folder / "scenes", {"train": 12, "test": 2}, width=48, height=40)
    with mock.patch("pointrad.run.measure_fps", return_value=1.0):
        result = run(config(*overrides, f"dataset.root={root}"), folder / "run")
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return {
        "mask_iou": result.mask_iou,
        "consistency": result.consistency,
        "hull_points": result.hull_points,
        "points_by_stage": list(result.points_by_stage.values()),
        "losses": [json.loads(line)["loss"] for line in lines],
        "psnr_db": result.psnr_db,
    }


def constants() -> dict[str, str]:
    """The numbers that stand in the modules of the method, by name."""
    found = {}
    for module in MODULES:
        for name, value in vars(importlib.import_module(module)).items():
            if name.strip("_").isupper() and isinstance(value, int | float | tuple | dict | np.number):
                found[f"{module}.{name}"] = repr(value)
    return found


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(KEPT.read_text())
    assert values["version"] == METHOD_VERSION, "method.json is of another version; `python -m tests.test_method`"
    return values


@pytest.mark.parametrize("name", RUNS)
def test_results_change_with_the_version_alone(name: str, kept: dict[str, Any], tmp_path: Path) -> None:
    expected = kept["results"][name]
    for key, value in computed(name, tmp_path).items():
        tolerance = TOLERANCE_OF_POINTS if "points" in key else TOLERANCE
        assert value == pytest.approx(expected[key], rel=tolerance), f"{name}: {key} changed. {RAISE}"


def test_constants_change_with_the_version_alone(kept: dict[str, Any]) -> None:
    found, expected = constants(), kept["constants"]
    changed = {key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)}
    assert not changed, f"{', '.join(sorted(changed))} changed. {RAISE}"


def write() -> None:
    if KEPT.exists() and json.loads(KEPT.read_text())["version"] == METHOD_VERSION:
        sys.exit(f"{KEPT.name} has version {METHOD_VERSION} already; raise METHOD_VERSION in pointrad/method.py first")
    results = {}
    for name in RUNS:
        with TemporaryDirectory() as folder:
            results[name] = computed(name, Path(folder))
    values = {"version": METHOD_VERSION, "constants": constants(), "results": results}
    KEPT.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    write()
