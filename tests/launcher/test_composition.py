"""Composing the runs of a study: what Hydra makes of each, without Hydra for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from launcher.composition import Composer, plain_values
from launcher.study import checked_run, override
from pointrad.study.config import StudyConfig
from pointrad.study.plan import expand
from tests.runs import REPOSITORY

STUDIES = sorted(path.stem for path in (REPOSITORY / "conf" / "study").glob("*.yaml"))
pytestmark = pytest.mark.integration  # Hydra composes what is compared


class Counting:
    """Hydra's composition of a study's runs, counted."""

    def __init__(self, *overrides: str) -> None:
        self.overrides, self.calls = overrides, 0

    def __call__(self, settings: Mapping[str, object]) -> DictConfig:
        self.calls += 1
        varied = [override(key, value) for key, value in settings.items()]
        return compose("sweep", [self.overrides[0], *varied, *self.overrides[1:]])

    def composer(self, **fixed: object) -> Composer:
        return Composer(GlobalHydra.instance().config_loader(), self, fixed)


@pytest.fixture(autouse=True)
def hydra() -> Iterator[None]:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        yield


# What a study asks of its user.
BUNDLED = ("smoke", "demo_curve", "moving_masks")
NEEDED = {
    **{name: [] for name in BUNDLED},
    "real_masks": ["dataset.root=DATA", "study.masks={drawn: masks, found: segmenter}"],
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_run_of_a_shipped_study_is_valid_and_as_hydra_composes_it(name: str) -> None:
    hydra = Counting(f"study={name}", *NEEDED.get(name, ["dataset.root=DATA"]))
    study = StudyConfig.parse(plain_values(hydra({}))["study"])
    assert study.name == name
    planned = expand(study, ["demo"] if name in BUNDLED else ["hotdog"])
    # In place of levels that are measured when the study is planned.
    numbers = [{key: 0.1 if isinstance(value, dict) else value for key, value in of.settings.items()} for of in planned]
    variants = [
        replace(of, settings=settings) for of, settings in zip(planned, numbers, strict=True)
    ]  # levels, measured
    composer = hydra.composer(**{"dataset.root": "DATA"})
    composed = [composer.values(variant.settings) for variant in variants]
    for values in composed:
        checked_run(values)
    assert composed[-1] == plain_values(hydra(variants[-1].settings))
    choices = {
        tuple(v for k, v in variant.settings.items() if k in ("init", "schedule", "corruption", "masks"))
        for variant in variants
    }
    assert hydra.calls == 2 + len(choices)


def agree(hydra: Counting, runs: list[dict[str, Any]], **fixed: object) -> int:
    """Checks each run's values against Hydra's and returns how often the composer has asked Hydra."""
    composer = hydra.composer(**fixed)
    found = [composer.values(settings) for settings in runs]
    asked = hydra.calls
    assert found == [plain_values(hydra(settings)) for settings in runs]
    return asked


def test_values_that_refer_to_what_is_varied_follow_it() -> None:
    radii = [{"scene.splat_radius": radius} for radius in (0.1, 0.2)]
    assert agree(Counting("study=corruption_curve", "dataset.root=DATA"), radii) == 1


def test_values_of_every_plain_type_are_put_as_hydra_would() -> None:
    values = [0, 1.5, 1e-7, True, None, "text", "with 'quotes', and a comma", "true", [1, 2], [], ["a", None]]
    assert agree(Counting("study=smoke"), [{"artifacts.views": value} for value in values]) == 1


@pytest.mark.parametrize(
    "steps",
    [
        [{"schedule": "paper"}, {"schedule": "fast"}],
        [{"corruption": "affine"}, {"corruption": "holes"}],
        [{"schedule.stages.base": {"epochs": 3}}, {"schedule.stages.base": {"epochs": 4}}],
        [{"schedule.stages.base.lr_decay": {"cosine_to": 0.1}}, {"schedule.stages.base.lr_decay": 0.5}],
        [{"+init.anything": 1}, {"+init.anything": 2}],
        [{"model.splat_radius": "${scene.kept_share}"}, {"model.splat_radius": 0.1}],
    ],
    ids=["group", "corruption", "mapping", "mapping or number", "new key", "reference"],
)  # fmt: skip
def test_what_is_no_plain_value_is_composed_for_each(steps: list[dict[str, Any]]) -> None:
    assert agree(Counting("study=smoke"), [{"seed": seed, **step} for seed in (0, 1) for step in steps]) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [("schedule.stages.base", "schedule.stages.base.epochs"), ("schedule.stages.base.epochs", "schedule.stages.base")],
)
def test_of_keys_within_each_other_the_later_counts(first: str, second: str) -> None:
    value = {"schedule.stages.base": {"epochs": 3}, "schedule.stages.base.epochs": 4}
    runs = [{first: value[first], second: value[second], "seed": seed} for seed in (0, 1)]
    agree(Counting("study=smoke"), runs)


def test_what_all_runs_are_given_comes_after_what_is_varied() -> None:
    hydra = Counting("study=smoke", "schedule.stages.base={epochs:7}")
    runs = [{"schedule.stages.base.epochs": epochs} for epochs in (3, 4)]
    agree(hydra, runs, **{"schedule.stages.base": {"epochs": 7}})


def test_a_group_that_all_runs_are_given_does_not_keep_its_values_from_being_put() -> None:
    hydra = Counting("study=smoke", "corruption=holes")
    assert agree(hydra, [{"corruption.level": level} for level in (0.1, 0.2)], corruption="holes") == 1
