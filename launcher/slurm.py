"""Studies as SLURM job arrays that outlive whoever submitted them.

submitit writes, submits and requeues the jobs. What is in the queue is kept in the study's `jobs.jsonl`, one line per
job; what became of the runs is in their folders, as everywhere.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import submitit
from submitit.core.utils import FailedJobError
from submitit.slurm.slurm import SlurmInfoWatcher

from launcher.requeue import preemptible
from pointrad.errors import UserError
from pointrad.files import append_line
from pointrad.status import RunState, read_status
from pointrad.study.conclude import bring_report_up_to_date
from pointrad.study.plan import STOP_FILE, Plan, PlannedRun
from pointrad.study.watch import QueueState

T = TypeVar("T")

JOBS_FILE, LOGS_FOLDER = "jobs.jsonl", "jobs"
_REPOSITORY = Path(__file__).resolve().parents[1]
_NOT_SBATCHS = {"_target_", "submitit_folder", "max_num_timeout"}
_RENAMED = {"name": "job_name", "timeout_min": "time", "mem_gb": "mem", "tasks_per_node": "ntasks_per_node"}


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


@dataclass(frozen=True)
class Job:
    """A line of `jobs.jsonl`: a job or task of an array, the run folders it computes, and its log."""

    job: str
    folders: tuple[str, ...]
    log: str


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

        runs = {run.folder: run for run in Plan.read(self._study_dir).runs}
        while self._left:
            run_dir = self._study_dir / self._left[0]
            if read_status(run_dir).state is not RunState.DONE:
                compute(runs[self._left[0]].config, run_dir, self._stop)
            del self._left[0]


class ConcludingJob:
    """Runs when all jobs of a round have ended: submits what they left, or writes the report."""

    def __init__(self, study_dir: Path, submission: Submission) -> None:
        self._study_dir, self._submission = study_dir, submission

    def __call__(self) -> None:
        plan = Plan.read(self._study_dir)
        left = not_queued(plan, [run for run in plan.distinct() if _is_left(plan, run)])
        stopped = self._submission.fail_fast and (self._study_dir / STOP_FILE).exists()
        if left and self._submission.rounds > 1 and not stopped:
            submit(plan, left, Submission(**(asdict(self._submission) | {"rounds": self._submission.rounds - 1})))
        bring_report_up_to_date(plan)


def submit(plan: Plan, runs: Sequence[PlannedRun], submission: Submission) -> list[Job]:
    """Submit `runs` and the job that concludes them, note them in the study's `jobs.jsonl`, and return at once.

    Raises UserError, with SLURM's own words, if there is no SLURM here or it refuses.
    """
    chunks = _split([run.folder for run in runs], submission.runs_per_job)
    study_dir = plan.study.dir.resolve()
    stop = study_dir / STOP_FILE if submission.fail_fast else None
    jobs: list[Job] = []
    try:
        with telling_refusals():
            for array in _split(chunks, _largest_array()):
                executor = _executor(study_dir, submission.parameters)
                submitted = _submitted(executor, [RunsJob(study_dir, folders, stop) for folders in array])
                jobs += [_note(study_dir, job, folders) for job, folders in zip(submitted, array, strict=True)]
            return [*jobs, _submit_conclusion(study_dir, submission, array_ids(jobs))]
    except UserError:
        if jobs:  # all or nothing: what was accepted before would never be concluded
            _slurm("scancel", *array_ids(jobs))
        raise


def _submit_conclusion(study_dir: Path, submission: Submission, after: Sequence[str]) -> Job:
    executor = _executor(study_dir, submission.parameters | {"timeout_min": 30, "array_parallelism": 1})
    others = dict(submission.parameters.get("additional_parameters") or {})
    executor.update_parameters(additional_parameters=others | {"dependency": f"afterany:{':'.join(after)}"})
    (job,) = _submitted(executor, [ConcludingJob(study_dir, submission)])
    return _note(study_dir, job, ())


@contextmanager
def telling_refusals() -> Iterator[None]:
    """Where the block submits jobs: raise UserError with SLURM's own words if there is none here or it refuses them."""
    if shutil.which("sbatch") is None:
        raise UserError("hydra/launcher: found slurm, but there is no sbatch here; expected a SLURM login node")
    try:
        yield
    except FailedJobError as error:
        if not isinstance(error.__cause__, subprocess.CalledProcessError):  # a job's own failure
            raise
        raise UserError(f"hydra.launcher: SLURM refused the jobs: {str(error).strip()}") from None


def read_jobs(study_dir: Path) -> list[Job]:
    """All jobs ever submitted for the study in this folder, oldest first."""
    path = study_dir / JOBS_FILE
    if not path.exists():
        return []
    *lines, _half = path.read_text(encoding="utf-8").split("\n")
    values = [json.loads(line) for line in lines]
    return [Job(value["job"], tuple(value["folders"]), value["log"]) for value in values]


