"""A change of code that changes results has a new version: results of the old one are none of the new one.

`python -m tests.test_method` writes method.json anew, unless results changed and the version did not.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from pointrad.method import METHOD_VERSION
from pointrad.run.run import run
from tests.runs import REPOSITORY, config, one_epoch_each, quick
from tests.scenes import write_tiny_scene

KEPT = Path(__file__).with_name("method.json")
RAISE = (
    "The same configuration and data give another result than before, and studies would mix the two. If the change of "
    "code that did it is meant, raise METHOD_VERSION in pointrad/method.py, then `python -m tests.test_method`."
)

SAME = "If results cannot change by it, as by a number that moves to another file, the last command alone is enough."

# Every model, start, operation and loss, and several kinds of wrong masks.
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
    "Gaussians": (
        "init=hull", "init.consistency=0.6", "init.kept_share.of=surface", "corruption=dropout", "corruption.level=0.1",
        *one_epoch_each("gaussians_fast"), "schedule.stages.grow.epochs=3", "schedule.stages.grow.every.steps=10",
    ),
    "Gaussians of cut pictures": (
        "init=adaptive", "corruption=affine", "corruption.level=0.3", "corruption.targets=masked",
        *one_epoch_each("gaussians_fast"), "schedule.stages.grow.epochs={steps:36}",
        "schedule.stages.grow.every.steps=10",
    ),
    "Gaussians from anywhere": (
        "init=random", "init.points=300", "init.opacity=0.1", "corruption=none",
        *one_epoch_each("gaussians_fast"), "schedule.stages.grow.epochs=3", "schedule.stages.grow.every.steps=10",
    ),
}  # fmt: skip
# Processors differ in the order of sums, so in a point that just is an outlier or not: by 0.5 % of points and 0.05 % of
# losses, for one without AVX.
TOLERANCE, TOLERANCE_OF_POINTS = 2e-3, 1e-2

# Code whose numbers are part of the method. Some decide only on scenes that a quick run does not have.
METHOD = (
    "init/*.py", "harmonics.py", "data/frame.py", "render/gaussians.py", "model/*.py",
    "corruption/*.py", "training/contributions.py", "training/densify.py", "training/losses.py",
    "training/operations.py", "training/steps/*.py", "training/target.py", "training/trainer.py",
)  # fmt: skip


def computed(name: str, folder: Path) -> dict[str, Any]:
    """What the run of this name gives."""
    overrides = quick("artifacts.views=[]", "renderer=cpu", *RUNS[name])
    root = write_tiny_scene(folder / "scenes", {"train": 12, "test": 2}, width=48, height=40)
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


def numbers(patterns: Iterable[str]) -> dict[str, list[str]]:
    """What stands in this code, by file: constants with their names, and numbers with decimals."""
    found = {}
    for path in sorted(path for pattern in patterns for path in (REPOSITORY / "pointrad").glob(pattern)):
        module = ast.parse(path.read_text(encoding="utf-8"))
        named = [ast.unparse(line) for line in module.body if isinstance(line, ast.Assign) and _names_a_constant(line)]
        literals = [node.value for node in ast.walk(module) if isinstance(node, ast.Constant)]
        decimals = [repr(value) for value in literals if isinstance(value, float) and value not in (0.0, 1.0)]
        if named or decimals:
            found[path.relative_to(REPOSITORY).as_posix()] = sorted(named + decimals)
    return found


def _names_a_constant(line: ast.Assign) -> bool:
    numeric = any(isinstance(node, ast.Constant) and not isinstance(node.value, str) for node in ast.walk(line.value))
    return numeric and isinstance(line.targets[0], ast.Name) and line.targets[0].id.isupper()


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(KEPT.read_text())
    assert values["version"] == METHOD_VERSION, "method.json is of another version; `python -m tests.test_method`"
    return values


def changes(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What of a run's results is not what it was."""
    tolerances = {key: TOLERANCE_OF_POINTS if "points" in key else TOLERANCE for key in found}
    return [key for key in found if found[key] != pytest.approx(expected[key], rel=tolerances[key])]


@pytest.mark.integration
@pytest.mark.parametrize("name", RUNS)
def test_results_change_with_the_version_alone(name: str, kept: dict[str, Any], tmp_path: Path) -> None:
    changed = changes(computed(name, tmp_path), kept["results"][name])
    assert not changed, f"{name}: {', '.join(changed)} changed. {RAISE}"


def test_numbers_in_code_change_with_the_version_alone(kept: dict[str, Any]) -> None:
    found, expected = numbers(METHOD), kept["numbers"]
    changed = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    assert not changed, f"The numbers in {', '.join(changed)} changed, which may decide on results. {RAISE} {SAME}"


def write() -> None:
    results = {}
    for name in RUNS:
        with TemporaryDirectory() as folder:
            results[name] = computed(name, Path(folder))
    earlier = json.loads(KEPT.read_text())
    if earlier["version"] == METHOD_VERSION:
        changed = [name for name in results.keys() & earlier["results"].keys()
                   if changes(results[name], earlier["results"][name])]  # fmt: skip
        if changed:
            sys.exit(f"Results of version {METHOD_VERSION} changed ({', '.join(changed)}). {RAISE}")
        results |= earlier["results"]
    values = {"version": METHOD_VERSION, "numbers": numbers(METHOD), "results": results}
    KEPT.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    write()
