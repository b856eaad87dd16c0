"""What is written twice must agree: versions, keys and commands in the documents, the Makefile's help."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from launcher.study import run_config
from pointrad.config import CorruptionsConfig, Operation, RunConfig
from pointrad.study.config import SweepConfig
from sweep import ACTIONS
from tests.runs import groups

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED_OPTIONS = (
    "dataname",
    "data_r",
    "splatting_r",
    "raster_n",
    "refine_n",
    "lr1",
    "lr2",
    "lrexp",
    "lr_s",
    "img_s",
    "half_res",
    "white_bkgd",
    "datadir",
    "basedir",
    "expname",
    "savemodel",
    "filter_consistency_ratio",
    "position_regularization",
    "pc_jitter_amount",
    "posFirst",
    "ridgePosition",
    "shAlone",
    "only_genpc",
)
DOCUMENTS = (
    "README.md",
    "docs/configuration.md",
    "docs/corruption.md",
    "docs/robustness.md",
    "docs/options.md",
    "docs/cluster.md",
    "docs/wandb.md",
    "docs/gpu.md",
    "docs/studies.md",
)
STUDIES = sorted(path.stem for path in (ROOT / "conf" / "study").glob("*.yaml"))


def _requirements(name: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line for line in lines if line]


def _config_keys() -> set[str]:
    """Every key that some file in conf/ gives a value, interior ones included."""
    keys: set[str] = set()

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, child in value.items():
                name = f"{prefix}.{key}" if prefix else str(key)
                keys.add(name)
                walk(name, child)

    for path in (ROOT / "conf").rglob("*.yaml"):
        walk(".".join(path.parent.relative_to(ROOT / "conf").parts), yaml.safe_load(path.read_text()))
    return keys


def _commands(document: str, script: str = "train") -> list[list[str]]:
    """The arguments of each `python train.py` line, or of another script, in a document's indented blocks."""
    text = (ROOT / document).read_text().replace("\\\n", " ")
    lines = re.findall(rf"^    python {script}\.py\b(.*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-scene.txt"])
def test_every_requirement_is_pinned_exactly(name: str) -> None:
    own = [line for line in _requirements(name) if line != "-r requirements.txt"]
    assert own
    for line in own:
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][A-Za-z0-9.]*", line), line


def test_no_package_is_pinned_twice() -> None:
    names = [
        re.split(r"[\[=]", line)[0].lower()
        for file in ROOT.glob("requirements*.txt")
        for line in _requirements(file.name)
        if line != "-r requirements.txt"
    ]
    assert sorted(names) == sorted(set(names))


def test_pyproject_takes_its_dependencies_from_requirements() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "dependencies" not in settings["project"]
    assert "dependencies" in settings["project"]["dynamic"]
    assert settings["tool"]["setuptools"]["dynamic"]["dependencies"] == {"file": ["requirements.txt"]}


def test_the_table_of_options_names_only_keys_that_exist() -> None:
    keys = _config_keys() | {"hydra.sweep.dir"}
    spans = re.findall(r"(?<!`)`([^`\n]+)`", (ROOT / "docs" / "options.md").read_text())
    named = [span for span in spans if re.fullmatch(r"[a-z][a-z_0-9]*(\.[a-z_0-9*]+)*(=\S+)?", span)]
    named = [span for span in named if not span.startswith("pointrad.")]
    assert len(named) > 30
    for span in named:
        key, _, value = span.partition("=")
        if value and (ROOT / "conf" / key).is_dir():
            assert (ROOT / "conf" / key / f"{value}.yaml").is_file(), span
        else:
            assert any(fnmatchcase(known, key) for known in keys), span


def test_the_table_of_options_is_complete() -> None:
    text = (ROOT / "docs" / "options.md").read_text()
    assert [option for option in PUBLISHED_OPTIONS if f"| `--{option}` |" not in text] == []


def rows_of_codes(section: str) -> dict[str, set[str]]:
    """First cell and codes of the second, of the table rows in this section of docs/configuration.md."""
    text = (ROOT / "docs" / "configuration.md").read_text().split(f"## {section}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)*) ?\|", text, re.MULTILINE)
    return {first: set(re.findall(r"`(\w+)`", codes)) for first, codes in rows}


