"""Studies as SLURM job arrays that outlive whoever submitted them.

submitit writes, submits and requeues the jobs. Which there are is told by `launcher.queue`; what became of the runs is
in their folders, as everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import Any, TypeVar

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from launcher.elsewhere import setup_of_jobs
from launcher.queue import (
    LOGS_FOLDER,
    PATIENTLY,
    Job,
    NoAnswerError,
    Queue,
    announce_jobs,
    array_ids,
    ask,
    note_job,
    slurm,
)
from launcher.requeue import preemptible
from pointrad.errors import UserError
from pointrad.progress import announce
from pointrad.run.status import RunState
from pointrad.study.conclude import bring_report_up_to_date
from pointrad.study.plan import STOP_FILE, Plan, PlannedRun

T = TypeVar("T")

_NOT_SBATCHS = {"_target_", "submitit_folder", "max_num_timeout"}
_RENAMED = {"name": "job_name", "timeout_min": "time", "mem_gb": "mem", "tasks_per_node": "ntasks_per_node"}
# SLURM's words where it is the controller that is in trouble and not what was asked of it.
_OUT_OF_REACH = re.compile(r"unable to contact|timed out|connection|zero bytes|temporarily", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """How a study's jobs are submitted.

    parameters: the keys of conf/hydra/launcher/slurm.yaml. runs_per_job: runs that one job computes after each other.
    rounds: how often, in all, the cluster is asked to compute runs that neither finished nor failed. fail_fast: whether
    the first failed run keeps the rest from starting.
    """

    parameters: dict[str, Any]
    runs_per_job: int
    rounds: int
    fail_fast: bool


class RunsJob:
    """What a job does: computes its runs; interrupted, it goes on with those that are left."""

    def __init__(self, study_dir: Path, folders: Sequence[str], stop: Path | None) -> None:
        self._study_dir, self._left, self._stop = study_dir, list(folders), stop

    def __call__(self) -> None:
        preemptible(self._compute)

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What submitit submits again. The runs' own checkpoints are written by then."""
        return submitit.helpers.DelayedSubmission(self)

    def _compute(self) -> None:
        from pointrad.study.job import compute

        plan = Plan.read(self._study_dir)
        runs = {run.folder: run for run in plan.runs}
        while self._left:
            run = runs[self._left[0]]
            if plan.status(run).state is not RunState.DONE:
                compute(run.config, plan.run_dir(run), self._stop)
            del self._left[0]


class ConcludingJob:
    """Runs when all jobs of a round have ended: submits what they left, or writes the report."""

    def __init__(self, study_dir: Path, submission: Submission) -> None:
        self._study_dir, self._submission = study_dir, submission

    def __call__(self) -> None:
        plan = Plan.read(self._study_dir)
        submission = replace(self._submission, rounds=self._submission.rounds - 1)
        stopped = submission.fail_fast and (self._study_dir / STOP_FILE).exists()
        left = [run for run in plan.distinct() if plan.status(run).state.is_left]
        try:
            look_after(
                plan, left if submission.rounds and not stopped else [], submission, os.environ.get("SLURM_JOB_ID")
            )
        finally:
            bring_report_up_to_date(plan)


def look_after(plan: Plan, runs: Sequence[PlannedRun], submission: Submission, own: str | None = None) -> list[Job]:
    """Submit those of `runs` that no job in the queue computes, and the job that concludes the study where none in the
    queue does, note them in the study's `jobs.jsonl`, and return at once.

    own: the job that asks. Raises UserError, with SLURM's own words, if there is no SLURM here or it refuses.
    """
    queue = Queue.ask(plan.study.dir, PATIENTLY)
    new = [run for run in runs if not queue.computes(run)]
    if new:
        return submit(plan, new, submission, queue.arrays)
    if queue.arrays and not queue.is_concluded(besides=own):
        with telling_refusals():
            return _submit_conclusion(plan, submission, queue.arrays)
    return []


