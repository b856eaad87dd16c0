"""launcher/slurm.py and launcher/queue.py without a cluster: programs that answer as SLURM's do, or do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.queue import (
    JOBS_FILE,
    LOGS_FOLDER,
    PATIENTLY,
    Job,
    NoAnswerError,
    announce_jobs,
    cancel,
    note_job,
    queue_states,
    read_jobs,
    wait_until_ended,
)
from launcher.slurm import ConcludingJob, Submission, look_after, submit
from pointrad.errors import UserError
from pointrad.study.plan import Plan
from tests.study.studies import plan

PARAMETERS = {"name": "pointrad", "timeout_min": 5, "max_num_timeout": 3, "array_parallelism": 2}
Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a program of this name and these shell lines on a PATH that holds nothing else, and notes its calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(name: str, lines: str) -> None:
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n{lines}\n')
        (folder / name).chmod(0o755)

    return write


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the code would have waited, in seconds."""
    slept: list[float] = []
    for module in ("launcher.queue", "launcher.slurm"):
        monkeypatch.setattr(f"{module}.sleep", slept.append)
    return slept


def failing(program: Program, tmp_path: Path, name: str, times: int, lines: str) -> None:
    """A program that cannot reach the controller the first `times` it is called, and then does what `lines` say."""
    count = tmp_path / f"{name}_fails"
    count.write_text(str(times))
    fail = "echo Unable to contact slurm controller >&2; exit 1"
    program(name, f"read n < {count}; [ $n -eq 0 ] || {{ echo $((n - 1)) > {count}; {fail}; }}\n{lines}")


def calls(tmp_path: Path, name: str) -> list[str]:
    lines = (tmp_path / "calls").read_text().splitlines()
    return [line.removeprefix(f"{name} ") for line in lines if line.split()[0] == name]


def study(tmp_path: Path, runs: int) -> Plan:
    one_level = {"level": {"corruption.level": [0]}}
    planned = plan(tmp_path / "study", tmp_path, axes=one_level, seeds={"seed": list(range(runs))})
    planned.study.dir.mkdir()
    return planned


def submission(runs_per_job: int = 1) -> Submission:
    return Submission(dict(PARAMETERS), runs_per_job, rounds=3, fail_fast=False)


def submitted(planned: Plan, runs_per_job: int = 1) -> list[tuple[str, int]]:
    """Each job's id and its number of runs."""
    jobs = submit(planned, planned.distinct(), submission(runs_per_job))
    assert jobs == read_jobs(planned.study.dir)
    return [(job.job, len(job.folders)) for job in jobs]


def cluster(program: Program, tmp_path: Path, max_array_size: int = 1001, takes: int = 100) -> None:
    """A cluster that accepts so many submissions and numbers them from 1."""
    count = tmp_path / "count"
    count.write_text("0")
    refuse = "echo sbatch: error: QOSMaxSubmitJobPerUserLimit >&2; exit 1"
    program(
        "sbatch",
        f"read n < {count}; [ $n -lt {takes} ] || {{ {refuse}; }}; n=$((n + 1)); echo $n > {count}; "
        'echo "Submitted batch job $n"',
    )
    program("scontrol", f'echo "MaxArraySize            = {max_array_size}"')
    program("srun", "")
    program("scancel", "")


def note(study_dir: Path, *jobs: tuple[str, list[str]]) -> None:
    """As `submit` does."""
    for job, folders in jobs:
        note_job(study_dir, Job(job, tuple(folders), f"{job}.err"))


