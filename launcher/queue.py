"""A study's jobs: which there are, and what SLURM says of them.

Both what will be submitted and what has been is kept in the study's `jobs.jsonl`: first a line with the jobs' name,
then, once SLURM has taken them, a line for each job. Jobs that SLURM has taken and whose lines are missing, since
their submitter was killed, are known by that name.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep
from typing import Any

from submitit.core.utils import JobPaths
from submitit.slurm.slurm import SlurmInfoWatcher

from pointrad.errors import UserError
from pointrad.files import append_line, read_json_lines
from pointrad.progress import announce
from pointrad.study.plan import PlannedRun
from pointrad.study.watch import QueueState

JOBS_FILE, LOGS_FOLDER = "jobs.jsonl", "jobs"

# How long to wait before each further question to a SLURM that does not answer, in seconds.
BRIEFLY = (1.0,)  # whoever looks goes on without
PATIENTLY = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)  # a controller that restarts is back by then

_NO_ACCOUNTS = "accounting storage is disabled"  # sacct's words


class NoAnswerError(UserError):
    """SLURM does not answer."""


@dataclass(frozen=True)
class Job:
    """A job or task of an array, the run folders it computes (none: it concludes the study), and its log."""

    job: str
    folders: tuple[str, ...]
    log: str


@dataclass(frozen=True)
class Queue:
    """A study's jobs at one moment: all that are known, and the states of those in the queue by their ids."""

    jobs: tuple[Job, ...]
    states: Mapping[str, str]

    @classmethod
    def ask(cls, study_dir: Path, waits: Sequence[float]) -> Queue:
        """Raises NoAnswerError if SLURM does not answer, and UserError where there is none."""
        noted, announced = _read(study_dir)
        if not noted and not announced:
            return cls((), {})
        # All of the user's jobs: an id that SLURM has forgotten would be an error.
        text = ask(("squeue", "--noheader", "--array", "--me", "--format=%i %T %j"), waits)
        listed = [[*line.split(maxsplit=2), ""][:3] for line in text.splitlines() if line.strip()]
        known = {job.job for job in noted}
        found = [
            _found(study_dir, job, announced[name]) for job, _, name in listed if name in announced and job not in known
        ]
        states = {job: state for job, state, name in listed if job in known or name in announced}
        return cls((*noted, *(job for job in found if job is not None)), states)

    def computes(self, run: PlannedRun) -> bool:
        """Whether a job in the queue computes the run or will compute it."""
        return any(run.folder in job.folders for job in self._queued)

    @property
    def arrays(self) -> list[str]:
        """The ids of those in the queue that compute runs."""
        return array_ids(job.job for job in self._queued if job.folders)

    def is_concluded(self, besides: str | None = None) -> bool:
        """Whether a job in the queue other than `besides` will conclude the study."""
        return any(not job.folders and job.job != besides for job in self._queued)

    @property
    def _queued(self) -> list[Job]:
        return [job for job in self.jobs if job.job in self.states]


def announce_jobs(study_dir: Path, name: str, tasks: Sequence[Sequence[str]]) -> None:
    """Note that jobs of this name are about to be submitted. tasks: the run folders of each; none: it concludes."""
    append_line(study_dir / JOBS_FILE, json.dumps({"name": name, "tasks": tasks}))


def note_job(study_dir: Path, job: Job) -> None:
    """Note that a job has been submitted."""
    append_line(study_dir / JOBS_FILE, json.dumps(asdict(job)))


def read_jobs(study_dir: Path) -> list[Job]:
    """All jobs noted for the study in this folder, oldest first."""
    return _read(study_dir)[0]


def queue_states(study_dir: Path, waits: Sequence[float] = BRIEFLY) -> dict[str, QueueState]:
    """What SLURM says of each run folder's latest job; "" is the concluding job's. Empty where there is no SLURM.

    Raises NoAnswerError if it does not answer.
    """
    if shutil.which("squeue") is None:
        return {}
    queue = Queue.ask(study_dir, waits)
    ended = _sacct([job for job in queue.jobs if job.job not in queue.states], waits)
    states: dict[str, QueueState] = {}
    for job in queue.jobs:
        state = QueueState(queue.states.get(job.job) or ended.get(job.job) or "ENDED", job.log)
        for folder in job.folders or ("",):
            states[folder] = state
    return states


