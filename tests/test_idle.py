"""Keys that change nothing beside others: which they are, and that whoever gives one hears of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from launcher.composition import without_effect
from launcher.mistakes import given_keys
from pointrad.config import CorruptionsConfig, SplatsConfig
from pointrad.run.run import run
from pointrad.schema import Config
from tests.runs import BUNDLED, REPOSITORY, config, groups, one_epoch_each, quick
from tests.scenes import write_tiny_scene

PARTS = "corruption.parts"
MIXED = ("corruption=mixed", "corruption.level=0.1")


def said(*overrides: str) -> list[str]:
    """What is said of a run's command line."""
    return without_effect(config(*overrides).idle(), given_keys(overrides))


@pytest.mark.parametrize(
    ("others", "given", "cause"),
    [
        ([], "corruption.seed=1", "corruption.level=0"),
        (["corruption=none"], "corruption.seed=1", "corruption.level=0"),
        (["corruption=mixed"], f"{PARTS}.holes.size=0.1", "corruption.level=0"),
        ([*MIXED, f"{PARTS}.holes.level=0"], f"{PARTS}.holes.size=0.1", f"{PARTS}.holes.level=0"),
        (["corruption=morphology", "corruption.level=0.1", "corruption.direction=erode"], "corruption.dilate=0.1",
         "corruption.direction=erode"),
        (["corruption=morphology", "corruption.level=0.1", "corruption.direction=dilate"], "corruption.erode=0.1",
         "corruption.direction=dilate"),
        (["init=random"], "corruption.level=0.1", "init=random, which asks no masks, and corruption.targets=clean"),
        (["corruption.level=0.1"], "corruption.in_time=flicker", "dataset=demo"),
        (["init=random"], "scene.outside=abstain", "init=random"),
        (["init=random"], "scene.kept_share=0.2", "init=random"),
        (["init.kept_share=0.1"], "scene.kept_share=0.2", "init.kept_share=0.1"),
        (["model=gaussians"], "scene.kept_share=0.2", "init.kept_share={'points': 20000, 'of': 'hull'}"),
        (["model=gaussians"], "scene.splat_radius=0.2", "model=gaussians"),
        (["init.outside=abstain"], "scene.outside=published", "init.outside=abstain"),
        (["init.source=none"], "init.cut_pixels=unknown", "init.source=none"),
        (["init.source=none"], "model.darkening=0.1", "init.source=none"),
        (["init.cut_pixels=background"], "model.darkening=0.1", "init.cut_pixels=background"),
        (["init=hull"], "model.darkening=0.1", "init=hull"),
        (["init=random"], "model.darkening=0.1", "init=random"),
        (["init=random", "model=gaussians"], "init.kept_share.points=9", "init=random"),
        (["init=random"], "init.opacity=0.1", "model=points"),
        (["init=random", "model=gaussians"], "model.opacity=0.1", "init.opacity=0.01"),
        (["masks=none", "init=random"], "masks.threshold=0.1", "masks.reference=null"),
        (["model=gaussians"], "schedule.stages.coarse.lr.harmonics=0.1", "schedule.stages.coarse.harmonics=false"),
        (["model=gaussians", "model.sh_degree=0"], "schedule.stages.grow.lr.harmonics=0.1", "model.sh_degree=0"),
        (["schedule.stages.base.enabled=false"], "schedule.stages.base.loss.shifts=[1]",
         "schedule.stages.base.enabled=false"),
        (["schedule.stages.base.epochs=0"], "schedule.stages.base.lr.colour=1", "schedule.stages.base.epochs=0"),
        (["schedule.stages.base.epochs=1"], "schedule.stages.base.lr_decay=0.5", "schedule.stages.base.epochs=1"),
        (["schedule.stages.base.loss.gradient_weight=0"], "schedule.stages.base.loss.shifts=[1]",
         "schedule.stages.base.loss.gradient_weight=0"),
        (["schedule.stages.base.loss.shifts=[]"], "schedule.stages.base.loss.gradient_weight=1",
         "schedule.stages.base.loss.shifts=[]"),
        (["artifacts.turntable.frames=0"], "artifacts.turntable.fps=3", "artifacts.turntable.frames=0"),
    ],
)  # fmt: skip
def test_a_value_that_changes_nothing_is_said_to(others: list[str], given: str, cause: str) -> None:
    assert said(*others, given) == [f"{given.partition('=')[0]}: has no effect with {cause}"]


