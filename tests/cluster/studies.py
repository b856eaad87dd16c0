"""Tiny studies on a real SLURM, and what can go wrong with their jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from launcher.queue import Job, read_jobs
from pointrad.run.status import RunState, read_status
from tests.cluster.conftest import SCRIPT, LocalSlurm
from tests.commands import Ended
from tests.runs import REPOSITORY
from tests.scenes import write_tiny_scene

EPOCHS = 100
STUDY = (
    "study=smoke", "dataset=blender", "dataset.downscale=1", "scene.kept_share=0.5", "scene.splat_radius=0.2",
    "init.lattice=40", "init.kept_share=0.5", "model.splat_radius=0.2", "eval.lpips=false", "eval.fps_seconds=0",
    "artifacts.views=[0]", "artifacts.curves=false", "artifacts.turntable.frames=0", "threads=1",
    f"schedule.stages.base.epochs={EPOCHS}", "checkpoint.every_seconds=0.2",
    "study.axes.consistency={init.consistency:[1.0]}",
)  # fmt: skip
RUNS_24 = (
    "study.scenes=[demo,lego]", "study.axes.level={corruption.level:[0,0.05,0.1,0.2]}",
    "study.seeds={seed:[0,1,2],corruption.seed:[42,43,44]}",
)  # fmt: skip
RUNS_4 = (
    "study.scenes=[demo]", "study.axes.level={corruption.level:[0,0.1]}",
    "study.seeds={seed:[0,1],corruption.seed:[42,43]}", "schedule.stages.base.epochs=2",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A study in a folder, as its owner calls it on a login node."""

    folder: Path
    scenes: Path
    settings: tuple[str, ...]
    environment: dict[str, str]

    def start(self, *more: str) -> subprocess.Popen[str]:
        """`python sweep.py` for this study."""
        places = (
            f"study.dir={self.folder}", f"dataset.root={self.scenes}", f"cache.dir={self.folder}/cache",
            f"reuse=[{self.folder}]",
        )  # fmt: skip
        return self._start(*STUDY, *self.settings, *places, *more)

    def __call__(self, *more: str) -> Ended:
        return ended(self.start(*more))

    def ask(self, action: str) -> Ended:
        """`python sweep.py status`, `collect` or `cancel`, by a process that knows the folder alone."""
        return ended(self._start(action, "study=smoke", f"study.dir={self.folder}"))

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "sweep.py", *arguments], cwd=REPOSITORY, env=self.environment | {"COLUMNS": "200"},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    @property
    def run_dirs(self) -> list[Path]:
        return sorted(path for path in (self.folder / "runs").glob("*") if path.is_dir())

    @property
    def attempts(self) -> dict[str, int]:
        return {path.name: read_status(path).attempts for path in self.run_dirs}

    @property
    def done(self) -> list[str]:
        return [path.name for path in self.run_dirs if read_status(path).state is RunState.DONE]

    def spoil(self, run_dir: Path) -> None:
        """Put a checkpoint that nobody can read where the run will look for one."""
        run_dir.mkdir(parents=True)
        (run_dir / "checkpoint.pt").write_bytes(b"no checkpoint")

    def job_of(self, run_dir: Path) -> Job:
        """The latest that computes the run."""
        return [job for job in read_jobs(self.folder) if f"runs/{run_dir.name}" in job.folders][-1]


def ended(process: subprocess.Popen[str], seconds: float = 400) -> Ended:
    out, err = process.communicate(timeout=seconds)
    return Ended(process.returncode, out, err)


def write_scenes(folder: Path) -> Path:
    """Two scenes that differ, under the names of known ones."""
    write_tiny_scene(folder, name="demo")
    return write_tiny_scene(folder, {"train": 5, "val": 3, "test": 3}, name="lego")


def slurm(environment: dict[str, str], *command: str) -> str:
    """What a SLURM command prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def queued(environment: dict[str, str]) -> list[str]:
    return slurm(environment, "squeue", "--noheader", "--array", "--format=%i %T %r").splitlines()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)


@contextmanager
def releasing(environment: dict[str, str]) -> Iterator[None]:
    """While the block runs, requeued jobs start at once, which SLURM would hold for two minutes."""
    command = [sys.executable, str(SCRIPT), "release", "--seconds", "900"]
    process = subprocess.Popen(command, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Victim:
    """A run that is being computed, held in the midst of its training."""

    run_dir: Path
    pid: int
    job: str
    node: str

    def go_on(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)


def hold_one(study: Study, spared: list[str]) -> Victim:
    """Stop the process of a run that is neither at its beginning nor at its end, and not among those spared."""
    end = time.monotonic() + 200
    while time.monotonic() < end:
        for run_dir in study.run_dirs:
            if run_dir.name not in spared and 0 < _epochs(run_dir) < EPOCHS // 2:
                status = read_status(run_dir)
                if status.state is not RunState.RUNNING or status.pid is None or status.attempts > 1:
                    continue
                os.kill(status.pid, signal.SIGSTOP)
                job = study.job_of(run_dir).job
                if _epochs(run_dir) < EPOCHS - 5:
                    node = slurm(study.environment, "squeue", "--noheader", "--format=%N", "--jobs", job)
                    return Victim(run_dir, status.pid, job, node)
                os.kill(status.pid, signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError("no run was in the midst of its training")


def requeue(victim: Victim, environment: dict[str, str]) -> None:
    """As an administrator, or a job of higher priority, does."""
    slurm(environment, "scontrol", "requeue", victim.job)
    victim.go_on()


def kill(victim: Victim, environment: dict[str, str]) -> None:
    os.kill(victim.pid, signal.SIGKILL)
    wait_for(lambda: "FAILED" in _state(victim.job, environment), "SLURM to see that the job has failed")


def reach_limit(victim: Victim, environment: dict[str, str]) -> None:
    """SLURM tells the job ahead of its limit, which is made to be now; the next time, it has time enough."""
    elapsed = slurm(environment, "squeue", "--noheader", "--format=%M", "--jobs", victim.job)
    minutes, seconds = map(int, elapsed.split(":"))
    limit = minutes + (1 if seconds < 20 else 2)  # SLURM looks at limits twice a minute
    slurm(environment, "scontrol", "update", f"JobId={victim.job}", f"TimeLimit={limit}")
    # Its signal lets a held process go on.
    wait_for(lambda: "RUNNING" not in _state(victim.job, environment), "the end of the job that was told to stop")
    slurm(environment, "scontrol", "update", f"JobId={victim.job}", "TimeLimit=30")


def lose_node(victim: Victim, environment: dict[str, str]) -> None:
    """The node's daemon dies, the controller gives the node up, and it comes back."""
    local = LocalSlurm(Path(environment["SLURM_CONF"]).parents[1])
    os.kill(int((local.root / "run" / f"slurmd.{victim.node}.pid").read_text()), signal.SIGKILL)
    node = f"NodeName={victim.node}"
    slurm(environment, "scontrol", "update", node, "State=DOWN", "Reason=vanished")  # it would notice after 30 s
    wait_for(lambda: "RUNNING" not in _state(victim.job, environment), "the controller to take the job back")
    slurm(environment, "scontrol", "update", node, "State=RESUME")
    assert local("up").returncode == 0
    victim.go_on()


def metrics(run_dir: Path) -> list[dict[str, float]]:
    """Of each epoch, without what differs from one computation to the next."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def _epochs(run_dir: Path) -> int:
    path = run_dir / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _state(job: str, environment: dict[str, str]) -> str:
    return slurm(environment, "squeue", "--noheader", "--states=all", "--format=%T", "--jobs", job)
