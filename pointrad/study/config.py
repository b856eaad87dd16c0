"""The schema of a study: the YAML files of `conf/study/` and the keys of `sweep.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pointrad.errors import did_you_mean
from pointrad.run.result import NUMBERS
from pointrad.schema import Config, Count, GivenPath

# A setting's value as YAML writes it; Hydra and RunConfig check it against the key it is given to.
Value = Any
# Values of one key or of several that go together, by key; all lists are of one length.
Together = dict[str, list[Value]]

# Of the table of a study's runs, beside its axes.
OWN_COLUMNS = ("scene", "repeat", "state", "error", "attempts", "folder", "identity")

LABEL = "label"
ABSENT = "absent"  # of an axis: this step leaves the key alone
# A level {iou: NUMBER} or {iou_of: FOLDER} is found when the study is planned (levels.py).
LEVEL, IOU, IOU_OF = "corruption.level", "iou", "iou_of"


class PlotConfig(Config):
    """What the report draws: each of `metrics` (numeric keys of `summary.json`) over `x`, an axis of the study or a
    numeric key of `summary.json`, with a line for each value of the axis `lines` (and of every axis not named)."""

    x: str
    lines: str | None
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("metrics")
    @classmethod
    def _metrics_are_numbers(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for metric in metrics:
            _check_is_number(metric)
        return metrics

    @model_validator(mode="after")
    def _something_is_left_to_draw(self) -> PlotConfig:
        if self.x in self.metrics:
            raise ValueError(f"metrics: found {self.x!r}, which is x; expected other numbers than that")
        return self


class PublishedConfig(Config):
    """A published curve to draw beside ours: `values` of each metric at `x`, for one scene."""

    source: str
    scene: str
    x: tuple[float, ...]
    values: dict[str, tuple[float | None, ...]]

    @model_validator(mode="after")
    def _lengths_agree(self) -> PublishedConfig:
        for metric, values in self.values.items():
            _check_is_number(metric)
            if len(values) != len(self.x):
                raise ValueError(f"values.{metric} has {len(values)} values, x has {len(self.x)}; expected as many")
        return self


def labels_of(together: Together) -> list[Value]:
    """What tables and plots call the steps of an axis."""
    return together.get(LABEL) or next(iter(together.values()))


def masks_axis(masks: Mapping[str, str], matched: Sequence[str], no_masks: bool) -> Together:
    """The axis that compares masks (`StudyConfig.masks`)."""
    (right, reference), *others = masks.items()
    steps: list[dict[str, Value]] = [_given(name, folder, reference) for name, folder in masks.items()]
    steps += [
        _given(f"{right}, {model} as wrong as {name}", reference, reference)
        | {"corruption": model, LEVEL: {IOU_OF: folder}}
        for name, folder in others
        for model in matched
    ]
    if no_masks:
        without = {"masks": "none", "masks.folder": ABSENT, "init": "random"}
        steps.append(_given("no masks", reference, reference) | without)
    return {key: [step[key] for step in steps] for key in steps[0]}


def _given(name: str, folder: str, reference: str) -> dict[str, Value]:
    """Keys of a group follow the group."""
    masks = {"masks": "folder", "masks.folder": folder, "masks.reference": reference}
    return {LABEL: name} | masks | {"corruption": "none", LEVEL: ABSENT, "init": ABSENT}


class StudyConfig(Config):
    """One study.

    What all its runs share is set beside it, in the same file. axes: lists of values by config key or group, crossed
    with each other; the keys of one axis go together, and `label` names its values (else the first key's values do).
    masks: folders of masks by name, as one more axis `masks`; the first are the reference. matched: models of
    corruption that spoil the reference as much as each other folder's masks are wrong. no_masks: train without, too.
    seeds: the repeats that are averaged over, written like an axis. scenes: names, or "all" for every scene in
    `dataset.root`. baseline: the step of `compared_axis` that the report compares the others with; None: its first.
    dir: where all of it is kept.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    question: str
    dir: GivenPath
    scenes: Literal["all"] | tuple[str, ...]
    axes: dict[str, Together]
    masks: Annotated[dict[str, str], Field(min_length=1)] | None
    matched: tuple[str, ...]
    no_masks: bool
    seeds: Together
    plot: PlotConfig
    baseline: Value
    published: tuple[PublishedConfig, ...]

    def idle(self) -> dict[str, str]:
        alone = self.masks is not None and len(self.masks) == 1
        return super().idle() | ({"matched": f"masks={self.masks}, which names one folder"} if alone else {})

    @property
    def compared_axis(self) -> str | None:
        """The axis whose steps the report compares with each other: that of the plot's lines, else that of its x, else
        the first of several steps; None where there is none."""
        several = [name for name, together in self.axes.items() if len(labels_of(together)) > 1]
        return next((name for name in (self.plot.lines, self.plot.x, *several) if name in several), None)

    @model_validator(mode="before")
    @classmethod
    def _masks_are_an_axis(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        masks, matched, no_masks = (values.get(key) for key in ("masks", "matched", "no_masks"))
        if masks and isinstance(masks, dict):
            return values | {"axes": {"masks": masks_axis(masks, matched or (), bool(no_masks)), **values["axes"]}}
        if matched or no_masks:
            raise ValueError(
                "masks: not given; expected folders by name, the reference first, such as "
                "study.masks={supplied: masks, segmenter: masks_segmenter}"
            )
        return values

    @field_validator("axes")
    @classmethod
    def _axes_are_even(cls, axes: dict[str, Together]) -> dict[str, Together]:
        for name, together in axes.items():
            _check_together(f"axis {name!r}", together)
            if not set(together) - {LABEL}:
                raise ValueError(f"axis {name!r} has no config key; expected at least one beside {LABEL!r}")
            if name in OWN_COLUMNS:
                raise ValueError(f"an axis cannot be called {name!r}, which is a column of every study's table")
        return axes

    @field_validator("axes")
    @classmethod
    def _levels_can_be_found(cls, axes: dict[str, Together]) -> dict[str, Together]:
        for name, together in axes.items():
            for level in together.get(LEVEL, []):
                if isinstance(level, Mapping) and not _tells_iou(level):
                    raise ValueError(
                        f"axis {name!r}, {LEVEL}: found {dict(level)}; expected a level, or {{{IOU}: NUMBER}} above 0 "
                        "and at most 1"
                    )
        return axes

    @field_validator("seeds")
    @classmethod
    def _seeds_are_even(cls, seeds: Together) -> Together:
        _check_together("seeds", seeds)
        return seeds

    @field_validator("scenes")
    @classmethod
    def _scenes_differ(cls, scenes: Literal["all"] | tuple[str, ...]) -> Literal["all"] | tuple[str, ...]:
        if not scenes:
            raise ValueError("empty; expected the names of scenes, or all")
        twice = sorted({scene for scene in scenes if scenes.count(scene) > 1}) if scenes != "all" else []
        if twice:
            raise ValueError(f"{', '.join(twice)} given twice; expected each scene once")
        return scenes

    @model_validator(mode="after")
    def _every_key_is_set_once(self) -> StudyConfig:
        owners = dict.fromkeys(("scene", "scene.name"), "scenes")
        for place, together in [("seeds", self.seeds), *((f"axes.{name}", axis) for name, axis in self.axes.items())]:
            for key in together.keys() - {LABEL}:
                if key in owners:
                    raise ValueError(f"{key} is set by {owners[key]} and by {place}; expected it once")
                owners[key] = place
        return self

    @model_validator(mode="after")
    def _plot_names_what_there_is(self) -> StudyConfig:
        x, lines = self.plot.x, self.plot.lines
        axes = ", ".join(self.axes) or "there is none"
        if x not in self.axes and x not in NUMBERS:
            raise ValueError(
                f"plot.x: found {x!r}; expected an axis ({axes}) or a number of summary.json ({', '.join(NUMBERS)})"
                f"{did_you_mean(x, [*self.axes, *NUMBERS])}"
            )
        if lines is not None and lines not in self.axes:
            raise ValueError(
                f"plot.lines: found {lines!r}, no axis; expected one of {list(self.axes)} or null"
                f"{did_you_mean(lines, self.axes)}"
            )
        return self

    @model_validator(mode="after")
    def _baseline_is_a_step(self) -> StudyConfig:
        compared = self.compared_axis
        steps = labels_of(self.axes[compared]) if compared else []
        if self.baseline is not None and self.baseline not in steps:
            expected = f"a step of the axis {compared} ({', '.join(map(str, steps))})" if compared else "none: no axis"
            raise ValueError(f"baseline: found {self.baseline!r}; expected {expected}, or null")
        return self


class SweepConfig(Config):
    """What `sweep.py` does with a study, besides the keys of each run.

    reuse: folders whose finished runs are taken over instead of computed again. retry: whether runs that failed (or
    whose folders are broken) run again. fail_fast: whether the first failure stops the rest. dry_run: show only.

    On SLURM only: detach: return once the jobs are submitted. runs_per_job: runs that one job computes one after
    another. rounds: how often, in all, jobs are submitted for runs that neither finished nor failed.
    """

    study: StudyConfig
    action: Literal["run", "status", "collect", "report", "cancel"]
    retry: Literal["none", "failed"]
    fail_fast: bool
    dry_run: bool
    reuse: tuple[GivenPath, ...]
    detach: bool
    runs_per_job: Count
    rounds: Count


def _tells_iou(level: Mapping[str, Value]) -> bool:
    if set(level) == {IOU_OF}:
        return isinstance(level[IOU_OF], str)
    return set(level) == {IOU} and type(level[IOU]) in (int, float) and 0 < level[IOU] <= 1


def _check_is_number(metric: str) -> None:
    if metric not in NUMBERS:
        raise ValueError(
            f"found {metric!r}; expected numbers of summary.json ({', '.join(NUMBERS)}){did_you_mean(metric, NUMBERS)}"
        )


def _check_together(name: str, together: Together) -> None:
    lengths = {key: len(values) for key, values in together.items()}
    if not lengths or 0 in lengths.values():
        raise ValueError(f"{name} is empty; expected at least one key with at least one value")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ValueError(f"{name}: values that go together must be as many, but {shown}")