class TestSubmitting:
    def test_one_array_then_the_job_that_concludes_it(self, program: Program, tmp_path: Path) -> None:
        cluster(program, tmp_path)
        assert submitted(study(tmp_path, 3)) == [("1_0", 1), ("1_1", 1), ("1_2", 1), ("2", 0)]
        scripts = sorted((tmp_path / "study" / "jobs").glob("*.sh"))
        texts = [path.read_text() for path in scripts]
        assert any("#SBATCH --array=0-2%2\n" in text for text in texts)
        assert any("#SBATCH --dependency=afterany:1\n" in text for text in texts)

    def test_no_array_is_larger_than_the_cluster_takes(self, program: Program, tmp_path: Path) -> None:
        cluster(program, tmp_path, max_array_size=4)
        ids = [job for job, _ in submitted(study(tmp_path, 8))]
        assert ids == ["1_0", "1_1", "1_2", "2_0", "2_1", "2_2", "3_0", "3_1", "4"]

    def test_short_runs_share_a_job(self, program: Program, tmp_path: Path) -> None:
        cluster(program, tmp_path)
        assert submitted(study(tmp_path, 10), runs_per_job=4) == [("1_0", 4), ("1_1", 4), ("1_2", 2), ("2", 0)]

    def test_a_refusal_is_told_in_slurms_words_and_notes_nothing(self, program: Program, tmp_path: Path) -> None:
        cluster(program, tmp_path, takes=0)
        with pytest.raises(UserError, match=r"SLURM refused the jobs: .*QOSMaxSubmitJobPerUserLimit"):
            submitted(study(tmp_path, 2))
        assert read_jobs(tmp_path / "study") == []

    def test_what_was_accepted_before_a_refusal_is_cancelled(self, program: Program, tmp_path: Path) -> None:
        cluster(program, tmp_path, max_array_size=3, takes=2)
        with pytest.raises(UserError, match="QOSMaxSubmitJobPerUserLimit"):
            submitted(study(tmp_path, 6))
        assert calls(tmp_path, "scancel") == ["1 2"]

    def test_without_slurm_there_is_one_message(self, program: Program, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="there is no sbatch here; expected a SLURM login node"):
            submitted(study(tmp_path, 2))
        assert read_jobs(tmp_path / "study") == []


