"""What a run folder tells of its run."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import IO

import pytest

from pointrad.errors import MachineError, UserError
from pointrad.run.status import (
    OtherRunError,
    RunningElsewhereError,
    RunState,
    discard_if_empty,
    read_status,
    record_failure,
    recording,
)
from tests.runs import REPOSITORY

HOLD = """
import sys, time
from pathlib import Path
from pointrad.run.status import recording
with recording(Path(sys.argv[1]), 9):
    print("held", flush=True)
    time.sleep(60)
"""


def test_nothing_is_missing(tmp_path: Path) -> None:
    assert read_status(tmp_path / "run").state is RunState.MISSING


def test_while_a_process_computes_it_is_running_and_nobody_else_may(tmp_path: Path) -> None:
    with recording(tmp_path, 9):
        assert read_status(tmp_path).state is RunState.RUNNING
        with (
            pytest.raises(RunningElsewhereError, match="another process is computing this run"),
            recording(tmp_path, 9),
        ):
            pass
        assert read_status(tmp_path).state is RunState.RUNNING


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_files_cannot_be_locked_nothing_is_computed_and_what_was_is_told(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(tmp_path / "done", 9):
        (tmp_path / "done" / "summary.json").write_text(json.dumps({"identity": "x"}))

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.fcntl", refuse)
    told = r"new: its file system locks no files \(.*expected a folder on one that does"
    with pytest.raises(UserError, match=told), recording(tmp_path / "new", 9):
        pytest.fail("the block ran")
    assert read_status(tmp_path / "new").state is RunState.STOPPED  # not failed: elsewhere, it goes on
    assert read_status(tmp_path / "done").state is RunState.DONE


LOOK_AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from pointrad.run.status import read_status
if os.getuid() == 0:
    os.setuid(65534)
print(read_status(Path(sys.argv[1])).state)
"""


def test_whoever_may_read_the_folder_may_look_at_its_run() -> None:
    with tempfile.TemporaryDirectory() as base:  # pytest's own folders are closed to other users
        run_dir = Path(base) / "run"
        with recording(run_dir, 9):
            for path, mode in [(Path(base), 0o755), (run_dir, 0o555), *((file, 0o444) for file in run_dir.iterdir())]:
                path.chmod(mode)
            done = subprocess.run(
                [sys.executable, "-c", LOOK_AS_ANOTHER_USER, str(run_dir)],
                cwd=REPOSITORY, capture_output=True, text=True, check=False,
            )  # fmt: skip
            run_dir.chmod(0o755)
    assert (done.stdout, done.stderr) == ("running\n", "")


def test_a_run_may_start_while_somebody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(tmp_path, 9):
        pass
    asked = fcntl.fcntl

    def ask_and_start(file: IO[bytes], command: int, argument: bytes) -> bytes:
        answer = asked(file, command, argument)
        if command == fcntl.F_OFD_GETLK:
            with recording(tmp_path, 9):
                started.append(tmp_path)
        return answer

    started: list[Path] = []
    monkeypatch.setattr(fcntl, "fcntl", ask_and_start)
    read_status(tmp_path)
    assert started == [tmp_path]


def test_a_folder_that_cannot_be_read_is_broken_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    status = read_status(tmp_path)
    assert (status.state, str(tmp_path) in (status.error or "")) == (RunState.BROKEN, True)


def test_a_killed_process_leaves_a_run_that_is_stopped(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert read_status(tmp_path).state is RunState.RUNNING
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert read_status(tmp_path).state is RunState.STOPPED


def test_an_exception_is_a_failure_that_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recording(tmp_path, 9):
        1 / 0  # noqa: B018
    status = read_status(tmp_path)
    assert (status.state, status.error) == (RunState.FAILED, "ZeroDivisionError: division by zero")
    assert "1 / 0" in (tmp_path / "traceback.txt").read_text()


def test_a_users_error_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(UserError), recording(tmp_path, 9):
        raise UserError("init.lattice: too much\nand more")
    assert read_status(tmp_path).error == "init.lattice: too much"


def over(trouble: Exception) -> UserError:
    """A sentence said over trouble."""
    error = UserError("picture.png: cannot be read")
    error.__context__ = trouble
    return error


TROUBLES = [
    *(OSError(number, "it says") for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOMEM)),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
    MachineError("cloud.ply: no space left on its disk"),
    over(OSError(errno.EIO, "it says")),
]