def test_configuration_document_lists_every_choice() -> None:
    choices = {group: {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")} for group in groups()}
    assert rows_of_codes("Groups") == choices


def test_configuration_document_lists_every_operation_with_its_values() -> None:
    kinds = get_args(get_args(Operation)[0])
    operations = {get_args(kind.model_fields["op"].annotation)[0]: {*kind.model_fields} - {"op"} for kind in kinds}
    assert rows_of_codes("Stages and operations") == operations


def test_cluster_document_lists_every_launcher_profile() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text()
    for path in (ROOT / "conf" / "hydra" / "launcher").glob("*.yaml"):
        assert f"\n| `{path.stem}` | " in text


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands_are_valid(document: str) -> None:
    commands = _commands(document)
    assert commands
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for words in commands:
            overrides = [word for word in words if not word.startswith(("-", "hydra"))]
            if "-m" in words:
                overrides = [word.split(",")[0] for word in overrides]
            RunConfig.parse(OmegaConf.to_container(compose("train", overrides), resolve=True))


def _sweep(overrides: list[str]) -> tuple[SweepConfig, DictConfig]:
    composed = compose("sweep", overrides)
    values: Any = OmegaConf.to_container(composed, resolve=True)
    return SweepConfig.parse({key: values[key] for key in SweepConfig.model_fields}), composed


@pytest.mark.parametrize("document", ["README.md", "docs/studies.md", "docs/results.md", "docs/robustness.md"])
def test_documented_sweeps_are_valid(document: str) -> None:
    commands = _commands(document, "sweep")
    assert commands
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for words in commands:
            composed = _sweep([word for word in words if word not in ACTIONS and not word.startswith("hydra")])[1]
            run_config(composed)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_says_what_it_asks_and_how_to_run_it(name: str) -> None:
    header = (ROOT / "conf" / "study" / f"{name}.yaml").read_text().split("defaults:")[0]
    assert "?\n" in header or "? " in header
    assert f"#   python sweep.py study={name}" in header
    assert f"| `{name}` | " in (ROOT / "docs" / "studies.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "conf" / "study").glob("*.yaml")), ids=lambda path: path.stem)
def test_studies_of_published_scenes_read_colours_as_published(path: Path) -> None:
    study = yaml.safe_load(path.read_text())
    if {"override /dataset": "blender"} in study["defaults"]:
        assert study["dataset"]["background"] == "published"


@pytest.mark.parametrize("document", ["README.md", "docs/options.md", "docs/robustness.md", "docs/renderer.md"])
def test_so_do_commands_that_reproduce_published_figures(document: str) -> None:
    commands = [overrides for overrides in _commands(document) if "eval.split=paper" in overrides]
    assert commands
    assert all("dataset.background=published" in overrides for overrides in commands)


def test_documented_commands_of_the_corruptions_are_valid() -> None:
    commands = _commands("docs/corruption.md", "corruptions")
    assert commands
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for overrides in commands:
            CorruptionsConfig.parse(OmegaConf.to_container(compose("corruptions", overrides), resolve=True))


@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "conf" / "corruption").glob("*.yaml")))
def test_every_corruption_is_described_and_on_the_sheet(model: str) -> None:
    if model != "none":
        assert f"\n| `{model}` | " in (ROOT / "docs" / "corruption.md").read_text()
        assert f"corruption@models.{model}: {model}" in (ROOT / "conf" / "corruptions.yaml").read_text()


@pytest.mark.parametrize("document", [*DOCUMENTS, "docs/conventions.md", "docs/results.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if not link.startswith("http"):
            assert (path.parent / link).exists(), link


def test_make_help_lists_every_documented_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^make (\S+)", done.stdout, re.MULTILINE))
    assert listed == {"help", "demo", "check", "test", "test-slow", "bench", "bench-gpu", "lint", "clean"}
    mentioned = re.compile(r"(?:^ {4}|`)make ([a-z-]+)", re.MULTILINE)
    assert {target for document in DOCUMENTS for target in mentioned.findall((ROOT / document).read_text())} <= listed
