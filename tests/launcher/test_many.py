"""Jobs of one command: paths mean the same in each, and what becomes of all is told at the end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from launcher import entry
from launcher.many import FAILURES_FILE, Failure, failures, note
from pointrad.errors import UserError
from tests.commands import call

pytestmark = pytest.mark.integration  # whole commands, each of which has Hydra compose its jobs

Start = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are called from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Calls a command in this process: its work on each job, and the words of its command line; its exit code."""

    def start(work: Callable[[Any, Path], Any], *words: str) -> int:
        main = partial(entry.start, "train", lambda composed: entry.job(lambda folder: work(composed, folder)))
        return call(main, monkeypatch, "train.py", *words)

    return start


def fails_for_odd_seeds(composed: Any, folder: Path) -> float:
    if composed.seed == 1:
        raise UserError("seed: found 1; expected an even one")
    if composed.seed == 3:
        raise ZeroDivisionError("odd")
    (folder / "done").touch()
    return 1.0


@pytest.mark.parametrize("chdir", ["true", "false"])
def test_relative_paths_are_below_where_the_command_was_started(chdir: str, start: Start, folder: Path) -> None:
    seen: list[tuple[Path, Path]] = []

    def look(composed: Any, run_dir: Path) -> None:
        seen.append((Path.cwd(), run_dir))

    assert start(look, f"hydra.job.chdir={chdir}", "hydra.run.dir=runs/a") == 0
    assert start(look, "-m", f"hydra.job.chdir={chdir}", "hydra.sweep.dir=runs/b") == 0
    assert seen == [(folder, folder / "runs" / "a"), (folder, folder / "runs" / "b" / "0")]


class TestJobsThatFail:
    WORDS = ("-m", "seed=0,1,2,3", "hydra.sweep.dir=sweep", "threads=1")

    @pytest.mark.parametrize("more", [(), ("hydra.sweeper.max_batch_size=1",)], ids=["all at once", "in batches"])
    def test_are_told_at_the_end_keep_no_other_from_running_and_are_forgotten_by_the_next_call(
        self, more: tuple[str, ...], start: Start, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert start(fails_for_odd_seeds, *self.WORDS, *more) == 1
        assert sorted(path.parent.name for path in folder.glob("sweep/*/done")) == ["0", "2"]
        told = capsys.readouterr().err.split("2 jobs failed:\n")[1].splitlines()
        assert told[:4] == [
            f"  {folder / 'sweep' / '1'} seed=1",
            "    seed: found 1; expected an even one",
            f"  {folder / 'sweep' / '3'} seed=3",
            "    ZeroDivisionError: odd",
        ]
        assert start(fails_for_odd_seeds, "-m", "seed=0", "hydra.sweep.dir=sweep") == 0
        assert len(failures(folder / "sweep")) == 2

    def test_leave_no_warning_where_there_can_be_no_folder(
        self, start: Start, folder: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
    ) -> None:
        (folder / "file").touch()
        assert start(fails_for_odd_seeds, "-m", "seed=0,1", "hydra.sweep.dir=file/sweep") == 1
        assert capsys.readouterr().err == "Error: file: found a file; expected a folder, to hold file/sweep\n"
        assert [str(warning.message) for warning in recwarn if "Callback" in str(warning.message)] == []

    def test_are_told_in_the_order_of_their_folders_with_their_tracebacks(self, tmp_path: Path) -> None:
        for number in ("10", "9"):
            note(tmp_path, Failure(str(tmp_path / number), ["seed=1", "threads=1"], "one\ntwo"))
        (tmp_path / "9").mkdir()
        (tmp_path / "9" / "traceback.txt").touch()
        first, second = failures(tmp_path)
        assert first.told(["threads=1"]).splitlines() == [
            f"  {tmp_path / '9'} seed=1", "    one", "    two", f"    ({tmp_path / '9' / 'traceback.txt'})",
        ]  # fmt: skip
        assert second.folder == str(tmp_path / "10")

    def test_are_told_around_a_line_of_which_a_kill_left_half(self, tmp_path: Path) -> None:
        path = tmp_path / FAILURES_FILE
        path.write_text('{"folder": "0", "over')
        assert failures(tmp_path) == []
        for number in ("1", "2"):  # the first of them goes on in the half line
            note(tmp_path, Failure(number, [], "broke"))
        assert [failure.folder for failure in failures(tmp_path)] == ["2"]

    def test_one_alone_ends_with_its_sentence(self, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
        assert start(fails_for_odd_seeds, "seed=1", "hydra.run.dir=run") == 1
        assert capsys.readouterr().err == "Error: seed: found 1; expected an even one\n"


class TestCtrlC:
    def stop(self, composed: Any, folder: Path) -> None:
        raise KeyboardInterrupt

    def test_says_a_command_that_goes_on_in_the_same_folder(
        self, start: Start, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert start(self.stop, "-m", "seed=0,1", "artifacts.views=[0]") == 130
        command = shlex.split(capsys.readouterr().err.splitlines()[-2])
        assert command[:5] == ["python", "train.py", "-m", "seed=0,1", "artifacts.views=[0]"]
        assert re.fullmatch(r"hydra\.sweep\.dir=outputs/multirun/[\d_-]+", command[-1])
        assert start(fails_for_odd_seeds, *command[2:]) == 1
        assert [path.parent.name for path in folder.glob("outputs/multirun/*/*/done")] == ["0"]

    def test_tells_of_the_jobs_that_had_failed(self, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
        def stop_or_fail(composed: Any, folder: Path) -> None:
            fails_for_odd_seeds(composed, folder) if composed.seed else self.stop(composed, folder)

        assert start(stop_or_fail, "-m", "seed=1,0", "hydra.sweep.dir=sweep") == 130
        assert "1 job failed:" in capsys.readouterr().err


@pytest.mark.integration
class TestASearch:
    """With Optuna, a failed trial is one, and the search goes on."""

    WORDS = ("-m", "+tune=hull_and_radius", "hydra.sweep.dir=search", "hydra.sweeper.n_trials=3")

    def test_ends_with_the_best_of_the_others(self, start: Start, folder: Path) -> None:
        assert start(fails_for_odd_seeds, *self.WORDS, "hydra.sweeper.sampler.seed=0", "seed=choice(0,1)") == 1
        assert "best_value: 1.0" in (folder / "search" / "optimization_results.yaml").read_text()
        assert 0 < len(failures(folder / "search")) < 3

    def test_says_so_where_every_trial_failed(self, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
        assert start(fails_for_odd_seeds, *self.WORDS, "seed=1") == 1
        told = capsys.readouterr().err
        assert "Error: the sweep ended early: ValueError: No trials are completed yet." in told
        assert "3 jobs failed:" in told
        assert "Traceback" not in told
