"""`runs.py`, and `pointrad-runs` where pointrad is installed: a command for each thing one does with finished runs."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from launcher.entry import job, start, telling_errors
from launcher.train import train
from pointrad.errors import UserError, did_you_mean
from pointrad.run.status import CONFIG_FILE

# The groups of a run's configuration that may be chosen anew, and those on which others' values depend.
_STAND_ALONE = {"masks", "corruption", "init", "renderer", "schedule", "tracker"}
_DECIDE_ON_OTHERS = ("scene", "dataset", "model")


@dataclass(frozen=True)
class _Command:
    """work: what it does with its configuration. runs: how many it takes, in words."""

    summary: str
    usage: str
    work: Callable[[Any], Any]
    most: int | None = 1
    least: int = 1


def main() -> None:
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return
    if words[0] in ("-sc", "--shell-completion"):
        _complete()
        return
    with telling_errors():
        name, command = _chosen(words[0])
        runs, rest = _split(words[1:])
        if "--help" not in rest and "-h" not in rest:
            _check(name, command, runs)
    if name == "rerun":
        with telling_errors():
            given = _recorded(runs, rest)
    else:
        given = [f"runs=[{','.join(map(_quoted, runs))}]"] if runs else []
    sys.argv[1:] = [*given, *rest]
    start(name, command.work)


def view(composed: Any) -> None:
    """Show finished runs in a browser."""
    job(lambda _: _view(composed))


def render(composed: Any) -> None:
    """Render a finished run along a path."""
    job(lambda folder: _render(composed, folder))


def evaluate(composed: Any) -> None:
    """Score a finished run on a split."""
    job(lambda folder: _evaluate(composed, folder))


def compare(composed: Any) -> None:
    """Compare finished runs of one scene."""
    job(lambda folder: _compare(composed, folder))


_COMMANDS = {
    "view": _Command("one run or several side by side, in the browser", "RUN", view, most=None),
    "render": _Command("images and videos along a path: colour, depth, opacity", "RUN path=spiral", render),
    "evaluate": _Command("scores on another split, kept beside the run's own", "RUN eval.split=val", evaluate),
    "compare": _Command("a table and pictures of several runs", "RUN RUN ...", compare, most=None, least=2),
    "rerun": _Command("the same run again, from its config.yaml, with other values", "RUN seed=1", train),
}


def _overview() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in _COMMANDS.items()]
    usages = [f"  python runs.py {name} {command.usage}" for name, command in _COMMANDS.items()]
    return "\n".join(
        [
            "Look at runs that are done, score them anew and repeat them. RUN is a run's folder.",
            "",
            *lines,
            "",
            *usages,
            "",
            "`python runs.py COMMAND --help` shows all keys of a command.",
        ]
    )


def _complete() -> None:
    """Answer Tab: which commands there are, or, by Hydra, which keys the one has that the line names."""
    _, *typed = os.environ.get("COMP_LINE", "").removeprefix("python ").split(" ")
    if len(typed) == 1:
        print(" ".join(name for name in _COMMANDS if name.startswith(typed[0])))
    elif not typed or typed[0] in _COMMANDS:  # without a line, the shell asks how to ask
        name, *words = typed or ["rerun"]
        runs = [word for word in words[:-1] if not _is_override(word)]
        os.environ["COMP_LINE"] = " ".join(["runs.py", *(word for word in words if word not in runs)])
        if name == "rerun":
            with suppress(UserError), redirect_stderr(StringIO()):
                _recorded([run for run in runs if (Path(run) / CONFIG_FILE).is_file()][:1], [])
        start(name, _COMMANDS[name].work)


def _chosen(word: str) -> tuple[str, _Command]:
    if word not in _COMMANDS:
        hint = did_you_mean(word, _COMMANDS)
        raise UserError(f"runs.py: found {word!r}; expected one of {', '.join(_COMMANDS)}{hint}")
    return word, _COMMANDS[word]


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """The folders that the line begins with, and the rest, which is Hydra's."""
    count = next((n for n, word in enumerate(words) if word.startswith("-") or _is_override(word)), len(words))
    return [str(Path(word).expanduser()) for word in words[:count]], words[count:]


