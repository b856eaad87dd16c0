"""How far a run folder's run is, so that a study survives whatever happens to the processes that compute it.

A process that computes a run holds a lock on the folder's `run.lock`, which the system releases however the process
ends. What it was doing stands in `status.json`, a failure's traceback in `traceback.txt`.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import struct
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pointrad.errors import MachineError, OtherRunError, UserError, trouble_of_machine
from pointrad.files import replacing, write_json

CONFIG_FILE, PROVENANCE_FILE = "config.yaml", "provenance.json"
STATUS_FILE, TRACEBACK_FILE, LOCK_FILE, SUMMARY_FILE = "status.json", "traceback.txt", "run.lock", "summary.json"
_OWN_FILES = {STATUS_FILE, TRACEBACK_FILE, LOCK_FILE}


class RunState(StrEnum):
    """missing: nothing there. running: a process computes it now. stopped: interrupted, killed or ended by trouble of
    the machine; the same call goes on. failed: an exception ended it. done: `summary.json` is there. broken: its files
    cannot be read, or are of another run."""

    MISSING = "missing"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"
    BROKEN = "broken"

    @property
    def is_left(self) -> bool:
        """Whether the run has yet to be computed, in whole or in part, and nobody is at it."""
        return self in (RunState.MISSING, RunState.STOPPED)


@dataclass(frozen=True)
class RunStatus:
    """What `status.json` says: attempts counts the processes that have worked on the run; times are UTC, ISO 8601."""

    state: RunState
    attempts: int = 0
    started: str | None = None
    ended: str | None = None
    host: str | None = None
    pid: int | None = None
    error: str | None = None


class RunningElsewhereError(UserError):
    """Another process computes this run at the moment."""


@contextmanager
def recording(run_dir: Path, max_attempts: int) -> Iterator[Callable[[], None]]:
    """Hold the folder's lock and keep its status while the block computes the run.

    Yields what the block calls once it has all that it needs and begins to work, or goes on. A UserError before that
    refuses the call: a run that was begun earlier is as stopped, or as done, as it was. Whatever else the block raises
    is recorded, and all is raised again. Exceptions are failures; trouble of the machine stops a run, and is raised as
    a MachineError. Raises RunningElsewhereError if the lock is taken; beginning raises UserError, recorded too, if
    `max_attempts` processes have worked on the run and the last was interrupted.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with _locked(run_dir):
        earlier = _Earlier.of(run_dir)
        running = RunStatus(
            RunState.RUNNING, _attempts(run_dir, max_attempts) + 1, _now(), None, platform.node(), os.getpid()
        )  # fmt: skip
        begun = False

        def begin() -> None:
            nonlocal begun
            begun = True
            (run_dir / TRACEBACK_FILE).unlink(missing_ok=True)
            if running.attempts > max_attempts:
                raise UserError(
                    f"checkpoint.max_attempts: found {max_attempts}, and as many processes have worked on this run "
                    "without finishing it; expected more, or the run to be started again, which counts anew from its "
                    "last checkpoint"
                )

        _write(run_dir, running)
        try:
            yield begin
        except BaseException as error:
            with suppress(MachineError):  # of a full disk, say; a status of old and a free lock mean stopped, too
                if not begun and earlier.outlasts(error):
                    earlier.restore(run_dir)
                elif isinstance(error, Exception) and not trouble_of_machine(error):
                    _write_failure(run_dir, running, error)
                else:
                    _write(run_dir, running, state=RunState.STOPPED, ended=_now(), error=_one_line(error))
            if isinstance(error, Exception) and not isinstance(error, UserError) and trouble_of_machine(error):
                raise MachineError(f"{_one_line(error)}; run the same command again") from error
            raise
        (run_dir / TRACEBACK_FILE).unlink(missing_ok=True)
        _write(run_dir, running, state=RunState.DONE, ended=_now())