def submit(plan: Plan, runs: Sequence[PlannedRun], submission: Submission, queued: Sequence[str] = ()) -> list[Job]:
    """Submit `runs`, and the job that concludes them and the arrays that are `queued`."""
    chunks = _split([run.folder for run in runs], submission.runs_per_job)
    study_dir = plan.study.dir.resolve()
    stop = study_dir / STOP_FILE if submission.fail_fast else None
    jobs: list[Job] = []
    try:
        with telling_refusals():
            for array in _split(chunks, _largest_array()):
                work = [RunsJob(study_dir, folders, stop) for folders in array]
                jobs += _submitted(plan, submission.parameters, work, array)
            return [*jobs, *_submit_conclusion(plan, submission, [*queued, *array_ids(job.job for job in jobs)])]
    except UserError:
        if jobs:  # all or nothing: what was accepted before would never be concluded
            try:
                slurm("scancel", *array_ids(job.job for job in jobs))
            except NoAnswerError as error:
                announce(f"{error}; `sweep.py cancel` cancels what was submitted")
        raise


def _submit_conclusion(plan: Plan, submission: Submission, after: Sequence[str]) -> list[Job]:
    others = dict(submission.parameters.get("additional_parameters") or {})
    changes: dict[str, Any] = {"timeout_min": 30, "array_parallelism": 1}
    changes |= {"additional_parameters": others | {"dependency": f"afterany:{':'.join(after)}"}}
    work = [ConcludingJob(plan.study.dir.resolve(), submission)]
    return _submitted(plan, submission.parameters | changes, work, [()])


@contextmanager
def telling_refusals() -> Iterator[None]:
    """Where the block submits jobs: raise UserError with SLURM's own words if there is none here or it refuses them."""
    if shutil.which("sbatch") is None:
        raise UserError("hydra/launcher: found slurm, but there is no sbatch here; expected a SLURM login node")
    try:
        yield
    except (FailedJobError, FailedSubmissionError) as error:
        if isinstance(error, FailedJobError) and not isinstance(error.__cause__, subprocess.CalledProcessError):
            raise  # a job's own failure
        raise UserError(f"hydra.launcher: SLURM refused the jobs: {str(error).strip()}") from None


def _executor(study_dir: Path, parameters: Mapping[str, Any]) -> submitit.SlurmExecutor:
    executor = submitit.SlurmExecutor(study_dir / LOGS_FOLDER, max_num_timeout=parameters["max_num_timeout"])
    given = {key: value for key, value in parameters.items() if key not in _NOT_SBATCHS and value is not None}
    given = {_RENAMED.get(key, key): value for key, value in given.items()}
    if "mem" in given:
        given["mem"] = f"{given['mem']}GB"
    executor.update_parameters(**given | {"setup": setup_of_jobs(given.get("setup"))})
    return executor


def _submitted(
    plan: Plan, parameters: Mapping[str, Any], work: Sequence[Any], tasks: Sequence[Sequence[str]]
) -> list[Job]:
    """Submit `work` as a job or an array whose name is noted before, and note the jobs, which compute `tasks`."""
    study_dir = plan.study.dir.resolve()
    for wait in (*PATIENTLY, None):
        name = f"{parameters['name']}-{plan.study.name}-{uuid.uuid4().hex[:8]}"
        announce_jobs(study_dir, name, tasks)
        executor = _executor(study_dir, {**parameters, "name": name})
        try:
            with executor.batch():
                submitted = [executor.submit(one) for one in work]
            break
        except FailedJobError as error:
            if not _OUT_OF_REACH.search(str(error)):
                raise
            if wait is None:
                _withdraw(name)
                raise UserError(
                    "sbatch: SLURM does not answer; the same command again submits what is missing"
                ) from None
            announce(f"sbatch: {str(error).strip()}; submitting again in {wait:g} s")
            sleep(wait)
            _withdraw(name)
    jobs = [
        Job(str(job.job_id), tuple(folders), str(job.paths.stderr))
        for job, folders in zip(submitted, tasks, strict=True)
    ]
    for job in jobs:
        note_job(study_dir, job)
    return jobs


def _withdraw(name: str) -> None:
    """SLURM may have taken jobs of this name and not have said so."""
    with suppress(NoAnswerError):
        slurm("scancel", f"--name={name}")


def _split(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _largest_array() -> int:
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask(("scontrol", "show", "config"), PATIENTLY), re.MULTILINE)
    return int(found.group(1)) - 1 if found else 1000  # the largest *index* is one less than MaxArraySize
