"""tools/local_slurm: a SLURM that comes, works and goes without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import SCRIPT, LocalSlurm


@pytest.fixture
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSlurm]:
    """One of the test's own, to break. Its folder has a short name: paths of sockets, in it, have 107 characters."""
    own = LocalSlurm(tmp_path_factory.mktemp("s") / "s")
    yield own
    own("down")


def run(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def processes_of(root: Path) -> list[str]:
    """Command lines of living processes that have the folder in their environment or arguments."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if str(root).encode() in command + environment:
            found.append(command.replace(b"\0", b" ").decode())
    return found


def states(environment: dict[str, str], job: str) -> list[str]:
    """Of each task, as submitit asks."""
    lines = run(environment, "sacct", "-o", "JobID,State,NodeList", "--parsable2", "-j", job).splitlines()
    assert lines[0] == "JobID|State|NodeList"
    return [line.split("|")[1] for line in lines[1:]]


@pytest.mark.cluster
def test_an_array_runs_on_all_nodes_and_nothing_is_left_after_down(slurm: LocalSlurm, tmp_path: Path) -> None:
    environment = slurm.up()
    script = f'echo "$SLURM_ARRAY_TASK_ID $SLURMD_NODENAME" > {tmp_path}/task_$SLURM_ARRAY_TASK_ID; sleep 1'
    submit = ["sbatch", "--parsable", "--output=/dev/null", "--cpus-per-task=2", "--mem=16G", "--gpus=1"]
    job = run(environment, *submit, "--array=0-2", "--wrap", script).strip()
    wait_for(lambda: states(environment, job) == ["COMPLETED"] * 3)
    lines = sorted(path.read_text().split() for path in tmp_path.glob("task_*"))
    assert [task for task, _ in lines] == ["0", "1", "2"]
    assert {node for _, node in lines} == {"node1", "node2", "node3"}

    run(environment, *submit, "--wrap", f"setsid sleep 600 & echo > {tmp_path}/started; sleep 600")
    wait_for((tmp_path / "started").exists)
    assert slurm("down").returncode == 0
    assert processes_of(slurm.root) == []
    assert not slurm.root.exists()
    assert slurm("down").returncode == 0


@pytest.mark.slow  # beside a busy worker a requeued job once took more than two minutes
@pytest.mark.cluster
def test_a_requeued_job_starts_again_at_once_when_released(slurm: LocalSlurm, tmp_path: Path) -> None:
    environment = slurm.up()
    log = tmp_path / "log"
    script = f'echo "start ${{SLURM_RESTART_COUNT:-0}}" >> {log}; [ "$SLURM_RESTART_COUNT" = 1 ] || exec sleep 600'
    job = run(environment, "sbatch", "--parsable", "--output=/dev/null", "--wrap", script).strip()
    wait_for(log.exists)
    run(environment, "scontrol", "requeue", job)
    wait_for(lambda: states(environment, job) == ["PENDING"])
    assert slurm("release", "--seconds", "5").returncode == 0
    wait_for(lambda: states(environment, job) == ["COMPLETED"])
    assert log.read_text() == "start 0\nstart 1\n"


@pytest.mark.cluster
def test_up_again_starts_what_has_died_and_down_spares_what_is_not_its_own(slurm: LocalSlurm) -> None:
    slurm.up("--nodes=1")
    pid_file = slurm.root / "run" / "slurmd.node1.pid"
    first = int(pid_file.read_text())
    assert slurm.up("--nodes=1")
    assert int(pid_file.read_text()) == first

    os.kill(first, 9)
    wait_for(lambda: slurm("status").returncode == 1)
    slurm.up("--nodes=1")
    assert slurm("status").returncode == 0

    refused = slurm("up", "--nodes=2")
    assert (refused.returncode, "--nodes=1 --cpus=2" in refused.stderr) == (1, True)

    os.kill(int(pid_file.read_text()), 9)
    with subprocess.Popen(["sleep", "600"]) as foreign:
        pid_file.write_text(f"{foreign.pid}\n")  # as if the system had given the number to another process
        assert slurm("down").returncode == 0
        assert foreign.poll() is None
        foreign.kill()


def test_missing_packages_are_named_with_the_line_that_installs_them(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "up", "--root", str(tmp_path / "slurm")]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "not installed: " in done.stderr
    assert "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge\n" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    slurm = LocalSlurm(tmp_path)
    for command in ("up", "down"):
        done = slurm(command)
        if "not installed" in done.stderr:
            pytest.skip(done.stderr.strip())
        assert (done.returncode, "which holds something else" in done.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
