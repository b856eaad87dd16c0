"""Studies for tests, small enough to know by heart."""

from __future__ import annotations

from copy import deepcopy
from functools import reduce
from pathlib import Path
from typing import Any

from pointrad.config import RunConfig
from pointrad.data.scene import SceneContent
from pointrad.study.config import SweepConfig
from pointrad.study.plan import Plan, Variant, expand, make_plan
from tests.runs import CONTENT, QUICK, composed, one_epoch_each

STUDY: dict[str, Any] = {
    "name": "tiny",
    "question": "Does it work?",
    "dir": "somewhere",
    "scenes": ["tiny"],
    "axes": {"level": {"corruption.level": [0, 0.1]}},
    "masks": None,
    "matched": [],
    "no_masks": False,
    "seeds": {"seed": [0, 1]},
    "plot": {"x": "level", "lines": None, "metrics": ["psnr_db"]},
    "baseline": None,
    "published": [],
}
SWEEP = {"action": "run", "retry": "none", "fail_fast": False, "dry_run": False, "reuse": [], "detach": False,
         "runs_per_job": 1, "rounds": 3}  # fmt: skip


def sweep(**changes: Any) -> SweepConfig:
    """A sweep of the study above with some of the study's keys changed."""
    return SweepConfig.parse({**SWEEP, "study": deepcopy(STUDY) | changes})


def plan(study_dir: Path, root: Path, content: SceneContent = CONTENT, **changes: Any) -> Plan:
    """The plan of the study above on the tiny scene with this content."""

    def compose(variant: Variant) -> RunConfig:
        values = composed(*QUICK, *one_epoch_each("demo"))  # by Hydra once, which takes its time
        values["dataset"]["root"] = str(root)
        for key, value in variant.settings.items():
            if key != "scene":
                *groups, last = key.split(".")
                reduce(lambda part, group: part[group], groups, values)[last] = value
        return RunConfig.parse(values)

    study = sweep(dir=str(study_dir), **changes).study
    return make_plan(study, expand(study, ["tiny"]), compose, lambda *_: content, "python sweep.py study=tiny")
