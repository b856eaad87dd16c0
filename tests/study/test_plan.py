"""A study's runs: which there are, what each sets, and where it is computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointrad.config import RunConfig
from pointrad.errors import UserError
from pointrad.study.plan import PLAN_FILE, Plan, Variant, expand, make_plan
from tests.runs import config
from tests.study.studies import plan, sweep


def test_axes_are_crossed_with_each_other_and_with_scenes_and_seeds() -> None:
    axes = {"level": {"corruption.level": [0, 0.1]}, "consistency": {"init.consistency": [1, 0.9, 0.8]}}
    variants = expand(sweep(axes=axes, seeds={"seed": [0, 1]}).study, ["hotdog", "lego"])
    assert len(variants) == len({str(variant.settings) for variant in variants}) == 2 * 3 * 2 * 2


def test_the_keys_of_one_axis_go_together() -> None:
    together = {"init.consistency": [0.9, 0.8], "model.splat_radius": [0.015, 0.01]}
    variants = expand(sweep(axes={"fix": together}, seeds={"seed": [0]}).study, ["hotdog"])
    assert [variant.settings for variant in variants] == [
        {"scene": "hotdog", "init.consistency": 0.9, "model.splat_radius": 0.015, "seed": 0},
        {"scene": "hotdog", "init.consistency": 0.8, "model.splat_radius": 0.01, "seed": 0},
    ]


def test_the_first_key_names_the_values_of_an_axis_unless_there_are_labels() -> None:
    unnamed = {"init.consistency": [0.9, 0.8], "model.splat_radius": [0.015, 0.01]}
    named = {"label": ["large", "small"], "init.lattice": [400, 40]}
    variants = expand(sweep(axes={"fix": unnamed, "size": named}).study, ["hotdog"])
    assert [variant.labels for variant in variants[:2]] == [
        {"fix": 0.9, "size": "large"},
        {"fix": 0.9, "size": "small"},
    ]
    assert "label" not in variants[0].settings


def test_the_first_repeat_comes_first_as_a_whole() -> None:
    assert [variant.repeat for variant in expand(sweep().study, ["hotdog"])] == [0, 0, 1, 1]


def test_runs_that_compute_the_same_share_a_folder() -> None:
    axes = {"model": {"corruption": ["affine", "none"]}}
    study = sweep(axes=axes, seeds={"seed": [0]}).study
    found = make_plan(study, expand(study, ["demo"]), lambda v: config(f"corruption={v.settings['corruption']}"), "")
    assert len(found.runs) == 2
    assert len(found.distinct()) == len({run.folder for run in found.runs}) == 1


def test_a_folders_name_is_safe_in_a_shell_and_in_hydras_grammar(tmp_path: Path) -> None:
    hostile = {"label": ["a, b = 'c'; rm -rf /", "${x}"], "corruption.level": [0, 0.1]}
    for run in plan(tmp_path, tmp_path, axes={"level": hostile}).runs:
        assert set(run.folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/")
        assert run.folder.endswith(run.identity)


def test_a_wrong_value_is_named_with_its_run_before_anything_runs() -> None:
    def compose(variant: Variant) -> RunConfig:
        return config(f"corruption.level={variant.settings['corruption.level']}")

    study = sweep(axes={"level": {"corruption.level": [0, 2]}}).study
    with pytest.raises(UserError, match=r"tiny, run demo level=2 #0: corruption\.level: found 2"):
        make_plan(study, expand(study, ["demo"]), compose, "")


def test_a_plan_that_is_read_back_is_the_plan(tmp_path: Path) -> None:
    written = plan(tmp_path, tmp_path / "scenes")
    written.write()
    assert Plan.read(tmp_path) == written


def test_a_plan_is_read_where_its_folder_was_moved(tmp_path: Path) -> None:
    plan(tmp_path / "old", tmp_path).write()
    (tmp_path / "old").rename(tmp_path / "new")
    assert Plan.read(tmp_path / "new").study.dir == tmp_path / "new"


def test_a_folder_without_a_plan_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"study\.dir: found {tmp_path}, which holds no plan\.json"):
        Plan.read(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"study": {}, "runs": []}'])
def test_a_plan_that_cannot_be_read_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text(content)
    with pytest.raises(UserError, match=r"plan\.json: unreadable plan"):
        Plan.read(tmp_path)