@pytest.mark.parametrize(
    "given",
    [
        ["corruption.level=0.1", "corruption.seed=1"],
        ["dataset=blender", "dataset.root=x", "corruption.level=0.1", "corruption.in_time=flicker"],
        ["corruption=affine", "corruption.targets=masked"],  # masks at level 0 cut what lies outside them
        ["corruption=morphology", "corruption.level=0.1", "corruption.erode=0.1", "corruption.dilate=0.1"],
        [*MIXED, f"{PARTS}.holes={{level: 0.1, size: 0.1}}"],
        ["init=random", "corruption.level=0.1", "corruption.targets=masked"],
        ["init=random", "scene.bounds=auto", "corruption.level=0.1"],
        ["scene.kept_share=0.2", "scene.splat_radius=0.2", "scene.outside=abstain", "scene.bounds=[-1,1]"],
        ["model.darkening=0.1"],
        ["init=random", "model=gaussians", "init.opacity=0.1"],
        ["model=gaussians", "model.opacity=0.1", "schedule.stages.grow.lr.harmonics=0.1"],
        ["masks=none", "init=random", "masks.threshold=0.1", "masks.reference=masks"],
        ["schedule.stages.base.epochs=2", "schedule.stages.base.lr_decay=0.5"],
        ["artifacts.turntable={frames: 2, fps: 3}"],
    ],
)
def test_nothing_is_said_of_values_that_count(given: list[str]) -> None:
    assert said(*given) == []


def test_the_values_of_a_mapping_are_looked_at_one_by_one() -> None:
    assert given_keys(["artifacts.turntable={frames: 0, fps: 3}", "~init.jitter", "+a.b={c: {d: 1}}"]) == [
        "artifacts.turntable.frames",
        "artifacts.turntable.fps",
        "a.b.c.d",
    ]


@pytest.mark.parametrize("group", groups())
def test_every_key_that_may_be_idle_is_there(group: str) -> None:
    """Under its name of today."""
    beside = {"gsplat": ["model=gaussians"], "none": ["init=random"]}
    for option in (path.stem for path in sorted((REPOSITORY / "conf" / group).glob("*.yaml"))):
        root = ["dataset.root=x"] if group == "dataset" and option not in BUNDLED else []
        found = config(f"{group}={option}", *beside.get(option, []), *root)
        missing = {key for key in found.idle() if not _has(found.model_dump(), key.split("."))}
        assert missing <= {"init.kept_share"}  # which models set for all starts


def _has(values: Any, path: list[str]) -> bool:
    return not path or (path[0] in values and _has(values[path[0]], path[1:]))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("others", "given"),
    [
        (["init=hull"], "model.darkening=0.5"),
        (["init=random", "init.points=200"], "init.opacity=0.5"),
        (["init=random", "init.points=200", "schedule=gaussians_fast", *one_epoch_each("gaussians_fast")],
         "model.opacity=0.9"),
        (["init=random", "init.points=200"], "corruption.level=0.5"),
        (["init.source=none"], "init.cut_pixels=background"),
        (["schedule=gaussians_fast", *one_epoch_each("gaussians_fast")], "schedule.stages.coarse.lr.harmonics=0.5"),
        (["schedule.stages.base.epochs=1"], "schedule.stages.base.lr_decay=0.1"),
    ],
)  # fmt: skip
def test_what_is_said_is_so(others: list[str], given: str, tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path / "scenes", {"train": 6, "test": 1}, width=32, height=24)
    brief = one_epoch_each("demo") if not any("gaussians" in word for word in others) else []
    for name, words in {"without": others, "given": [*others, given]}.items():
        run(config(*quick("artifacts.views=[]", f"dataset.root={root}", *brief, *words)), tmp_path / name)
    assert len(said(*others, given)) == 1
    assert (tmp_path / "given" / "cloud.ply").read_bytes() == (tmp_path / "without" / "cloud.ply").read_bytes()


@pytest.mark.parametrize(
    ("program", "words", "lines"),
    [
        ("corruptions", ["scene.kept_share=0.2"], ["scene.kept_share: has no effect with this command"]),
        ("corruptions", ["models.holes.level=0.2"],
         ["models.holes.level: has no effect with levels, which stand in its place"]),
        ("corruptions", ["models.holes.targets=masked"], ["models.holes.targets: has no effect with this command"]),
        ("corruptions", ["models.holes.in_time=flicker"], ["models.holes.in_time: has no effect with dataset=demo"]),
        ("corruptions", ["dataset=demo_moving", "models.holes.in_time=flicker"], []),
        ("corruptions", ["matched_iou=0.8", "levels=[0.1]", "view=1"],
         ["levels: has no effect with matched_iou=0.8", "view: has no effect with matched_iou=0.8"]),
        ("corruptions", ["levels=[0.1]", "view=1", "models.holes.size=0.2", "models.holes.seed=3"], []),
        ("splats", ["splats=x.ply", "scene.splat_radius=0.2", "turntable.fps=3"],
         ["scene.splat_radius: has no effect with this command",
          "turntable.fps: has no effect with turntable.frames=0"]),
        ("splats", ["splats=x.ply", "scene.name=demo", "turntable.frames=2", "turntable.fps=3"], []),
    ],
)  # fmt: skip
def test_other_commands_say_so_too(program: str, words: list[str], lines: list[str]) -> None:
    kind: type[Config] = {"corruptions": CorruptionsConfig, "splats": SplatsConfig}[program]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        values = OmegaConf.to_container(compose(program, words), resolve=True)
    assert without_effect(kind.parse(values).idle(), given_keys(words)) == lines
