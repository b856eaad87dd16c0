"""A study's runs: which there are, what each sets, and where it is computed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pointrad.config import RunConfig
from pointrad.data.capture import Capture
from pointrad.data.scene import SceneContent, Split
from pointrad.errors import UserError
from pointrad.run.status import RunState
from pointrad.study.plan import PLAN_FILE, Plan, Variant, expand, make_plan
from tests.runs import CONTENT, config
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

    def compose(variant: Variant) -> RunConfig:
        return config(f"corruption={variant.settings['corruption']}")

    found = make_plan(study, expand(study, ["demo"]), compose, lambda *_: CONTENT, "")
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
        make_plan(study, expand(study, ["demo"]), compose, lambda *_: CONTENT, "")


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


def test_other_data_under_the_same_names_makes_other_runs(tmp_path: Path) -> None:
    first = plan(tmp_path, tmp_path)
    second = plan(tmp_path, tmp_path, content=SceneContent("train made anew", "evaluation"))
    third = plan(tmp_path, tmp_path, content=SceneContent("train", "evaluation made anew"))
    assert len({run.folder for found in (first, second, third) for run in found.runs}) == 3 * len(first.runs)


def test_each_scenes_data_is_looked_at_once(tmp_path: Path) -> None:
    asked = []

    def content(capture: Capture, split: Split) -> SceneContent:
        asked.append((capture.name, split))
        return CONTENT

    study = sweep(seeds={"seed": list(range(20))}).study
    compose = {scene: config(f"scene={scene}", "dataset=blender", "dataset.root=x") for scene in ("lego", "mic")}
    make_plan(study, expand(study, ["lego", "mic"]), lambda variant: compose[variant.scene], content, "")
    assert asked == [("lego", "test"), ("mic", "test")]


def test_wrong_data_is_named_with_its_run(tmp_path: Path) -> None:
    def content(capture: Capture, split: Split) -> SceneContent:
        raise UserError("folder: no such folder")

    study = sweep().study
    with pytest.raises(UserError, match=r"tiny, run demo level=0 #0: folder: no such folder"):
        make_plan(study, expand(study, ["demo"]), lambda variant: config(), content, "")


def test_a_folder_that_holds_the_result_of_other_data_is_broken(tmp_path: Path) -> None:
    """Its data changed after the study was launched and before the run began."""
    found = plan(tmp_path, tmp_path)
    run = found.runs[0]
    found.run_dir(run).mkdir(parents=True)
    for identity, state in ((run.identity, RunState.DONE), ("0" * 16, RunState.BROKEN)):
        (found.run_dir(run) / "summary.json").write_text(json.dumps({"identity": identity}))
        assert found.status(run).state is state
    assert "launch it again" in (found.status(run).error or "")