def record_failure(run_dir: Path, error: Exception) -> None:
    """Record what kept a run from being called at all, such as a wrong configuration; a run that was begun earlier
    keeps its status."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with _locked(run_dir):
        if not _Earlier.of(run_dir).outlasts(error):
            _write_failure(run_dir, RunStatus(RunState.FAILED), error)


def read_status(run_dir: Path, identity: str | None = None) -> RunStatus:
    """The status of the run in `run_dir`, told from its files and its lock; never raises for what it finds there.

    It only looks, so whoever may read the folder may call it, at any moment of the run. identity: of the run that is
    expected there; the result of another one is BROKEN.
    """
    try:
        if not run_dir.is_dir() or not any(run_dir.iterdir()):
            return RunStatus(RunState.MISSING)
        recorded = _read(run_dir)
        if _is_locked(run_dir):
            return _with_state(recorded, RunState.RUNNING)
        if (run_dir / SUMMARY_FILE).is_file():
            found = read_summary(run_dir)["identity"]
            if identity not in (None, found):
                raise ValueError(
                    f"{run_dir / SUMMARY_FILE}: found the result of another run (identity {found}, expected {identity}"
                    "); if the data changed after the study was launched, launch it again"
                )
            return _with_state(recorded, RunState.DONE)
    except (OSError, ValueError) as error:
        return RunStatus(RunState.BROKEN, error=str(error))
    return recorded if recorded.state is RunState.FAILED else _with_state(recorded, RunState.STOPPED)


def read_summary(run_dir: Path) -> dict[str, Any]:
    """What a run that is done says of itself (`RunResult`). Raises ValueError naming a file that does not."""
    path = run_dir / SUMMARY_FILE
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: unreadable summary ({error})") from None
    if not isinstance(summary, dict) or "identity" not in summary:
        raise ValueError(f"{path}: no summary of a run; expected its identity")
    return summary


def discard_if_empty(run_dir: Path) -> None:
    """Remove a folder that holds nothing but a status: the run ended before its first result."""
    if run_dir.is_dir() and not _is_locked(run_dir) and {path.name for path in run_dir.iterdir()} <= _OWN_FILES:
        for path in run_dir.iterdir():
            path.unlink()
        run_dir.rmdir()


@dataclass(frozen=True)
class _Earlier:
    """What `status.json` holds of earlier calls: its bytes, and the state that they record; None where it is not there
    or says nothing."""

    content: bytes | None
    state: RunState | None

    @classmethod
    def of(cls, run_dir: Path) -> _Earlier:
        path = run_dir / STATUS_FILE
        content = path.read_bytes() if path.exists() else None
        try:
            return cls(content, None if content is None else _read(run_dir).state)
        except ValueError:
            return cls(content, None)

    def outlasts(self, error: BaseException) -> bool:
        """Whether a call that ended with this error, before it began, leaves the status as it was."""
        is_of_a_run = self.state not in (None, RunState.FAILED)
        return isinstance(error, OtherRunError) or (isinstance(error, UserError) and is_of_a_run)

    def restore(self, run_dir: Path) -> None:
        path = run_dir / STATUS_FILE
        if self.content is None:
            path.unlink(missing_ok=True)
            return
        with replacing(path) as temporary:
            temporary.write_bytes(self.content)


@contextmanager
def _locked(run_dir: Path) -> Iterator[None]:
    with (run_dir / LOCK_FILE).open("a") as file:
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_WRLCK))
        except BlockingIOError:
            raise RunningElsewhereError(f"{run_dir}: another process is computing this run") from None
        except OSError as error:  # ENOLCK, ENOSYS, EOPNOTSUPP ...: unlocked, two processes could write over each other
            raise UserError(
                f"{run_dir}: its file system locks no files ({error.strerror}), so nothing would keep two processes "
                "from computing this run at once; expected a folder on one that does, such as a local disk or NFS "
                "with its lock service"
            ) from None
        yield


def _is_locked(run_dir: Path) -> bool:
    """Asks who holds the lock without taking it, so that a run that starts at this moment is not in its way."""
    path = run_dir / LOCK_FILE
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_RDLCK))
        except OSError:  # where nothing can be locked, no process computes: `recording` refuses to
            return False
    kind: int = struct.unpack_from("h", answer)[0]
    return kind != fcntl.F_UNLCK


def _whole_file(kind: int) -> bytes:
    """C's `struct flock` for Linux's locks that belong to an open file and not to its process."""
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)


def _attempts(run_dir: Path, max_attempts: int) -> int:
    """The processes that have worked on the run; 0 again once it has failed after as many as may."""
    try:
        found = _read(run_dir)
    except ValueError:
        return 0
    begins_anew = found.state is RunState.FAILED and found.attempts >= max_attempts
    return 0 if begins_anew else found.attempts


def _read(run_dir: Path) -> RunStatus:
    path = run_dir / STATUS_FILE
    if not path.exists():
        return RunStatus(RunState.STOPPED)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return RunStatus(**(values | {"state": RunState(values["state"])}))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: unreadable status ({error})") from None


def _with_state(status: RunStatus, state: RunState) -> RunStatus:
    error = status.error if state is RunState.STOPPED else None
    return RunStatus(**(asdict(status) | {"state": state, "error": error}))


def _write(run_dir: Path, status: RunStatus, **changes: object) -> None:
    write_json(run_dir / STATUS_FILE, asdict(status) | changes)


def _write_failure(run_dir: Path, status: RunStatus, error: Exception) -> None:
    _write(run_dir, status, state=RunState.FAILED, ended=_now(), error=_one_line(error))
    with replacing(run_dir / TRACEBACK_FILE) as path:
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    named = (
        text if isinstance(error, UserError) else f"{type(error).__name__}: {text}" if text else type(error).__name__
    )
    return named.splitlines()[0] if named else type(error).__name__


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