def wait_until_ended(study_dir: Path, seconds_between_looks: float) -> None:
    """Return once none of the study's jobs is in the queue, however long SLURM does not answer in between."""
    answered = True
    while True:
        try:
            if not Queue.ask(study_dir, ()).states:
                return
            answered = True
        except NoAnswerError as error:
            if answered:
                announce(f"{error}; waiting until it answers")
            answered = False
        sleep(seconds_between_looks)


def cancel(study_dir: Path) -> list[str]:
    """Cancel all of the study's jobs that are in the queue; returns their ids."""
    cancelled: set[str] = set()
    while new := Queue.ask(study_dir, PATIENTLY).states.keys() - cancelled:  # also what was being submitted meanwhile
        # Whole arrays: of tasks given one by one, SLURM forgets how they ended.
        slurm("scancel", *array_ids(new))
        cancelled |= new
    return sorted(cancelled)


def array_ids(jobs: Iterable[str]) -> list[str]:
    """Of jobs' ids: those of whole arrays; a plain job's own."""
    return sorted({job.split("_")[0] for job in jobs})


def ask(question: Sequence[str], waits: Sequence[float], final: str | None = None) -> str:
    """What a SLURM command prints. Where it fails, says so and asks again after each of `waits` (seconds).

    final: words of a failure that will not pass.
    """
    for wait in waits:
        try:
            return slurm(*question)
        except NoAnswerError as error:
            if final is not None and final in str(error):
                raise
            announce(f"{error}; asking again in {wait:g} s")
            sleep(wait)
    return slurm(*question)


def slurm(*command: str) -> str:
    """What a SLURM command prints. Raises NoAnswerError with its own words if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except FileNotFoundError:
        raise UserError(
            f"hydra/launcher: found slurm, but there is no {command[0]} here; expected a login node"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NoAnswerError(f"{' '.join(command)}: {_said(error)}") from None


def _read(study_dir: Path) -> tuple[list[Job], dict[str, list[list[str]]]]:
    """The jobs noted, and the tasks of those announced by the names that they were to have."""
    values: list[dict[str, Any]] = read_json_lines(study_dir / JOBS_FILE)
    jobs = [Job(value["job"], tuple(value["folders"]), value["log"]) for value in values if "job" in value]
    return jobs, {value["name"]: value["tasks"] for value in values if "name" in value}


def _found(study_dir: Path, job: str, tasks: Sequence[Sequence[str]]) -> Job | None:
    """A job that was announced and not noted; None where its submitter was killed before it gave the job its work,
    without which the job will end at once."""
    paths = JobPaths(study_dir.resolve() / LOGS_FOLDER, job)
    if not paths.submitted_pickle.exists():
        return None
    task = int(job.partition("_")[2] or 0)
    return Job(job, tuple(tasks[task] if tasks else ()), str(paths.stderr))


def _sacct(jobs: Sequence[Job], waits: Sequence[float]) -> dict[str, str]:
    """State of each job that has ended, where SLURM keeps accounts."""
    if not jobs or shutil.which("sacct") is None:
        return {}
    question = ("sacct", "--parsable2", "--format=JobID,State", "--jobs", ",".join(array_ids(job.job for job in jobs)))
    try:
        text = ask(question, waits, final=_NO_ACCOUNTS)
    except NoAnswerError as error:  # the run folders still tell what matters
        if _NO_ACCOUNTS not in str(error):
            announce(f"{error}; how jobs have ended is not known")
        return {}
    told = SlurmInfoWatcher().read_info(text)  # tasks that ended together are told together, as 7_[0-3]
    return {job: values["State"].split()[0] for job, values in told.items() if values["State"]}


def _said(error: Exception) -> str:
    """A command's own words, where it had any."""
    return str(getattr(error, "stderr", None) or error).strip()
