"""`python sweep.py ... hydra/launcher=slurm detach=true`, on a SLURM where everything goes wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.queue import array_ids, read_jobs
from pointrad.study.plan import Plan
from tests.cluster.studies import (
    EPOCHS,
    RUNS_4,
    RUNS_24,
    Study,
    ended,
    hold_one,
    kill,
    lose_node,
    metrics,
    queued,
    reach_limit,
    releasing,
    requeue,
    slurm,
    wait_for,
    write_scenes,
)
from tests.commands import Ended

pytestmark = pytest.mark.cluster

SLURM = "hydra/launcher=slurm_local"
FAULTS = {"its limit": reach_limit, "requeue": requeue, "kill -9": kill, "its node vanishes": lose_node}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes"))


@dataclass(frozen=True)
class Survived:
    """A study of 24 runs to which everything has happened, and its twin, computed here by one undisturbed process."""

    study: Study
    here: Study
    again: Ended
    victims: dict[str, str]
    spoilt: Path


@pytest.fixture(scope="module")
def survived(local_slurm: dict[str, str], scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Survived:
    study = Study(tmp_path_factory.mktemp("there"), scenes, RUNS_24, local_slurm)
    here = Study(tmp_path_factory.mktemp("here"), scenes, RUNS_24, local_slurm)
    undisturbed = here.start()
    # Eight processes that all compile kernels would take minutes; what the first one has compiled is theirs too.
    wait_for(lambda: any(here.folder.glob("runs/*/metrics.jsonl")), "the first epoch")
    spoilt = study.folder / Plan.read(here.folder).runs[-1].folder
    study.spoil(spoilt)
    submitter = study.start(SLURM)
    wait_for(lambda: len(read_jobs(study.folder)) == 25, "24 jobs and one that concludes")
    submitter.kill()
    submitter.communicate()
    second = study.start(SLURM, "detach=true")
    victims: dict[str, str] = {}
    with releasing(local_slurm):
        for name, fault in FAULTS.items():
            victim = hold_one(study, list(victims.values()))
            victims[name] = victim.run_dir.name
            fault(victim, local_slurm)
            second.wait()  # before a job dies whose run it could submit
        wait_for(lambda: not queued(local_slurm), "the end of all jobs", 400)
    assert ended(undisturbed).code == 0
    return Survived(study, here, ended(second), victims, spoilt)


@pytest.mark.slow  # four minutes: `pytest -m slow tests/cluster`
class TestAnArrayToWhichEverythingHappens:
    def test_all_runs_but_the_failing_one_finish(self, survived: Survived) -> None:
        assert len(survived.study.done) == 23
        assert survived.spoilt.name not in survived.study.done

    def test_each_finishes_once_and_only_the_disturbed_were_begun_again(self, survived: Survived) -> None:
        for name in survived.study.done:
            epochs = [row["epoch"] for row in metrics(survived.study.folder / "runs" / name)]
            assert epochs == list(range(1, EPOCHS + 4))
        attempts = survived.study.attempts
        assert {attempts[name] for name in survived.victims.values()} == {2}
        # The node that vanished may have computed another run beside its victim.
        assert sum(attempts.values()) in (24 + len(FAULTS), 25 + len(FAULTS))

    @pytest.mark.parametrize("fault", FAULTS)
    def test_the_disturbed_go_on_from_their_checkpoints(self, survived: Survived, fault: str) -> None:
        log = (survived.study.folder / "runs" / survived.victims[fault] / "run.log").read_text()
        assert "Resuming after epoch" in log

    def test_the_results_are_bit_for_bit_those_of_a_sweep_here(self, survived: Survived) -> None:
        assert len(survived.here.done) == 24
        for name in survived.study.done:
            there, here = (study.folder / "runs" / name for study in (survived.study, survived.here))
            assert metrics(there) == metrics(here)
            assert (there / "cloud.ply").read_bytes() == (here / "cloud.ply").read_bytes()

    @pytest.mark.parametrize("action", ["status", "collect"])
    def test_a_new_process_tells_all_of_it(self, survived: Survived, action: str) -> None:
        told = survived.study.ask(action)
        assert told.code == 1
        assert "23 done, 1 failed" in told.out
        assert told.out.count("attempt 2") >= len(FAULTS)
        assert "checkpoint.pt" in told.out
        assert f"({survived.spoilt}/traceback.txt)" in told.out
        assert "UserError" in (survived.spoilt / "traceback.txt").read_text()

    def test_a_second_call_while_it_was_queued_submitted_nothing_and_the_killed_run_was_submitted_again(
        self, survived: Survived
    ) -> None:
        assert survived.again.code == 0, survived.again.err
        assert "Submitted" not in survived.again.out
        resubmitted = [job for job in read_jobs(survived.study.folder)[25:] if job.folders]
        killed = survived.victims["kill -9"]
        assert [job.folders for job in resubmitted] == [(f"runs/{killed}",)]


@dataclass(frozen=True)
class Cancelled:
    """A study submitted twice and cancelled, all while its jobs were queued."""

    study: Study
    first: Ended
    second: Ended
    jobs: int
    shown: str
    cancelled: Ended


@pytest.fixture(scope="module")
def cancelled(local_slurm: dict[str, str], scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Cancelled:
    study = Study(tmp_path_factory.mktemp("cancelled"), scenes, RUNS_4, local_slurm)
    held = (SLURM, "detach=true", "+hydra.launcher.additional_parameters={hold: true, mail-user: me, mail-type: END}")
    first, second = study(*held), study(*held)
    jobs = read_jobs(study.folder)
    shown = "".join(
        slurm(local_slurm, "scontrol", "show", "job", array) for array in array_ids(job.job for job in jobs)
    )
    return Cancelled(study, first, second, len(jobs), shown, study.ask("cancel"))


class TestWhileJobsAreQueued:
    def test_submitting_returns_at_once_and_says_what_was_submitted(self, cancelled: Cancelled) -> None:
        assert cancelled.first.code == 0, cancelled.first.err
        assert "Submitted 4 runs as 4 jobs" in cancelled.first.out

    def test_submitting_again_submits_nothing_and_shows_them_as_queued(self, cancelled: Cancelled) -> None:
        assert cancelled.second.code == 0, cancelled.second.err
        assert "Submitted" not in cancelled.second.out
        assert cancelled.second.out.count("queued (pending)") == 4
        assert cancelled.jobs == 5

    def test_slurm_knows_whom_to_write_to_when_they_and_the_report_are_done(self, cancelled: Cancelled) -> None:
        assert cancelled.shown.count("MailUser=me MailType=END") == 2  # of the array, and of the job that concludes it

    def test_cancel_leaves_nothing_queued_and_says_what_was(
        self, cancelled: Cancelled, local_slurm: dict[str, str]
    ) -> None:
        assert cancelled.cancelled.code == 0, cancelled.cancelled.err
        jobs = {job.job for job in read_jobs(cancelled.study.folder)}
        assert set(cancelled.cancelled.out.split()) >= jobs
        assert not [line for line in queued(local_slurm) if line.split()[0] in jobs]

    def test_the_runs_are_then_shown_as_cancelled_and_the_exit_code_is_1(self, cancelled: Cancelled) -> None:
        told = cancelled.study.ask("status")
        assert told.code == 1
        assert told.out.count("its job has ended: cancelled") == 4


def test_an_attached_sweep_of_packed_runs_ends_with_1_if_one_failed(
    local_slurm: dict[str, str], scenes: Path, tmp_path: Path
) -> None:
    study = Study(tmp_path, scenes, RUNS_4, local_slurm)
    planned = study("dry_run=true").out
    identity = re.findall(r"[0-9a-f]{16}", planned)[0]
    study.spoil(tmp_path / "runs" / f"demo_level-0_consistency-1.0_repeat-0_{identity}")
    told = study(SLURM, "runs_per_job=4")
    assert told.code == 1, told.err
    assert "Submitted 4 runs as 1 jobs" in told.out
    assert "3 done, 1 failed" in told.out
    assert len(read_jobs(tmp_path)) == 2


def test_a_bad_environment_is_told_with_the_log(local_slurm: dict[str, str], scenes: Path, tmp_path: Path) -> None:
    study = Study(tmp_path, scenes, RUNS_4, local_slurm)
    told = study(SLURM, "hydra.launcher.setup=['echo no such environment >&2; exit 3']")
    assert told.code == 1
    assert told.out.count("its job has ended: failed (") == 4
    for job in read_jobs(tmp_path):
        assert f"({job.log})" in told.out or not job.folders
        assert "no such environment" in Path(job.log).read_text()


def test_a_wrong_partition_is_one_message_and_leaves_no_job(
    local_slurm: dict[str, str], scenes: Path, tmp_path: Path
) -> None:
    study = Study(tmp_path, scenes, RUNS_4, local_slurm)
    told = study(SLURM, "detach=true", "hydra.launcher.partition=gpu")
    assert told.code == 1
    assert "invalid partition specified: gpu" in told.err
    assert "Traceback" not in told.out + told.err
    assert read_jobs(tmp_path) == []
