"""Every command that a document tells: bash reads it as it is written, and what it names is there."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path
from textwrap import indent

import pytest
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig

from launcher.capture import in_full
from launcher.composition import plain_values, without_effect
from launcher.mistakes import config_loader, given_keys
from launcher.study import run_config
from launcher.sweep import with_action
from pointrad.capturing.config import CapturingConfig
from pointrad.config import CorruptionsConfig, InspectConfig, RepairConfig, RunConfig, SplatsConfig
from pointrad.finished.config import CompareConfig, EvaluateConfig, RenderConfig, ViewConfig
from pointrad.schema import Config
from pointrad.study.config import SweepConfig

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("pointrad/demo_*/README.md"))
)
PROGRAMS = ("python", ".venv/bin/python", "make", "pytest", "wandb", "eval", "apt-get", "tools/local_slurm", "pip")
TRAINING = ("configuration", "corruption", "robustness", "options", "cluster", "wandb", "gpu", "studies", "plugins")
OPERATORS = {"|", ">", "&&", "||", ";"}
BEGINS = "|".join(map(re.escape, PROGRAMS))
CONFIGS: dict[str, type[Config]] = {
    "train": RunConfig,
    "inspect_capture": InspectConfig,
    "corruptions": CorruptionsConfig,
    "splats": SplatsConfig,
    "repair": RepairConfig,
    "view": ViewConfig,
    "render": RenderConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "capture": CapturingConfig,
}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@dataclass(frozen=True)
class Command:
    """A line of a document, and the words that it is without what bash expands."""

    line: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return self.line


def commands(document: str) -> list[Command]:
    """Those in blocks, indented or fenced, and those in the running text and in tables."""
    text = re.sub(r"\\\n\s*", "", (ROOT / document).read_text())
    blocks = re.sub(r"^```.*?^```", lambda block: indent(block[0], " " * 4), text, flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(rf"^ {{4,}}(?:\$ )?((?:{BEGINS}) .*)$", blocks, re.MULTILINE)
    lines += re.findall(rf"(?<!`)`((?:{BEGINS}) [^`\n]+)`", text)
    return [Command(line, tuple(shlex.split(line, comments=True))) for line in lines]


def as_bash_reads(found: list[Command]) -> list[tuple[str, ...]]:
    """The words that bash makes of each, where it is pasted into the project's folder."""
    script = "".join(f"printf '%s\\0' {command.line}\nprintf '\\n'\n" for command in found)
    done = subprocess.run(["bash", "-e", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return [tuple(line.split("\0")[:-1]) for line in done.stdout.splitlines()]


def runs_something_itself(command: Command) -> bool:
    return "$(" in command.line or not OPERATORS.isdisjoint(command.words)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_bash_gives_each_command_the_words_that_are_written(document: str) -> None:
    """Braces are not expanded and no pattern finds files: those of wandb's own, which are to, find none here."""
    found = [command for command in commands(document) if not runs_something_itself(command)]
    assert as_bash_reads(found) == [command.words for command in found]


def test_a_brace_that_bash_expands_is_seen() -> None:
    line = "python sweep.py study.seeds={seed:[0],corruption.seed:[42]}"
    assert as_bash_reads([Command(line, ())]) != [tuple(shlex.split(line))]


@pytest.fixture(scope="module")
def loader() -> ConfigLoader:
    return config_loader()


@pytest.mark.integration  # Hydra composes each
@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_command_names_what_is_there(document: str, loader: ConfigLoader) -> None:
    for command in commands(document):
        try:
            check(tuple(takewhile(lambda word: word not in OPERATORS, command.words)), loader)
        except Exception as error:
            pytest.fail(f"{command}: {error}")


@pytest.mark.parametrize(
    ("script", "documents"),
    [
        ("train.py", ["README.md", *(f"docs/{name}.md" for name in TRAINING)]),
        ("sweep.py", ["README.md", "docs/studies.md", "docs/cluster.md", "docs/robustness.md"]),
        ("corruptions.py", ["docs/corruption.md"]),
        ("splats.py", ["docs/gaussians.md"]),
        ("repair.py", ["docs/masks.md", "README.md"]),
        ("capture.py", ["docs/captures.md", "README.md"]),
        ("runs.py", ["docs/runs.md"]),
        ("inspect_capture.py", ["README.md", "docs/captures.md"]),
    ],
)
def test_the_commands_of_a_document_are_found(script: str, documents: list[str]) -> None:
    for document in documents:
        assert any(command.words[:2] == ("python", script) for command in commands(document)), document


def test_the_site_leads_to_every_page_of_the_docs() -> None:
    listed = (ROOT / "mkdocs.yml").read_text()
    assert [path.name for path in ROOT.glob("docs/*.md") if f"docs/{path.name}\n" not in listed] == []


@pytest.mark.integration
def test_the_site_is_built_and_none_of_its_links_leads_nowhere() -> None:
    installed = [word for stamp in ("runtime", "dev") for word in ("-o", f".venv/.stamp-{stamp}")]
    done = subprocess.run(["make", *installed, "docs"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    site = ROOT / "build" / "site"
    assert (site / "docs" / "plugins" / "index.html").is_file()
    styles = re.findall(r'href="([^"]+[.]css)"', (site / "index.html").read_text())
    assert styles
    assert [name for name in styles if not (site / name).is_file()] == []


@pytest.mark.parametrize("document", ["README.md", "docs/options.md", "docs/robustness.md", "docs/renderer.md"])
def test_commands_that_reproduce_published_figures_read_colours_as_published(document: str) -> None:
    reproducing = [command.words for command in commands(document) if "eval.split=paper" in command.words]
    assert reproducing
    assert all("dataset.background=published" in words for words in reproducing)


def check(words: tuple[str, ...], loader: ConfigLoader) -> None:
    match words:
        case (
            "python" | ".venv/bin/python",
            (
                "train.py"
                | "sweep.py"
                | "corruptions.py"
                | "splats.py"
                | "repair.py"
                | "capture.py"
                | "inspect_capture.py"
            ) as script,
            *arguments,
        ):
            check_configuration(script.removesuffix(".py"), arguments, loader)
        case ("python", "runs.py", *arguments):
            check_finished(arguments, loader)
        case ("python" | ".venv/bin/python", "-m", module, *_):
            assert find_spec(module), module
        case ("python" | ".venv/bin/python", "-c" | "main.py", *_):  # main.py is the published program
            pass
        case ("python" | ".venv/bin/python" | "eval" | "tools/local_slurm", *_):
            path = next(
                word for word in re.split(r"[\s\"$()]+", " ".join(words)) if "/" in word or word.endswith(".py")
            )
            assert (ROOT / path).exists(), path
        case ("make", *targets):
            assert {target for target in targets if "=" not in target} <= TARGETS
        case ("pytest", *arguments):
            assert all((ROOT / path).exists() for path in arguments if "/" in path)


def check_configuration(name: str, arguments: list[str], loader: ConfigLoader) -> None:
    if "..." in arguments:
        return
    words = with_action(arguments) if name == "sweep" else in_full(arguments) if name == "capture" else arguments
    asked = get_args_parser().parse_args(words)
    if asked.help or asked.config_dir:  # tests/test_plugins.py calls commands that have files of the user's
        return
    overrides = [one_value(word, loader) for word in asked.overrides]
    composed = loader.load_configuration(name, overrides, RunMode.RUN)
    assert isinstance(composed, DictConfig)
    values = plain_values(composed)
    match name:
        case "sweep":
            SweepConfig.parse({key: values[key] for key in SweepConfig.model_fields})
            if values["action"] == "run":
                run_config(composed)
        case _ if arguments:  # else it names the program
            idle = CONFIGS[name].parse(values).idle()
            assert asked.multirun or without_effect(idle, given_keys(overrides)) == []


def check_finished(arguments: list[str], loader: ConfigLoader) -> None:
    """Of `runs.py COMMAND RUN ... KEY=VALUE ...`; the keys of `rerun` are those of a run."""
    command, *words = arguments or ["--help"]
    values = [word for word in words if not word.startswith(("RUN", "outputs/"))]
    runs = [f"runs=[{','.join(word for word in words if word not in values)}]"]
    match command:
        case "--help":
            assert not words
        case "rerun":
            check_configuration("train", values, loader)
        case _:
            check_configuration(command, [*runs, *values], loader)


def one_value(word: str, loader: ConfigLoader) -> str:
    """The first of several values that -m tries."""
    override = OverridesParser.create(config_loader=loader).parse_override(word)
    if not (override.is_sweep_override() and override.is_discrete_sweep()):
        return word
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"
