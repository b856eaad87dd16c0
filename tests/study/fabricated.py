"""Study folders with runs that nothing computed: plausible numbers, the same every time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml

from pointrad.artifacts.camera_file import CAMERAS_FILE, write_cameras
from pointrad.artifacts.pictures import write_comparison, write_mask_comparison
from pointrad.artifacts.ply import write_points
from pointrad.data.scene import View
from pointrad.run.status import SUMMARY_FILE, TRACEBACK_FILE, RunState
from pointrad.study.plan import Plan, PlannedRun, Variant, expand
from pointrad.study.results import StudyResults, collect
from tests.runs import config, random_cloud
from tests.scenes import sphere_views
from tests.study.studies import sweep

COMMIT = "0123456789abcdef0123456789abcdef01234567"
ERROR = "RuntimeError: the loss is NaN"
AXES = {
    "level": {"corruption.level": [0, 0.04, 0.12]},
    "consistency": {"init.consistency": [1.0, 0.9]},
}
PLOT = {"x": "level", "lines": "consistency", "metrics": ["psnr_db", "ssim"]}

_VIEWS = sphere_views(2)

Fate = Callable[[Variant], RunState]
Numbers = Callable[[Variant], dict[str, Any]]


def results(
    study_dir: Path, scenes: Sequence[str] = ("ball",), fate: Fate = lambda variant: RunState.DONE,
    numbers: Numbers = lambda variant: {}, pictures: bool = False, **changes: Any,
) -> StudyResults:  # fmt: skip
    """What is found of the runs of `plan`."""
    return collect(plan(study_dir, scenes, fate, numbers, pictures, **changes))


def plan(
    study_dir: Path, scenes: Sequence[str] = ("ball",), fate: Fate = lambda variant: RunState.DONE,
    numbers: Numbers = lambda variant: {}, pictures: bool = False, **changes: Any,
) -> Plan:  # fmt: skip
    """A study of level x consistency x 3 repeats in `scenes`, once its runs have met their fates.

    numbers: what a run's summary says otherwise than `summary`. changes: of the study's keys.
    """
    keys = {"axes": AXES, "plot": PLOT, "seeds": {"seed": [0, 1, 2]}, "scenes": list(scenes)} | changes
    study = sweep(dir=str(study_dir), **keys).study
    unused = config("dataset=demo")
    planned = [
        PlannedRun(variant, unused, f"{index:016x}", f"runs/run {index}")
        for index, variant in enumerate(expand(study, scenes))
    ]
    for run in planned:
        _write(study_dir / run.folder, run, fate(run.variant), numbers(run.variant), pictures)
    return Plan(study, tuple(planned), "python sweep.py")


def summary(variant: Variant) -> dict[str, Any]:
    """Quality falls with the level, more so for the hard hull, and differs by 0.2 dB between repeats."""
    level = variant.settings.get("corruption.level", 0)
    consistency = variant.settings.get("init.consistency", 1.0)
    lost = 100 * level * (1 if consistency == 1.0 else 0.25)
    points = int(50_000 * (1 - 5 * level) + 1000 * variant.repeat)
    return {
        "scene": variant.scene,
        "level": level,
        "consistency": consistency,
        "mask_iou": 1 - 2 * level,
        "psnr_db": 34.0 - lost + 0.2 * variant.repeat - 3 * (variant.scene != "ball"),
        "ssim": 0.97 - lost / 100,
        "lpips": None,
        "train_seconds": 100.0 - lost,
        "render_fps": 80.0,
        "model_mb": points * 132 / 2**20,
        "points": points,
        "points_by_stage": {"init": 10, "base": points},
        "device": "imagined",
        "status": "done",
    }


def _write(run_dir: Path, run: PlannedRun, state: RunState, numbers: dict[str, Any], pictures: bool) -> None:
    if state is RunState.MISSING:
        return
    run_dir.mkdir(parents=True)
    (run_dir / "metrics.jsonl").write_text("{}\n")
    if state is RunState.FAILED:
        (run_dir / "status.json").write_text(json.dumps({"state": "failed", "attempts": 1, "error": ERROR}))
        (run_dir / TRACEBACK_FILE).write_text("Traceback\n")
    text = json.dumps(summary(run.variant) | numbers | {"identity": run.identity})
    if state in (RunState.DONE, RunState.BROKEN):
        (run_dir / SUMMARY_FILE).write_text(text if state is RunState.DONE else text[:40])
    if state is RunState.DONE:
        _write_provenance(run_dir)
        if pictures:
            _write_pictures(run_dir, run.variant)


def _write_provenance(run_dir: Path) -> None:
    values = {
        "versions": {"python": "3.11.7", "torch": "2.12.0", "wandb": None},
        "git": {"commit": COMMIT, "dirty": False},
        "platform": "Linux",
        "device": "imagined",
    }
    (run_dir / "provenance.json").write_text(json.dumps(values))


def _write_pictures(run_dir: Path, variant: Variant) -> None:
    """Two views of the sphere: the render darker by the level, masks shifted by the level and the repeat."""
    (run_dir / "pictures").mkdir()
    for name, content in _pictures(variant.settings["corruption.level"], variant.repeat).items():
        (run_dir / "pictures" / name).write_bytes(content)
    for name, content in _cloud().items():
        (run_dir / name).write_bytes(content)
    (run_dir / "config.yaml").write_text(yaml.safe_dump({"artifacts": {"views": [1, 0]}}))
    (run_dir / "evaluation.json").write_text(json.dumps([_score(view) for view in _VIEWS]))


@cache
def _pictures(level: float, repeat: int) -> dict[str, bytes]:
    """The files of a run's pictures, by name."""
    shown = {id(view.camera): view for view in _VIEWS}
    wrong = [replace(view, mask=np.roll(view.mask, round(50 * level) + repeat, axis=1)) for view in _VIEWS]
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, stage, brightness in (("2_full.png", "full", 1 - 5 * level), ("0_init.png", "init", 0)):
            write_comparison(
                folder / name,
                lambda cameras, scale=brightness: [scale * shown[id(camera)].image for camera in cameras],
                _VIEWS,
                stage,
            )
        write_mask_comparison(folder / "masks.png", _VIEWS, wrong if level else _VIEWS, "affine")
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@cache
def _cloud() -> dict[str, bytes]:
    """The files of a run's cloud, by name."""
    cloud = random_cloud()
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_points(folder / "cloud.ply", cloud, cloud["base"])
        write_cameras(folder / CAMERAS_FILE, _VIEWS)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def _score(view: View) -> dict[str, Any]:
    return {"name": view.name, "psnr_db": 30.0, "ssim": 0.9, "lpips": None}
