"""What is written twice must agree: versions, keys and commands in the documents, the Makefile's help."""

from __future__ import annotations

import re
import subprocess
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from pointrad.bundled import CONFIG_FOLDER, DEMO_FOLDER
from pointrad.schema import OneOf
from pointrad.training.config import LossConfig, Operation
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
PAGES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
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


@pytest.mark.parametrize("name", sorted(path.name for path in ROOT.glob("requirements*.txt")))
def test_every_requirement_is_pinned_exactly(name: str) -> None:
    own = [line for line in _requirements(name) if not line.startswith("-r ")]
    assert own
    for line in own:
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[0-9][A-Za-z0-9.]*", line), line


def test_no_package_is_pinned_twice() -> None:
    names = [
        re.split(r"[\[=]", line)[0].lower()
        for file in ROOT.glob("requirements*.txt")
        for line in _requirements(file.name)
        if not line.startswith("-r ")
    ]
    assert sorted(names) == sorted(set(names))


def test_pyproject_takes_its_dependencies_from_requirements() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "dependencies" not in settings["project"]
    assert "dependencies" in settings["project"]["dynamic"]
    dynamic = settings["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"] == {"file": ["requirements.txt"]}
    assert dynamic["optional-dependencies"] == {
        "capture": {"file": ["requirements-capture.txt"]},
        "gsplat": {"file": ["requirements-gsplat.txt"]},
        "view": {"file": ["requirements-view.txt"]},
    }


def test_what_lies_beside_the_code_is_in_the_package() -> None:
    assert (CONFIG_FOLDER / "train.yaml").samefile(ROOT / "conf" / "train.yaml")
    assert (DEMO_FOLDER / "transforms_train.json").is_file()
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["pointrad"]
    packed = {path for pattern in patterns for path in (ROOT / "pointrad").glob(pattern)}
    assert {ROOT / "pointrad" / path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")} <= packed


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


def test_configuration_document_lists_every_loss_and_operation_with_its_values() -> None:
    known = {
        name: {*kind.model_fields} - {key}
        for key, union in (("name", LossConfig), ("op", Operation))
        for name, kind in OneOf(key).named(get_args(get_args(union)[0])).items()
    }
    assert rows_of_codes("Stages and operations") == known


def test_cluster_document_lists_every_launcher_profile() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text()
    for path in (ROOT / "conf" / "hydra" / "launcher").glob("*.yaml"):
        assert f"\n| `{path.stem}` | " in text


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


@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "conf" / "corruption").glob("*.yaml")))
def test_every_corruption_is_described_and_on_the_sheet(model: str) -> None:
    if model != "none":
        assert f"\n| `{model}` | " in (ROOT / "docs" / "corruption.md").read_text()
        assert f"corruption@models.{model}: {model}" in (ROOT / "conf" / "corruptions.yaml").read_text()


@pytest.mark.parametrize("document", PAGES)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link, heading in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", path.read_text()):
        if not link.startswith("http"):
            target = path.parent / link if link else path
            assert target.exists(), link
            assert not heading or heading in _anchors(target.read_text()), f"{link}#{heading}"


def _anchors(text: str) -> set[str]:
    """Those that GitHub gives the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_nothing_refers_to_a_specification_that_is_not_here() -> None:
    found = subprocess.run(
        ["git", "grep", "-nEi", r"spec(ification)?('s)?[,.]? +sections? [0-9]", "--", "*.py", "*.yaml", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""


def test_make_help_lists_every_documented_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^make (\S+)", done.stdout, re.MULTILINE))
    running = {"help", "demo", "bench", "bench-gpu", "clean"}
    checks = {"check", "check-gsplat", "lint", "test", "test-installed", "test-slow"}
    assert listed == running | checks | {"install", "docs", "lpips"}
    mentioned = re.compile(r"(?:^ {4}|`)make ([a-z-]+)", re.MULTILINE)
    assert {target for document in DOCUMENTS for target in mentioned.findall((ROOT / document).read_text())} <= listed
