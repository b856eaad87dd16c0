"""`python sweep.py ... hydra/launcher=slurm detach=true`, on a SLURM where everything goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.slurm import read_jobs
from pointrad.study.plan import Plan
from tests.cluster.studies import (
    EPOCHS,
    RUNS_4,
    RUNS_24,
    Ended,
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
    wait_for,
    write_scenes,
)

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
    first_jobs: int
    again: Ended
    victims: dict[str, str]
    spoilt: Path


@pytest.fixture(scope="module")
def survived(local_slurm: dict[str, str], scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Survived:
    study = Study(tmp_path_factory.mktemp("there"), scenes, RUNS_24, local_slurm)
    here = Study(tmp_path_factory.mktemp("here"), scenes, RUNS_24, local_slurm)
    undisturbed = here.start()
    wait_for((here.folder / "plan.json").exists, "the plan")
    spoilt = study.folder / Plan.read(here.folder).runs[-1].folder
    study.spoil(spoilt)
    submitter = study.start(SLURM)
    wait_for(lambda: len(read_jobs(study.folder)) == 25, "24 jobs and one that concludes")
    submitter.kill()
    submitter.communicate()
    again = study(SLURM, "detach=true")
    first_jobs = len(read_jobs(study.folder))
    victims: dict[str, str] = {}
    with releasing(local_slurm):
        for name, fault in FAULTS.items():
            victim = hold_one(study, list(victims.values()))
            victims[name] = victim.run_dir.name
            fault(victim, local_slurm)
        wait_for(lambda: not queued(local_slurm), f"the end of all jobs: {queued(local_slurm)}", 400)
    assert ended(undisturbed).code == 0
    return Survived(study, here, first_jobs, again, victims, spoilt)


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
        assert "UserError" in (survived.spoilt / "traceback.txt").read_text()

    def test_submitting_again_while_it_was_queued_submitted_nothing(self, survived: Survived) -> None:
        assert survived.again.code == 0, survived.again.err
        assert "Submitted" not in survived.again.out
        assert survived.first_jobs == 25