def meet(error: Exception, run_dir: Path, most: int = 9) -> None:
    """Begin to compute a run, and meet this error."""
    with recording(run_dir, most) as begin:
        begin()
        raise error


class TestTroubleOfTheMachine:
    FULL = OSError(errno.ENOSPC, "No space left on device")

    @pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
    def test_leaves_a_run_that_is_stopped_and_tells_what_it_was(self, trouble: Exception, tmp_path: Path) -> None:
        with pytest.raises(UserError):
            meet(trouble, tmp_path)
        status = read_status(tmp_path)
        assert status.state is RunState.STOPPED
        assert (str(trouble) or "MemoryError") in (status.error or "")
        assert not (tmp_path / "traceback.txt").exists()

    def test_that_keeps_its_status_from_being_written_leaves_one_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fsyncs = count()

        def full(descriptor: int) -> None:
            if next(fsyncs) >= 2:  # of the status "running" and its folder
                raise self.FULL

        monkeypatch.setattr("pointrad.files.os.fsync", full)
        with pytest.raises(MachineError, match="No space left"):
            meet(self.FULL, tmp_path)
        assert read_status(tmp_path).state is RunState.STOPPED

    def test_that_keeps_coming_fails_the_run_in_the_end(self, tmp_path: Path) -> None:
        for _ in range(3):
            with pytest.raises(MachineError):
                meet(self.FULL, tmp_path, most=3)
        with pytest.raises(UserError, match=r"checkpoint.max_attempts: found 3"):
            meet(self.FULL, tmp_path, most=3)
        assert read_status(tmp_path).state is RunState.FAILED

    def test_is_not_what_ctrl_c_is_over_it(self, tmp_path: Path) -> None:
        stopped = KeyboardInterrupt()
        stopped.__context__ = self.FULL
        with pytest.raises(KeyboardInterrupt), recording(tmp_path, 9):
            raise stopped
        assert read_status(tmp_path).state is RunState.STOPPED

    @pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), FileNotFoundError("gone")])
    def test_is_not_what_a_person_must_mend(self, error: OSError, tmp_path: Path) -> None:
        with pytest.raises(type(error)):
            meet(error, tmp_path)
        assert read_status(tmp_path).state is RunState.FAILED


def test_ctrl_c_leaves_a_run_that_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), recording(tmp_path, 9):
        raise KeyboardInterrupt
    assert read_status(tmp_path).state is RunState.STOPPED
    assert not (tmp_path / "traceback.txt").exists()


def test_attempts_are_counted_and_a_success_clears_what_failed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recording(tmp_path, 9):
        1 / 0  # noqa: B018
    with recording(tmp_path, 9):
        (tmp_path / "summary.json").write_text(json.dumps({"identity": "x"}))
    status = read_status(tmp_path)
    assert (status.state, status.attempts, status.error) == (RunState.DONE, 2, None)
    assert not (tmp_path / "traceback.txt").exists()


class TestARunThatIsInterruptedAgainAndAgain:
    def interrupt(self, run_dir: Path, times: int, most: int) -> None:
        for _ in range(times):
            with pytest.raises(KeyboardInterrupt), recording(run_dir, most):
                raise KeyboardInterrupt

    def test_fails_once_as_many_processes_were_as_may_work_on_it(self, tmp_path: Path) -> None:
        self.interrupt(tmp_path, times=3, most=3)
        assert read_status(tmp_path).state is RunState.STOPPED
        with (
            pytest.raises(UserError, match=r"checkpoint.max_attempts: found 3, and .* counts anew"),
            recording(tmp_path, 3) as begin,
        ):
            begin()
        assert (read_status(tmp_path).state, read_status(tmp_path).attempts) == (RunState.FAILED, 4)

    @pytest.mark.parametrize(("most", "attempt"), [(3, 1), (9, 5)], ids=["started again", "allowed more"])
    def test_goes_on_when_it_is_started_again_or_allowed_more(self, most: int, attempt: int, tmp_path: Path) -> None:
        self.interrupt(tmp_path, times=3, most=3)
        with pytest.raises(UserError), recording(tmp_path, 3) as begin:
            begin()
        with recording(tmp_path, most):
            assert read_status(tmp_path).attempts == attempt

    def test_is_not_kept_from_failing_for_other_reasons_as_often_as_one_likes(self, tmp_path: Path) -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError), recording(tmp_path, 3):
                1 / 0  # noqa: B018
        assert read_status(tmp_path).attempts == 3
        with pytest.raises(ZeroDivisionError), recording(tmp_path, 3):
            1 / 0  # noqa: B018
        assert read_status(tmp_path).attempts == 1