class TestAskingForStates:
    def states(self, tmp_path: Path) -> dict[str, str]:
        return {folder: state.state for folder, state in queue_states(tmp_path / "study").items()}

    def test_the_queue_comes_first_and_the_accounts_tell_the_rest(self, program: Program, tmp_path: Path) -> None:
        note(tmp_path / "study", ("7_0", ["a", "b"]), ("7_1", ["c"]), ("7_2", ["d"]), ("8", []))
        program("squeue", 'echo "7_0 RUNNING"; echo "8 PENDING"; echo "99 RUNNING"')
        ended = ["JobID|State", "7_1|TIMEOUT", "7_1.batch|CANCELLED", "7_2|CANCELLED by 1000", "7_0|RUNNING"]
        program("sacct", "".join(f'echo "{line}"; ' for line in ended))
        expected = {"a": "RUNNING", "b": "RUNNING", "c": "TIMEOUT", "d": "CANCELLED", "": "PENDING"}
        assert self.states(tmp_path) == expected
        assert queue_states(tmp_path / "study")["c"].log == "7_1.err"

    @pytest.mark.parametrize("state", ["TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "FAILED", "BOOT_FAIL"])
    def test_how_a_job_ended_is_told(self, program: Program, tmp_path: Path, state: str) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        program("squeue", "")
        program("sacct", f'echo "JobID|State"; echo "7|{state}"')
        assert self.states(tmp_path) == {"a": state}

    def test_tasks_that_ended_together_are_told_together(self, program: Program, tmp_path: Path) -> None:
        note(tmp_path / "study", *((f"7_{n}", [str(n)]) for n in range(4)))
        program("squeue", "")
        program("sacct", 'echo "JobID|State"; echo "7_0|COMPLETED"; echo "7_[1-3%2]|CANCELLED by 1000"')
        assert self.states(tmp_path) == {"0": "COMPLETED", **dict.fromkeys("123", "CANCELLED")}

    def test_the_latest_job_of_a_run_counts(self, program: Program, tmp_path: Path) -> None:
        note(tmp_path / "study", ("7", ["a"]), ("8", []), ("9", ["a"]))
        program("squeue", 'echo "9 PENDING"')
        program("sacct", 'echo "JobID|State"; echo "7|NODE_FAIL"; echo "8|COMPLETED"')
        assert self.states(tmp_path) == {"a": "PENDING", "": "COMPLETED"}

    @pytest.mark.parametrize("accounts", ["echo Slurm accounting storage is disabled >&2; exit 1", None])
    def test_without_accounts_a_job_that_left_the_queue_has_ended(
        self, program: Program, tmp_path: Path, accounts: str | None, waits: list[float]
    ) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        program("squeue", "")
        if accounts:
            program("sacct", accounts)
        assert self.states(tmp_path) == {"a": "ENDED"}
        assert waits == []

    def test_accounts_that_cannot_be_asked_for_are_asked_for_again_and_then_done_without(
        self, program: Program, tmp_path: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        program("squeue", "")
        failing(program, tmp_path, "sacct", 3, 'echo "JobID|State"; echo "7|TIMEOUT"')
        assert self.states(tmp_path) == {"a": "ENDED"}  # after two questions
        assert "how jobs have ended is not known" in capsys.readouterr().err
        assert self.states(tmp_path) == {"a": "TIMEOUT"}
        assert waits == [1, 1]

    def test_without_slurm_nothing_is_known(self, program: Program, tmp_path: Path) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        assert self.states(tmp_path) == {}

    def test_a_question_that_fails_once_is_asked_again_and_told(
        self, program: Program, tmp_path: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        failing(program, tmp_path, "squeue", 1, 'echo "7 RUNNING pointrad"')
        assert self.states(tmp_path) == {"a": "RUNNING"}
        assert waits == [1]
        assert "Unable to contact slurm controller; asking again in 1 s" in capsys.readouterr().err

    def test_a_controller_that_does_not_answer_is_quoted(
        self, program: Program, tmp_path: Path, waits: list[float]
    ) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        program("squeue", "echo Unable to contact slurm controller >&2; exit 1")
        with pytest.raises(NoAnswerError, match=r"squeue .*: Unable to contact slurm controller"):
            self.states(tmp_path)

    def test_a_line_being_written_is_not_read(self, program: Program, tmp_path: Path) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        with (tmp_path / "study" / JOBS_FILE).open("a") as file:
            file.write('{"job": "8", "fol')
        assert [job.job for job in read_jobs(tmp_path / "study")] == ["7"]
        note(tmp_path / "study", ("9", ["b"]), ("10", ["c"]))  # the first of them goes on in the half line
        assert [job.job for job in read_jobs(tmp_path / "study")] == ["7", "10"]


def test_cancel_cancels_the_studys_jobs_alone(program: Program, tmp_path: Path) -> None:
    note(tmp_path / "study", ("7_0", ["a"]), ("7_1", ["b"]), ("8", []))
    program("squeue", 'echo "7_1 RUNNING"; echo "8 PENDING"; echo "99 RUNNING"')
    program("scancel", "")
    assert cancel(tmp_path / "study") == ["7_1", "8"]
    assert calls(tmp_path, "scancel") == ["7 8"]


def test_cancelling_nothing_calls_nothing(program: Program, tmp_path: Path) -> None:
    program("squeue", "")
    assert cancel(tmp_path / "study") == []


class TestSubmitterThatIsKilled:
    """Between any two steps: what the study's folder and SLURM hold then, and what the same command makes of it."""

    def killed_after_the_array(self, program: Program, tmp_path: Path, noted: int) -> Plan:
        """Two runs are queued as tasks 1_0 and 1_1, of which so many had been noted."""
        cluster(program, tmp_path)
        planned = study(tmp_path, 2)
        submitted(planned)
        path = planned.study.dir / JOBS_FILE
        announced, *lines = path.read_text().splitlines()
        path.write_text("".join(f"{line}\n" for line in [announced, *lines[:noted]]))
        (tmp_path / "calls").unlink()
        name = json.loads(announced)["name"]
        program("squeue", f'echo "1_0 RUNNING {name}"; echo "1_1 PENDING {name}"; echo "99 RUNNING other"')
        return planned

    @pytest.mark.parametrize("noted", [0, 1, 2])
    def test_the_job_that_concludes_is_added_and_no_run_submitted_twice(
        self, noted: int, program: Program, tmp_path: Path
    ) -> None:
        planned = self.killed_after_the_array(program, tmp_path, noted)
        jobs = look_after(planned, planned.distinct(), submission())
        assert [(job.job, job.folders) for job in jobs] == [("3", ())]
        script = (tmp_path / "study" / LOGS_FOLDER / "3_submission.sh").read_text()
        assert "#SBATCH --dependency=afterany:1\n" in script

    def test_it_is_added_once(self, program: Program, tmp_path: Path) -> None:
        planned = self.killed_after_the_array(program, tmp_path, 2)
        look_after(planned, planned.distinct(), submission())
        program("squeue", 'echo "1_0 RUNNING x"; echo "1_1 PENDING x"; echo "3 PENDING y"')
        assert look_after(planned, planned.distinct(), submission()) == []

    def test_it_is_added_by_the_one_before_it_for_what_came_later(
        self, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned = self.killed_after_the_array(program, tmp_path, 2)
        planned.write()
        note(planned.study.dir, ("50", []))
        program("squeue", 'echo "1_0 RUNNING x"; echo "1_1 PENDING x"; echo "50 RUNNING y"')
        monkeypatch.setenv("SLURM_JOB_ID", "50")
        ConcludingJob(planned.study.dir, submission())()
        assert [job.job for job in read_jobs(planned.study.dir)][-1] == "3"

    @pytest.mark.parametrize("noted", [0, 1, 2])
    def test_cancel_and_status_find_all_of_it(self, noted: int, program: Program, tmp_path: Path) -> None:
        planned = self.killed_after_the_array(program, tmp_path, noted)
        first, second = planned.distinct()
        states = queue_states(planned.study.dir)
        assert {folder: state.state for folder, state in states.items()} == {
            first.folder: "RUNNING",
            second.folder: "PENDING",
        }
        assert states[second.folder].log == str(planned.study.dir / LOGS_FOLDER / "1_1_0_log.err")
        assert cancel(planned.study.dir) == ["1_0", "1_1"]
        assert calls(tmp_path, "scancel") == ["1"]

    def test_jobs_that_were_never_given_their_work_count_for_nothing_but_cancel(
        self, program: Program, tmp_path: Path
    ) -> None:
        planned = self.killed_after_the_array(program, tmp_path, 0)
        for path in (planned.study.dir / LOGS_FOLDER).glob("*.pkl"):
            path.unlink()
        assert [job.job for job in look_after(planned, planned.distinct(), submission())] == ["3_0", "3_1", "4"]
        assert cancel(planned.study.dir) == ["1_0", "1_1"]

    def test_what_was_announced_and_never_submitted_is_nothing(self, program: Program, tmp_path: Path) -> None:
        cluster(program, tmp_path)
        planned = study(tmp_path, 2)
        announce_jobs(planned.study.dir, "pointrad-tiny-0123abcd", [["a"], ["b"]])
        program("squeue", "")
        assert queue_states(planned.study.dir) == {}
        assert len(look_after(planned, planned.distinct(), submission())) == 3


class TestControllerThatIsOutOfReachForAWhile:
    def test_submitting_is_tried_again_and_what_may_have_been_taken_is_withdrawn(
        self, program: Program, tmp_path: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cluster(program, tmp_path)
        failing(program, tmp_path, "sbatch", 2, 'echo "Submitted batch job 5"')
        assert submitted(study(tmp_path, 1)) == [("5", 1), ("5", 0)]
        assert waits == [1, 2]
        names = [json.loads(line).get("name") for line in (tmp_path / "study" / JOBS_FILE).read_text().splitlines()]
        assert calls(tmp_path, "scancel") == [f"--name={name}" for name in names[:2]]
        assert "submitting again in 2 s" in capsys.readouterr().err

    def test_the_last_try_promises_no_other(
        self, program: Program, tmp_path: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        cluster(program, tmp_path)
        failing(program, tmp_path, "sbatch", 100, "")
        with pytest.raises(UserError, match="SLURM does not answer; the same command again submits what is missing"):
            submitted(study(tmp_path, 1))
        assert waits == [*PATIENTLY]
        assert capsys.readouterr().err.count("submitting again in") == len(PATIENTLY)
        assert len(calls(tmp_path, "sbatch")) == len(calls(tmp_path, "scancel")) == len(PATIENTLY) + 1

    def test_a_refusal_is_not_tried_again(self, program: Program, tmp_path: Path, waits: list[float]) -> None:
        cluster(program, tmp_path, takes=0)
        with pytest.raises(UserError, match="QOSMaxSubmitJobPerUserLimit"):
            submitted(study(tmp_path, 2))
        assert waits == []

    def test_whoever_waits_for_the_jobs_goes_on_waiting(
        self, program: Program, tmp_path: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
    ) -> None:
        note(tmp_path / "study", ("7", ["a"]))
        failing(program, tmp_path, "squeue", 5, "")
        wait_until_ended(tmp_path / "study", 5)
        assert waits == [5] * 5
        assert capsys.readouterr().err.count("waiting until it answers") == 1

    def test_the_concluding_job_asks_for_minutes_and_reports_in_any_case(
        self, program: Program, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        planned = study(tmp_path, 1)
        planned.write()
        note(planned.study.dir, ("7", [planned.distinct()[0].folder]))
        program("squeue", "echo Unable to contact slurm controller >&2; exit 1")
        reported: list[Plan] = []
        monkeypatch.setattr("launcher.slurm.bring_report_up_to_date", reported.append)
        with pytest.raises(NoAnswerError):
            ConcludingJob(planned.study.dir, submission())()
        assert sum(waits) >= 300
        assert len(reported) == 1


def test_cancel_also_finds_what_is_submitted_meanwhile(program: Program, tmp_path: Path) -> None:
    note(tmp_path / "study", ("7", ["a"]), ("8", []), ("9", ["a"]))
    program("scancel", f": > {tmp_path}/cancelled")
    program("squeue", f'echo "7 RUNNING x"; [ ! -e {tmp_path}/cancelled ] || echo "9 PENDING y"')
    assert cancel(tmp_path / "study") == ["7", "9"]
    assert calls(tmp_path, "scancel") == ["7", "9"]
