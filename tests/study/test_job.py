"""What becomes of a study when one of its runs does not finish."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pointrad.config import RunConfig
from pointrad.errors import MachineError
from pointrad.run.status import RunState, read_status, recording
from pointrad.study.job import compute
from tests.runs import config


@pytest.fixture
def stop(tmp_path: Path) -> Path:
    return tmp_path / "stop"


def meeting(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run meet this error."""

    def run(config: RunConfig, run_dir: Path, *_: object) -> None:
        with recording(run_dir, 9) as begin:
            begin()
            raise error

    monkeypatch.setattr("pointrad.study.job.run", run)


@pytest.mark.parametrize("trouble", [MachineError("cloud.ply: no space left"), OSError(errno.EIO, "it says")], ids=repr)
def test_trouble_of_the_machine_keeps_no_other_run_from_starting(
    trouble: Exception, stop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting(trouble, monkeypatch)
    assert compute(config(), tmp_path / "run", stop) is None
    assert read_status(tmp_path / "run").state.is_left
    assert not stop.exists()


def test_a_failure_keeps_the_others_from_starting_where_that_was_asked_for(
    stop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting(ZeroDivisionError(), monkeypatch)
    assert compute(config(), tmp_path / "run", stop) is None
    assert read_status(tmp_path / "run").state is RunState.FAILED
    assert compute(config(), tmp_path / "other", stop) is None
    assert not (tmp_path / "other").exists()


def test_a_run_whose_log_cannot_be_written_says_so_and_ends_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").write_text("a file where a folder should be")
    assert compute(config(), tmp_path / "run", None) is None
    assert f"{tmp_path / 'run'}: not computed, since its run.log cannot be written" in capsys.readouterr().err


def test_what_a_full_disk_keeps_from_being_recorded_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(config: RunConfig, run_dir: Path, *_: object) -> None:
        raise MachineError("status.json: no space left")

    monkeypatch.setattr("pointrad.study.job.run", run)
    assert compute(config(), tmp_path / "run", None) is None
    assert f"{tmp_path / 'run'}: status.json: no space left" in capsys.readouterr().err
