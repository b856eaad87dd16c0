"""`python sweep.py`, as a person calls it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.sweep import main
from tests.commands import Ended, called
from tests.runs import QUICK, REPOSITORY, one_epoch_each
from tests.scenes import write_tiny_scene

pytestmark = pytest.mark.integration

# The shipped study on the tiny scene: 2 levels x 2 consistencies x 2 seeds.
TINY_SMOKE = (
    "study=smoke", *(setting for setting in QUICK if not setting.startswith(("scene", "tracker"))),
    "scene.kept_share=0.5", "scene.splat_radius=0.2", "init.kept_share=0.5", "model.splat_radius=0.2",
    "dataset.downscale=1", *one_epoch_each("demo"), "study.plot.metrics=[psnr_db]",
)  # fmt: skip


JUST_ONE = (
    "study.axes.level={corruption.level:[0]}", "study.axes.consistency={init.consistency:[1.0]}",
    "study.seeds={seed:[0],corruption.seed:[42]}",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scene(tmp_path_factory.mktemp("scenes"), name="demo")


def started(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "sweep.py"), *arguments], cwd=cwd, env={**os.environ, "COLUMNS": "200"},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=240)
    return Ended(process.returncode, out, err)


def sweep(*arguments: str, cwd: Path = REPOSITORY) -> Ended:
    return ended(started(*arguments, cwd=cwd))


def sweep_here(*arguments: str) -> Ended:
    """The same in this process, which has its libraries and kernels already."""
    return called(main, "sweep.py", *arguments)


def study(root: Path, folder: Path, *more: str) -> tuple[str, ...]:
    places = (
        f"dataset.root={root}",
        f"study.dir={folder}",
        f"cache.dir={folder / 'cache'}",
        f"reuse=[{folder.parent}]",
    )
    return (*TINY_SMOKE, *places, *more)


def run_dirs(folder: Path) -> list[Path]:
    return sorted((folder / "runs").iterdir())


def attempts(folder: Path) -> dict[str, int]:
    return {path.name: json.loads((path / "status.json").read_text())["attempts"] for path in run_dirs(folder)}


def finished(folder: Path) -> list[Path]:
    return sorted(folder.glob("runs/*/summary.json"))


@dataclass(frozen=True)
class Killed:
    """A study killed half-way, then called twice more."""

    folder: Path
    finished_when_killed: list[Path]
    resumed: Ended
    called_again: Ended


@pytest.fixture(scope="module")
def killed(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder = tmp_path_factory.mktemp("studies") / "smoke"
    process = started(*study(root, folder))
    while process.poll() is None and len(finished(folder)) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = finished(folder)
    return Killed(folder, before, sweep_here(*study(root, folder)), sweep_here(*study(root, folder)))


class TestAStudyThatIsKilled:
    def test_goes_on_without_repeating_a_finished_run(self, killed: Killed) -> None:
        assert killed.resumed.code == 0, killed.resumed.err
        assert 3 <= len(killed.finished_when_killed) < 8
        assert len(finished(killed.folder)) == len(run_dirs(killed.folder)) == 8
        repeated = [path for path in killed.finished_when_killed if attempts(killed.folder)[path.parent.name] > 1]
        assert repeated == []

    def test_ends_with_its_report(self, killed: Killed) -> None:
        assert (killed.folder / "report" / "report.html").stat().st_size > 10_000
        assert str(killed.folder / "report" / "report.html") in killed.resumed.out

    def test_a_second_call_computes_nothing(self, killed: Killed) -> None:
        assert killed.called_again.code == 0, killed.called_again.err
        assert "8 done" in killed.called_again.out
        assert sum(attempts(killed.folder).values()) <= 9

    def test_each_run_keeps_its_output(self, killed: Killed) -> None:
        for folder in run_dirs(killed.folder):
            assert "points" in (folder / "run.log").read_text()

    def test_another_study_takes_over_what_is_finished(self, killed: Killed, root: Path) -> None:
        other = killed.folder.parent / "other"
        result = sweep_here(*study(root, other, "study.axes.level={corruption.level:[0]}"))
        assert result.code == 0, result.err
        assert len(finished(other)) == 4
        assert "runs/" in result.out
        assert not any((path / "status.json").exists() for path in run_dirs(other))  # computed by nobody here

    @pytest.mark.parametrize(
        ("launcher", "runs"),
        [
            (("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *JUST_ONE[1:]), 2),
            (("hydra/launcher=local", *JUST_ONE), 1),
        ],
    )
    def test_processes_started_in_another_folder_find_the_same(
        self, launcher: tuple[str, ...], runs: int, killed: Killed, root: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "study"
        arguments = [argument for argument in study(root, folder) if not argument.startswith(("threads", "reuse"))]
        result = sweep(*arguments, *launcher, "threads=1", "reuse=[]", cwd=tmp_path)
        assert result.code == 0, result.err
        assert len(finished(folder)) == runs
        for path in finished(folder):
            twin = killed.folder / "runs" / path.parent.name / "summary.json"
            assert json.loads(path.read_text())["psnr_db"] == json.loads(twin.read_text())["psnr_db"]


def spoil_the_first_run(root: Path, folder: Path) -> None:
    """Put a checkpoint that nobody can read where the study's first run will look for one."""
    shown = sweep_here(*study(root, folder, "dry_run=true"))
    assert {path.name for path in folder.glob("*")} <= {"cache"}  # digests of data
    row = re.search(r"(\w+) level=0 consistency=1\.0 #0 .*?([0-9a-f]{16})", shown.out)
    assert row
    name = f"runs/{row[1]}_level-0_consistency-1.0_repeat-0_{row[2]}"
    (folder / name).mkdir(parents=True)
    (folder / name / "checkpoint.pt").write_bytes(b"no checkpoint")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failing") / "smoke"