def leave_a_run(run_dir: Path, state: str) -> bytes:
    """A run that was begun and is now in this state; what its status.json holds."""
    how = {"stopped": KeyboardInterrupt(), "failed": ZeroDivisionError("odd")}
    with suppress(*map(type, how.values())), recording(run_dir, 9) as begin:
        begin()
        if state in how:
            raise how[state]
    return (run_dir / "status.json").read_bytes()


def call_and_refuse(run_dir: Path, error: UserError) -> None:
    with pytest.raises(type(error)), recording(run_dir, 9):
        raise error


class TestACallThatIsRefused:
    """It ends before it begins to work on the run."""

    @pytest.mark.parametrize("state", ["stopped", "done"])
    @pytest.mark.parametrize("error", [UserError("dataset.root: gone"), OtherRunError("seed")], ids=["user", "other"])
    def test_leaves_a_run_as_it_was(self, state: str, error: UserError, tmp_path: Path) -> None:
        before = leave_a_run(tmp_path, state)
        call_and_refuse(tmp_path, error)
        record_failure(tmp_path, error)
        assert (tmp_path / "status.json").read_bytes() == before
        assert not (tmp_path / "traceback.txt").exists()

    def test_leaves_a_failed_run_its_traceback_where_it_was_another_run(self, tmp_path: Path) -> None:
        before = leave_a_run(tmp_path, "failed")
        call_and_refuse(tmp_path, OtherRunError("seed"))
        assert (tmp_path / "status.json").read_bytes() == before
        assert "ZeroDivisionError: odd" in (tmp_path / "traceback.txt").read_text()

    def test_says_anew_what_keeps_a_failed_run_from_beginning(self, tmp_path: Path) -> None:
        leave_a_run(tmp_path, "failed")
        call_and_refuse(tmp_path, UserError("dataset.root: gone"))
        assert read_status(tmp_path).error == "dataset.root: gone"

    def test_writes_no_status_beside_another_run(self, tmp_path: Path) -> None:
        call_and_refuse(tmp_path, OtherRunError("seed"))
        assert not (tmp_path / "status.json").exists()

    def test_is_a_failure_where_nothing_was_begun(self, tmp_path: Path) -> None:
        record_failure(tmp_path / "run", UserError("seed: found x"))
        status = read_status(tmp_path / "run")
        assert (status.state, status.error, status.attempts) == (RunState.FAILED, "seed: found x", 0)
        assert "UserError: seed: found x" in (tmp_path / "run" / "traceback.txt").read_text()

    def test_is_a_failure_once_it_began(self, tmp_path: Path) -> None:
        leave_a_run(tmp_path, "stopped")
        with suppress(UserError), recording(tmp_path, 9) as begin:
            begin()
            raise UserError("no point is left")
        assert read_status(tmp_path).state is RunState.FAILED


def test_a_summary_is_enough_to_be_done(tmp_path: Path) -> None:
    """Runs that were copied, or computed before there was a status."""
    (tmp_path / "summary.json").write_text(json.dumps({"identity": "x"}))
    assert read_status(tmp_path).state is RunState.DONE


@pytest.mark.parametrize(
    ("name", "content"),
    [("summary.json", ""), ("summary.json", "[1]"), ("summary.json", "[" * 100_000),
     ("summary.json", '{"psnr_db": 30'), ("status.json", "{}"),
     ("status.json", '{"state": "odd"}'), ("status.json", '{"state": "done", "surprise": 1}')],
)  # fmt: skip
def test_files_that_cannot_be_read_are_named(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    status = read_status(tmp_path)
    assert status.state is RunState.BROKEN
    assert str(tmp_path / name) in (status.error or "")


def test_a_folder_with_nothing_but_a_status_is_discarded_unless_it_is_running(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with recording(folder, 9):
        discard_if_empty(folder)
        assert folder.exists()
    discard_if_empty(folder)
    assert not folder.exists()


def test_a_folder_with_results_is_never_discarded(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").touch()
    discard_if_empty(tmp_path)
    assert (tmp_path / "checkpoint.pt").exists()


def test_times_are_told(tmp_path: Path) -> None:
    with recording(tmp_path, 9):
        time.sleep(0)
    status = read_status(tmp_path)
    assert status.started is not None
    assert status.ended is not None
    assert status.started <= status.ended
