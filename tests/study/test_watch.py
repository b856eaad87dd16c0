"""What the table of a study's runs says of those that are not done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pointrad.run.status import recording
from pointrad.study.watch import QueueState, StudyBar, print_states
from pointrad.training.preemption import Preempted
from tests.study.studies import plan


@pytest.mark.parametrize(
    ("job", "told"),
    [("FAILED", "stopped: Preempted: told to stop by SIGTERM; its job has ended: failed (log)"), ("PENDING", "")],
)
def test_a_run_that_was_told_to_stop_says_so_once_nothing_in_the_queue_goes_on_with_it(
    job: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(tmp_path / "study", tmp_path, axes={"level": {"corruption.level": [0]}}, seeds={"seed": [0]})
    (run,) = planned.runs
    with pytest.raises(Preempted), recording(planned.run_dir(run), max_attempts=2):
        raise Preempted
    print_states(planned, {run.folder: QueueState(job, "log")})
    troubles = [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"{run.variant.title}: ")]
    assert troubles == [f"{run.variant.title}: {told}"] * bool(told)


def test_what_run_folders_say_does_not_command_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = {"label": ["\x1b]0;owned\x07", "[red]other"], "corruption.level": [0, 0.1]}
    planned = plan(tmp_path / "study", tmp_path, question="\x1b[31m?", axes={"level": labels}, seeds={"seed": [0]})
    failed, done = (planned.run_dir(run) for run in planned.runs)
    with pytest.raises(RuntimeError), recording(failed, max_attempts=2):
        raise RuntimeError("\x1b[2Jgone")
    with recording(done, max_attempts=2):
        (done / "summary.json").write_text(json.dumps({"identity": planned.runs[1].identity, "psnr_db": "\x1b[5m"}))
    with StudyBar(planned, list(planned.runs)):
        pass
    print_states(planned, {})
    told = "".join(capsys.readouterr())
    assert "\x1b" not in told
    assert r"RuntimeError: \x1b[2Jgone" in told
    assert "[red]other" in told
    assert "level=[red]other #0: — dB" in told


def test_a_run_that_is_tried_again_is_told_of_once_it_has_ended_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(tmp_path / "study", tmp_path, axes={"level": {"corruption.level": [0, 0.1]}}, seeds={"seed": [0]})
    for run in planned.runs:
        with pytest.raises(RuntimeError), recording(planned.run_dir(run), max_attempts=2):
            raise RuntimeError("the first time")
    mended, _ = planned.runs
    with StudyBar(planned, list(planned.runs)), recording(planned.run_dir(mended), max_attempts=2) as begin:
        begin()
        (planned.run_dir(mended) / "summary.json").write_text(json.dumps({"identity": mended.identity, "psnr_db": 30}))
    assert capsys.readouterr().err.splitlines() == [f"1/2  {mended.variant.title}: 30.00 dB, — MB, — s"]


def test_the_table_fits_120_columns_and_names_every_run_by_its_identity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"label": ["adaptive, Gaussians, and much more that is said of it", "b"], "corruption.level": [0, 0.1]}
    planned = plan(tmp_path / "study", tmp_path, axes={"a_long_name_of_an_axis": labels})
    print_states(planned, {})
    table = [line for line in capsys.readouterr().out.splitlines() if "Folder" not in line]
    assert max(map(len, table)) <= 120
    assert all(any(run.identity in line for line in table) for run in planned.runs)