@pytest.fixture(scope="module")
def first(root: Path, folder: Path) -> Ended:
    spoil_the_first_run(root, folder)
    return sweep_here(*study(root, folder))


class TestAStudyWithAFailingRun:
    def test_the_others_finish_and_it_is_listed_with_its_error(self, first: Ended, folder: Path) -> None:
        assert first.code == 1
        assert len(finished(folder)) == 7
        assert "7 done, 1 failed" in first.out
        assert "checkpoint.pt" in first.out
        traces = list(folder.glob("runs/*/traceback.txt"))
        assert len(traces) == 1
        assert "UserError" in traces[0].read_text()

    def test_the_report_marks_it(self, first: Ended, folder: Path) -> None:
        assert "failed" in (folder / "report" / "report.html").read_text()

    def test_it_is_not_run_again_unless_asked(self, first: Ended, root: Path, folder: Path) -> None:
        again = sweep_here(*study(root, folder))
        assert again.code == 1
        assert max(attempts(folder).values()) == 1

    def test_retry_heals(self, first: Ended, root: Path, folder: Path) -> None:
        next(folder.glob("runs/*/traceback.txt")).with_name("checkpoint.pt").unlink()
        healed = sweep_here(*study(root, folder, "retry=failed"))
        assert healed.code == 0, healed.err
        assert len(finished(folder)) == 8
        assert sorted(attempts(folder).values()) == [1] * 7 + [2]


def test_fail_fast_stops_at_the_first_failure(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    spoil_the_first_run(root, folder)
    result = sweep_here(*study(root, folder, "fail_fast=true"))
    assert result.code == 1
    assert finished(folder) == []


def test_status_collect_and_report_work_from_the_folder_alone(killed: Killed, root: Path) -> None:
    for action in ("status", "collect", "report"):
        result = sweep_here(action, "study=smoke", f"study.dir={killed.folder}")
        assert result.code == 0, result.err
        assert "8 done" in result.out


class TestBadInput:
    """One message, no traceback, exit code not 0, nothing launched."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("study=smoke", "study.axes.level={corruption.levle:[0,1]}"), "corruption.levle"),
            (("study=smoke", "study.axes.level={corruption.level:[0,2]}"), "corruption.level: found 2"),
            (("study=smoke", "study.axes.level={corruption.level:[]}"), "axis 'level' is empty"),
            (("study=smoke", "study.seeds={seed:[0],corruption.seed:[1,2]}"), "seed has 1, corruption.seed has 2"),
            (("study=smoke", "study.scenes=[demo,demo]"), "demo given twice"),
            (("study=smoke", "study.scenes=all"), "study.scenes: found all, but dataset=demo has no dataset.root"),
            (("study=smoke", "corruption.level=0.1"), "corruption.level: the study varies it; change study.axes.level"),
            (("study=smoke", "threads=1,2"), "threads: found several values"),
            (("study=smoek",), "smoek"),
            (("study=smoke", "retry=always"), "retry: found 'always'"),
            (("status", "study=smoke"), "holds no plan.json"),
            (("study=smoke", "detach=true"), "detach: found true with hydra/launcher=basic"),
        ],
    )
    def test_it_is_named(
        self, arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = sweep_here(*arguments, f"study.dir={tmp_path / 'study'}", "dataset=demo")
        assert (result.code, message in result.err) == (1, True)
        assert not (tmp_path / "study").exists()

    def test_a_process_ends_with_1_and_without_a_traceback(self, tmp_path: Path) -> None:
        result = sweep("study=smoke", "retry=always", f"study.dir={tmp_path / 'study'}", cwd=tmp_path)
        assert (result.code, result.out) == (1, "")
        assert result.err.startswith("Error: retry: found 'always'")
        assert result.err.count("\n") == 1


def test_a_report_of_no_finished_run_says_so(root: Path, tmp_path: Path) -> None:
    sweep_here(*study(root, tmp_path, "reuse=[]", "dry_run=true"))
    process = started(*study(root, tmp_path, "reuse=[]"))
    while process.poll() is None and not (tmp_path / "plan.json").exists():
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert finished(tmp_path) == []
    result = sweep_here("report", "study=smoke", f"study.dir={tmp_path}")
    assert result.code == 1
    assert "no finished run" in result.err


def test_a_half_written_run_folder_is_listed_and_set_aside_on_retry(root: Path, tmp_path: Path) -> None:
    one = study(root, tmp_path, *JUST_ONE, f"reuse=[{tmp_path / 'nowhere'}]")
    assert sweep_here(*one).code == 0
    broken = run_dirs(tmp_path)[0]
    (broken / "summary.json").write_text('{"psnr_db": 3')
    listed = sweep_here(*one)
    assert listed.code == 1
    assert "unreadable summary" in listed.out
    assert sweep_here(*one, "retry=failed").code == 0
    assert (broken.with_name(f"{broken.name}.broken-1") / "summary.json").read_text() == '{"psnr_db": 3'
