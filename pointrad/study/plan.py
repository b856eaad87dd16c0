"""From a study to its runs: the settings of each, its configuration, and the folder it is computed in."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pointrad.config import RunConfig
from pointrad.data.capture import Capture
from pointrad.data.content import of_sequence
from pointrad.data.scene import SceneContent, Split
from pointrad.errors import UserError
from pointrad.files import write_json
from pointrad.run.status import RunStatus, read_status
from pointrad.study.config import ABSENT, LABEL, StudyConfig, Together, Value, labels_of

# What a study's folder holds.
PLAN_FILE = "plan.json"
REPORT_FOLDER, PAGE_FILE, TABLE_FILE = "report", "report.html", "runs.csv"
RUNS_FOLDER = "runs"
STOP_FILE = "stopped_by_failure"  # there after the first failure of a study that is to fail fast


@dataclass(frozen=True)
class Variant:
    """One combination of a study's values.

    labels: the value of each axis, as tables and plots name it. repeat: which of the study's seeds, from 0.
    settings: what the study varies, by config key.
    """

    scene: str
    labels: dict[str, Value]
    repeat: int
    settings: dict[str, Value]

    @property
    def title(self) -> str:
        """In a few words, for people."""
        return " ".join([self.scene, *(f"{name}={label}" for name, label in self.labels.items()), f"#{self.repeat}"])


@dataclass(frozen=True)
class PlannedRun:
    """A variant with its checked configuration; `folder` is relative to the study's. Variants that compute the same
    (such as level 0 of two corruption models) share a folder."""

    variant: Variant
    config: RunConfig
    identity: str
    folder: str


@dataclass(frozen=True)
class Plan:
    """All runs of a study, in order, and the command that asked for them."""

    study: StudyConfig
    runs: tuple[PlannedRun, ...]
    command: str

    def distinct(self) -> list[PlannedRun]:
        """The runs to compute: the first of each identity."""
        return list({run.identity: run for run in reversed(self.runs)}.values())[::-1]

    def run_dir(self, run: PlannedRun) -> Path:
        return self.study.dir / run.folder

    def status(self, run: PlannedRun) -> RunStatus:
        """What has become of `run`."""
        return read_status(self.run_dir(run), run.identity)

    def write(self) -> None:
        """Keep the plan in the study's folder, with every run's resolved configuration."""
        runs = [
            {
                "scene": run.variant.scene,
                "labels": run.variant.labels,
                "repeat": run.variant.repeat,
                "settings": run.variant.settings,
                "identity": run.identity,
                "folder": run.folder,
                "config": run.config.model_dump(mode="json"),
            }
            for run in self.runs
        ]
        values = {"study": self.study.model_dump(mode="json"), "command": self.command, "runs": runs}
        if not _holds(self.study.dir / PLAN_FILE, values):
            write_json(self.study.dir / PLAN_FILE, values)

    @classmethod
    def read(cls, study_dir: Path) -> Plan:
        """The plan that was last launched in this folder. Raises UserError where there is none or it is unreadable."""
        path = study_dir / PLAN_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            study = StudyConfig.model_validate(values["study"] | {"dir": study_dir})
            runs = tuple(_planned(entry) for entry in values["runs"])
            command = str(values["command"])
        except FileNotFoundError:
            raise UserError(
                f"study.dir: found {study_dir}, which holds no {PLAN_FILE}; expected a study's folder"
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: unreadable plan ({error}); launch the study again to write it anew") from None
        return cls(study, runs, command)


def _holds(path: Path, values: object) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(values)))
    except (OSError, ValueError):
        return False


def _planned(entry: Mapping[str, Any]) -> PlannedRun:
    variant = Variant(entry["scene"], entry["labels"], entry["repeat"], entry["settings"])
    return PlannedRun(variant, RunConfig.parse(entry["config"]), entry["identity"], entry["folder"])


def expand(study: StudyConfig, scenes: Sequence[str], own: Sequence[str] = ()) -> list[Variant]:
    """Every combination of scene, repeat and axis values, in this order: the first repeat is complete first.

    own: those of the scenes that have no file in conf/scene; they are told by name alone.
    """
    axes = [_choices(axis) for axis in study.axes.values()]
    repeats = [settings for _, settings in _choices(study.seeds)]
    return [
        Variant(
            scene=scene,
            labels=dict(zip(study.axes, (label for label, _ in steps), strict=True)),
            repeat=repeat,
            settings=_merged([_scene(scene, own), *(settings for _, settings in steps), repeated]),
        )
        for scene in scenes
        for repeat, repeated in enumerate(repeats)
        for steps in itertools.product(*axes)
    ]


def make_plan(
    study: StudyConfig,
    variants: Iterable[Variant],
    compose: Callable[[Variant], RunConfig],
    content: Callable[[Capture, Split], SceneContent],
    command: str,
) -> Plan:
    """Check the configuration of every variant before anything runs. Scenes go by the names that they have there.

    content: of the files of a scene and its split; asked for once each. Raises UserError naming the first variant whose
    configuration is wrong, or whose data is.
    """
    content = functools.cache(content)
    runs: dict[str, PlannedRun] = {}
    planned = []
    scenes: dict[str, str] = {}
    for variant in variants:
        try:
            config = compose(variant)
            if scenes.setdefault(config.scene.name, variant.scene) != variant.scene:
                raise UserError(
                    f"scene.name: found {config.scene.name!r} for study.scenes {scenes[config.scene.name]} and "
                    f"{variant.scene}; expected a name for each (those of study.scenes, where scene.name is left out)"
                )
            contents = [content(capture, config.eval.split) for capture in config.captures()]
            identity = config.identity(of_sequence(contents))
        except UserError as error:
            raise UserError(f"{study.name}, run {variant.title}: {error}") from None
        variant = replace(variant, scene=config.scene.name)
        folder = runs[identity].folder if identity in runs else f"{RUNS_FOLDER}/{_folder_name(variant)}_{identity}"
        planned.append(PlannedRun(variant, config, identity, folder))
        runs.setdefault(identity, planned[-1])
    return Plan(study, tuple(planned), command)


def _choices(together: Together) -> list[tuple[Value, dict[str, Value]]]:
    """Each step of an axis: its label and what it sets."""
    settings = {key: values for key, values in together.items() if key != LABEL}
    steps = zip(*settings.values(), strict=True)
    return [
        (label, {key: value for key, value in zip(settings, step, strict=True) if value != ABSENT})
        for label, step in zip(labels_of(together), steps, strict=True)
    ]


def _scene(name: str, own: Sequence[str]) -> dict[str, Value]:
    return {"scene.name" if name in own else "scene": name}


def _merged(parts: Iterable[Mapping[str, Value]]) -> dict[str, Value]:
    return {key: value for part in parts for key, value in part.items()}


def _folder_name(variant: Variant) -> str:
    """Readable and safe in any shell and in Hydra's override grammar."""
    parts = [variant.scene, *(f"{name}-{label}" for name, label in variant.labels.items()), f"repeat-{variant.repeat}"]
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", "_".join(parts))[:120]
