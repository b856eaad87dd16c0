"""How commands start: what they answer at once, and what they say of a wrong command line."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from launcher import entry, help
from launcher.mistakes import config_loader, explained, missing_choices
from launcher.sweep import with_action
from pointrad import __version__
from pointrad.errors import UserError
from tests.runs import REPOSITORY

SLOW_TO_IMPORT = ("torch", "numba", "scipy", "matplotlib", "pandas", "wandb", "submitit", "optuna", "skimage")
CALL = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("imported:", *sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.integration
@pytest.mark.parametrize(
    ("command", "answer", "code"),
    [
        ("train.py --help", "init:", 0),
        ("train.py corruption.levle=0.1", "did you mean corruption.level?", 1),
        ("train.py -sc query=bash", "schedule", 0),
        ("sweep.py --help", "study=NAME", 0),
        ("sweep.py", "study: not given", 1),
        ("sweep.py stauts study=smoke", "did you mean status?", 1),
        ("corruptions.py --help", "matched_iou", 0),
        ("repair.py --help", "max_size", 0),
        ("runs.py --help", "rerun", 0),
        ("runs.py -sc query=bash", "", 0),
        ("runs.py render --help", "elevation_degrees", 0),
        ("runs.py evaluate nowhere", "found no config.yaml", 1),
        ("inspect_capture.py --help", "max_size", 0),
        ("train.py --version", f"pointrad {__version__}", 0),
        ("train.py --config-path x --help", "--config-path: found x; expected --config-dir", 1),
    ],
)
def test_an_answer_waits_for_no_library(command: str, answer: str, code: int, tmp_path: Path) -> None:
    script, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, "-c", CALL, str(REPOSITORY / script), *arguments],
        cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(REPOSITORY), "COMP_LINE": f"python {script} sch", "PATH": ""},
    )  # fmt: skip
    said, _, imported = done.stderr.partition("imported:")
    modules, _, last_words = imported.partition("\n")  # of a SystemExit
    assert (done.returncode, answer in done.stdout + said + last_words) == (code, True)
    assert "pointrad" in modules.split()
    assert [library for library in SLOW_TO_IMPORT if library in modules.split()] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("seed=1 -m init=hull", "-m seed=1 init=hull"),
        ("a=1 --config-dir conf b=2 --cfg job c=3", "--config-dir conf --cfg job a=1 b=2 c=3"),
        ("--config-dir a=1 a=1", "--config-dir a=1 a=1"),
        ("-m", "-m"),
    ],
)
def test_options_may_stand_anywhere(given: str, read: str) -> None:
    assert entry.options_first(given.split()) == read.split()


def test_no_garbage_is_looked_for_while_libraries_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = gc.get_freeze_count()
    with entry.loading_libraries():  # torch is there already
        assert gc.isenabled()
    assert gc.get_freeze_count() == kept
    monkeypatch.delitem(sys.modules, "torch")
    with entry.loading_libraries():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > kept
    gc.unfreeze()


@pytest.fixture(scope="module")
def loader() -> ConfigLoader:
    """Which composes each configuration once."""
    loader = config_loader()
    compose, known = loader.load_configuration, dict[Any, Any]()

    def once(config_name: str | None, overrides: list[str], run_mode: RunMode) -> Any:
        key = config_name, *overrides, run_mode
        if key not in known:
            known[key] = compose(config_name, overrides, run_mode)
        return known[key]

    loader.load_configuration = once  # type: ignore[method-assign, assignment]
    return loader


def told(loader: ConfigLoader, config: str, *overrides: str) -> str:
    """What is said of a command line that Hydra refuses."""
    with pytest.raises((HydraException, OmegaConfBaseException)) as caught:
        loader.load_configuration(config, list(overrides), RunMode.RUN)
    return explained(caught.value, loader, config, overrides)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corruption.levle=0.1", "corruption.levle: no such key; did you mean corruption.level?"),
        ("corrupton.level=0.1", "corrupton.level: no such key; did you mean corruption.level?"),
        ("lattice=100", "lattice: no such key; did you mean init.lattice?"),
        ("level=0.1", "level: no such key; did you mean corruption.level?"),
        ("inti=hull", "inti: no such key; did you mean init?"),
        ("~sede", "sede: no such key; did you mean seed?"),
        ("init.consistency=0.9", "no such key with init=adaptive; it needs init=hull or init=soft_hull"),
        ("schedule.stages.spread.epochs=1", "; it needs schedule=fast or schedule=pretraining_fast or "),
        ("hydra.launcher.n_jobs=2", "no such key with hydra/launcher=basic; it needs hydra/launcher=joblib"),
        ("corruption=affin", "corruption: found 'affin'; expected one of affine, boundary, dropout, holes, "),
        ("corruption=affin", "; did you mean affine?"),
        ("hydra/launcher=slrum", "; did you mean slurm?"),
        ("tune=hull_and_radius", "tune: nothing is chosen of it that could be replaced; add it: +tune=hull_and_radius"),
        ("+seed=1", "seed: there is such a key; without the +: seed=1"),
        ("seed=1,2", "seed: found several values (1,2); with -m each is a run, and [1,2] is one list"),
        ("hotdog", "hotdog: found a word; expected KEY=VALUE or GROUP=OPTION"),
        ("dataset.root={a", "dataset.root={a: cannot be read; a value with special characters is quoted twice"),
        ("qwertyuiop=1", "qwertyuiop: no such key; --help shows the valid ones"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_told_in_one_line(override: str, message: str, loader: ConfigLoader) -> None:
    found = told(loader, "train", override)
    assert message in found
    assert "\n" not in found


def test_every_wrong_override_is_told(loader: ConfigLoader) -> None:
    assert told(loader, "train", "corruption.levle=1", "seed=3", "sede=2").splitlines() == [
        "corruption.levle: no such key; did you mean corruption.level?",
        "sede: no such key; did you mean seed?",
    ]


def test_a_key_of_a_chosen_option_is_known(loader: ConfigLoader) -> None:
    assert told(loader, "train", "init=hull", "init.consistency=0.9", "init.latice=9") == (
        "init.latice: no such key; did you mean init.lattice?"
    )


def test_a_study_is_told_by_its_names_and_a_missing_one_by_its_questions(loader: ConfigLoader) -> None:
    assert "did you mean smoke?" in told(loader, "sweep", "study=smoek")
    (message,) = missing_choices(loader, "sweep", ["retry=failed"])
    assert missing_choices(loader, "sweep", ["study=smoke"]) == []
    assert message.startswith("study: not given; expected study=NAME, one of\n")
    assert "  smoke                  Does the machinery work?" in message.splitlines()


def test_a_key_that_an_axis_lacks_is_told(loader: ConfigLoader) -> None:
    assert told(loader, "sweep", "study=smoke", "study.axes.level={corruption.levle:[0]}") == (
        "study.axes.level: no such key in it: corruption.levle; did you mean corruption.level?"
    )


def test_a_mapping_that_takes_the_place_of_null_or_of_a_number_is_no_mistake(loader: ConfigLoader) -> None:
    masks, share = "study.masks={supplied:masks,mine:segmenter}", "init.kept_share={points:9,of:hull}"
    assert told(loader, "sweep", "study=real_masks", masks, share, "study.folder=here") == (
        "study.folder: no such key; did you mean study.dir?"
    )


def test_what_has_no_better_words_is_in_hydras(loader: ConfigLoader) -> None:
    found = told(loader, "train", "hydra/launcher=joblib", "hydra.launcher.n_jobs=two")
    assert "hydra.launcher.n_jobs=two" in found
    assert "could not be converted to Integer" in found
    assert "object_type" not in found


class TestHelp:
    def test_has_every_key_with_its_comment_and_the_choices_made(self, loader: ConfigLoader) -> None:
        shown = help.text(loader, "train", ["init=soft_hull", "seed=7"]).splitlines()
        assert "init: adaptive, hull, random, soft_hull" in shown
        assert any(line.startswith("# The report's fix for wrong masks: a hull that a tenth ") for line in shown)
        assert any(line.startswith("  consistency: 0.9 # a point is kept if ") for line in shown)
        assert "seed: 7 # of everything random but the corruption, which has a seed of its own" in shown
        assert any(line.startswith("      lr_decay: 0.8 # of ") for line in shown)

    def test_of_a_command_without_groups_offers_none(self, loader: ConfigLoader) -> None:
        assert "GROUP=OPTION" not in help.text(loader, "capture", [])

    def test_shows_each_comment_once(self, loader: ConfigLoader) -> None:
        shown = help.text(loader, "train", [])
        assert shown.count("# frames: 0 for none") == 1

    def test_without_a_study_shows_those_there_are_and_the_keys_of_the_command_alone(
        self, loader: ConfigLoader
    ) -> None:
        shown = help.text(loader, "sweep", [])
        assert "  smoke                  Does the machinery work?" in shown.splitlines()
        assert "retry: none # none | failed: runs that failed run again" in shown
        assert "lattice" not in shown

    def test_with_a_study_shows_its_keys(self, loader: ConfigLoader) -> None:
        assert "  question: Does every part of a study work?" in help.text(loader, "sweep", ["study=smoke"])


class TestTheWordsOfSweep:
    def test_an_action_stands_alone(self) -> None:
        assert with_action(["status", "study=smoke"]) == ["action=status", "study=smoke"]
        assert with_action(["study=smoke", "-m", "--cfg", "job"]) == ["study=smoke", "-m", "--cfg", "job"]

    def test_a_misspelt_action_is_told(self) -> None:
        with pytest.raises(UserError, match=r"stauts: found no action; .*cancel; did you mean status\?"):
            with_action(["study=smoke", "stauts"])

    def test_two_actions_are_refused(self) -> None:
        with pytest.raises(UserError, match=r"status report: found 2 actions; expected one"):
            with_action(["status", "study=smoke", "report"])


@pytest.mark.parametrize(
    ("config", "words", "message"),
    [
        (
            "train",
            ["-m", "hydra.run.dir=x"],
            r"hydra\.run\.dir: has no effect with -m; expected hydra\.sweep\.dir=FOLDER",
        ),
        (
            "train",
            ["hydra.sweep.dir=x"],
            r"hydra\.sweep\.dir: has no effect without -m; expected hydra\.run\.dir=FOLDER",
        ),
        (
            "train",
            ["hydra.sweep.subdir=x"],
            r"hydra\.sweep\.subdir: has no effect without -m; expected hydra\.run\.dir=FOLDER",
        ),
        ("sweep", ["hydra.run.dir=x"], r"hydra\.run\.dir: has no effect for sweep\.py; expected study\.dir=FOLDER"),
        ("sweep", ["hydra.sweep.subdir=x"], r"hydra\.sweep\.subdir: has no effect for sweep\.py; expected study\.dir="),
    ],
)
def test_a_folder_that_would_be_ignored_is_refused(config: str, words: list[str], message: str) -> None:
    from hydra._internal.utils import get_args_parser

    with pytest.raises(UserError, match=message):
        entry.refuse_folders_without_effect(config, get_args_parser().parse_args(words))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hydra.run.dir=~/x", "hydra.run.dir=HOME/x"),
        ("reuse=[~/a,~/b]", "reuse=[HOME/a,HOME/b]"),
        ("dataset.root='~/my data'", "dataset.root='HOME/my data'"),
        ("study.dir=~", "study.dir=HOME"),
        ("~models.affine", "~models.affine"),
        ("scene.name=a~b", "scene.name=a~b"),
    ],
)
def test_a_tilde_is_the_home_folder(word: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "HOME")
    assert entry.with_home(word) == expected


def test_what_a_file_system_refuses_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    long = tmp_path / ("x" * 300)
    for folder, told in [
        (tmp_path / "file" / "run", f"Error: {tmp_path / 'file'}: found a file; expected a folder, to hold "),
        (tmp_path / "file", f"Error: {tmp_path / 'file'}: found a file; expected a folder"),
        (long, f"Error: {'x' * 60}...: a name of 300 characters; "),
    ]:
        with pytest.raises(SystemExit) as ended, entry.telling_errors():
            folder.mkdir()
        assert str(ended.value.code).startswith(told)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "no", "/x"), "/x: this user may not read or write it"),
        (OSError(30, "no", "/x"), "/x: cannot be written, its file system is read-only"),
    ],
)
def test_a_folder_that_may_not_be_written_is_told(error: OSError, told: str) -> None:
    with pytest.raises(SystemExit, match=told), entry.telling_errors():
        raise error


def test_a_bug_keeps_its_traceback() -> None:
    for bug in (ZeroDivisionError(), OSError(5, "input/output error")):
        with pytest.raises(type(bug)), entry.telling_errors():
            raise bug


def test_the_command_that_goes_on_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Any] = ["python", "train.py", "-m", "artifacts.views=[0]", "init.bounds=[0, 1]", "hydra.sweep.dir=old"]
    monkeypatch.setattr(sys, "orig_argv", given)
    entry.tell_how_to_go_on({"hydra.sweep.dir": "my folder"})
    command = capsys.readouterr().err.splitlines()[-1].strip()
    words = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines() == [*given[:-1], "hydra.sweep.dir=my folder"]
