"""What a study says of its jobs where SLURM keeps accounts; slow, since it starts a database."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.queue import JOBS_FILE, queue_states
from tests.cluster.conftest import LocalSlurm

pytestmark = pytest.mark.slow


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process talks to a SLURM with a database of its own."""
    if shutil.which("slurmdbd") is None:
        pytest.skip("slurmdbd is not installed: apt-get install slurmdbd mariadb-server")
    slurm = LocalSlurm(tmp_path / "slurm")
    try:
        for name, value in slurm.up("--accounting").items():
            monkeypatch.setenv(name, value)
        yield
    finally:
        slurm("down")


def sbatch(command: str, *options: str) -> str:
    words = ["sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={command}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_jobs_that_have_ended_are_told_by_how_they_ended(accounts: None, tmp_path: Path) -> None:
    jobs = {"done": sbatch("true"), "failed": sbatch("exit 3"), "cancelled": sbatch("sleep 60")}
    subprocess.run(["scancel", jobs["cancelled"]], check=True)
    noted = [json.dumps({"job": job, "folders": [folder], "log": "log"}) + "\n" for folder, job in jobs.items()]
    (tmp_path / JOBS_FILE).write_text("".join(noted))
    expected = {"done": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED"}
    deadline = time.monotonic() + 60
    while (found := {folder: state.state for folder, state in queue_states(tmp_path).items()}) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