def _recorded(runs: list[str], words: list[str]) -> list[str]:
    """Let conf/rerun.yaml have the configuration of the run, if there is one, without the groups that `words` choose
    from; returns what more is to be chosen. Raises UserError for groups that decide on others.

    A model may set values of the start, which a start that is chosen anew has as well; and a schedule may choose a
    model, where none is chosen.
    """
    from hydra.core.config_store import ConfigStore

    from pointrad.run.recorded import recorded_values

    chosen = {word.partition("=")[0].lstrip("+") for word in words if "=" in word}
    for group in _DECIDE_ON_OTHERS:
        if group in chosen:
            raise UserError(
                f"{group}: found another one for a run whose values are written out; expected the command for train.py"
            )
    values = recorded_values(Path(runs[0])) if runs else {}
    left = {key: part for key, part in values.items() if key not in chosen & _STAND_ALONE}
    ConfigStore.instance().store("recorded", left)
    return [f"model={values['model']['name']}"] if runs and chosen & {"init", "schedule"} else []


def _is_override(word: str) -> bool:
    return "=" in word and not Path(word).exists()


def _check(name: str, command: _Command, runs: list[str]) -> None:
    """Before Hydra makes a folder for the results."""
    if len(runs) < command.least or (command.most is not None and len(runs) > command.most):
        expected = "one run's folder" if command.most == 1 else f"at least {command.least} runs' folders"
        found = ", ".join(runs) or "none"
        raise UserError(f"runs.py {name}: found {found}; expected {expected}: python runs.py {name} {command.usage}")
    for run in runs:
        if not (Path(run) / CONFIG_FILE).is_file():
            raise UserError(f"{run}: found no {CONFIG_FILE}; expected the folder of a run")


def _quoted(path: str) -> str:
    """As a value in the grammar of Hydra's overrides."""
    escaped = path.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _view(composed: Any) -> None:
    from launcher.composition import checked
    from pointrad.finished.config import ViewConfig
    from pointrad.progress import announce

    config = checked(ViewConfig, composed)
    if find_spec("viser") is None:
        raise UserError(
            "the package viser is not installed; expected it: pip install --requirement requirements-view.txt, "
            "or pip install 'pointrad[view]'"
        )
    announce(f"Loading {', '.join(map(str, config.runs))}")
    from pointrad.finished.view import shown
    from pointrad.render.cpu.points import set_threads

    set_threads(config.threads)
    with shown(config) as viewer:
        port = viewer.server.get_port()
        print(f"Open http://localhost:{port} (Ctrl-C ends)", flush=True)
        tunnel = f"ssh -L {port}:localhost:{port} {platform.node()}"
        print(f"From another machine: {tunnel}, then the same address there", flush=True)
        with suppress(KeyboardInterrupt):
            viewer.server.sleep_forever()


def _render(composed: Any, folder: Path) -> None:
    from launcher.composition import checked
    from pointrad.finished.config import RenderConfig
    from pointrad.progress import announce

    config = checked(RenderConfig, composed)
    announce(f"{config.runs[0]}: loading")
    from pointrad.finished.load import load_run
    from pointrad.finished.render import render
    from pointrad.render.cpu.points import set_threads

    set_threads(config.threads)
    render(load_run(config.runs[0]), config, folder)
    print(f"Videos: {folder}")


def _evaluate(composed: Any, folder: Path) -> None:
    from launcher.composition import checked
    from launcher.splats import told
    from pointrad.finished.config import EvaluateConfig
    from pointrad.progress import announce

    config = checked(EvaluateConfig, composed)
    announce(f"{config.runs[0]}: loading")
    from pointrad.finished.evaluate import evaluate_run
    from pointrad.finished.load import load_run
    from pointrad.render.cpu.points import set_threads

    set_threads(config.threads)
    print(told(evaluate_run(load_run(config.runs[0]), config, folder).means))
    print(f"Scores: {folder}")


def _compare(composed: Any, folder: Path) -> None:
    from launcher.composition import checked
    from pointrad.finished.config import CompareConfig
    from pointrad.progress import announce

    config = checked(CompareConfig, composed)
    announce(f"Loading {len(config.runs)} runs")
    from pointrad.finished.compare import compare, told
    from pointrad.finished.load import load_runs
    from pointrad.render.cpu.points import set_threads

    set_threads(config.threads)
    print(told(compare(load_runs(config.runs), config, folder)))
    print(f"Table and pictures: {folder}")