def queue_states(study_dir: Path) -> dict[str, QueueState]:
    """What SLURM says of each run folder's latest job; "" is the concluding job's. Empty where there is no SLURM."""
    jobs = read_jobs(study_dir)
    if not jobs or shutil.which("squeue") is None:
        return {}
    queued = _squeue(jobs)
    ended = _sacct([job for job in jobs if job.job not in queued])
    states: dict[str, QueueState] = {}
    for job in jobs:
        state = QueueState(queued.get(job.job) or ended.get(job.job) or "ENDED", job.log)
        for folder in job.folders or ("",):
            states[folder] = state
    return states


def not_queued(plan: Plan, runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """Those of `runs` that no job in the queue computes or will compute."""
    states = queue_states(plan.study.dir)
    return [run for run in runs if run.folder not in states or not states[run.folder].in_queue]


def lost_runs(plan: Plan, states: Mapping[str, QueueState]) -> list[PlannedRun]:
    """The runs whose jobs have ended without finishing them, and which nothing in the queue will look after.

    states: of `queue_states`.
    """
    if any(state.in_queue for state in states.values()):
        return []
    return [run for run in plan.distinct() if run.folder in states and _is_left(plan, run)]


def cancel(study_dir: Path) -> list[str]:
    """Cancel the study's jobs that are still in the queue; returns their ids."""
    jobs = read_jobs(study_dir)
    states = _squeue(jobs)
    queued = [job for job in jobs if job.job in states]
    if queued:
        _slurm("scancel", *array_ids(queued))  # whole arrays: of tasks given one by one, SLURM forgets how they ended
    return sorted({job.job for job in queued})


def array_ids(jobs: Iterable[Job]) -> list[str]:
    """The ids of whole arrays; a plain job's own."""
    return sorted({job.job.split("_")[0] for job in jobs})


def _is_left(plan: Plan, run: PlannedRun) -> bool:
    return plan.status(run).state.is_left


def _executor(study_dir: Path, parameters: Mapping[str, Any]) -> submitit.SlurmExecutor:
    executor = submitit.SlurmExecutor(study_dir / LOGS_FOLDER, max_num_timeout=parameters["max_num_timeout"])
    given = {key: value for key, value in parameters.items() if key not in _NOT_SBATCHS and value is not None}
    given = {_RENAMED.get(key, key): value for key, value in given.items()}
    if "mem" in given:
        given["mem"] = f"{given['mem']}GB"
    # A job starts in the folder it was submitted from, which need not be the repository's.
    path = f'export PYTHONPATH={shlex.quote(str(_REPOSITORY))}"${{PYTHONPATH:+:$PYTHONPATH}}"'
    executor.update_parameters(**given | {"setup": [path, *(given.get("setup") or [])]})
    return executor


def _submitted(executor: submitit.SlurmExecutor, work: Sequence[Any]) -> list[submitit.Job[Any]]:
    with executor.batch():
        return [executor.submit(one) for one in work]


def _note(study_dir: Path, job: submitit.Job[Any], folders: Sequence[str]) -> Job:
    noted = Job(str(job.job_id), tuple(folders), str(job.paths.stderr))
    append_line(study_dir / JOBS_FILE, json.dumps(asdict(noted)))
    return noted


def _split(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _largest_array() -> int:
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _slurm("scontrol", "show", "config"), re.MULTILINE)
    return int(found.group(1)) - 1 if found else 1000  # the largest *index* is one less than MaxArraySize


def _squeue(jobs: Sequence[Job]) -> dict[str, str]:
    """State of each job that is in the queue. Asks for all of the user's: an id SLURM has forgotten is an error."""
    ours = {job.job for job in jobs}
    lines = _slurm("squeue", "--noheader", "--array", "--me", "--format=%i %T").splitlines()
    return {job: state for job, state in (line.split() for line in lines) if job in ours}


def _sacct(jobs: Sequence[Job]) -> dict[str, str]:
    """State of each job that has ended, where SLURM keeps accounts."""
    if not jobs or shutil.which("sacct") is None:
        return {}
    ids = ",".join(array_ids(jobs))
    try:
        text = _slurm("sacct", "--parsable2", "--format=JobID,State", "--jobs", ids)
    except UserError:
        return {}  # no accounting; the run folders still tell what matters
    told = SlurmInfoWatcher().read_info(text)  # tasks that ended together are told together, as 7_[0-3]
    return {job: values["State"].split()[0] for job, values in told.items() if values["State"]}


def _slurm(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        raise UserError(
            f"hydra/launcher: found slurm, but there is no {command[0]} here; expected a login node"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{' '.join(command)}: {_said(error)}") from None


def _said(error: Exception) -> str:
    """A command's own words, where it had any."""
    return str(getattr(error, "stderr", None) or error).strip()
