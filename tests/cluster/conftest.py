"""A real SLURM for tests, where its packages are installed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.runs import REPOSITORY

SCRIPT = REPOSITORY / "tools" / "local_slurm"


@dataclass(frozen=True)
class LocalSlurm:
    """`tools/local_slurm` for one root folder."""

    root: Path

    def __call__(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(SCRIPT), command, "--root", str(self.root), *options]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)

    def up(self, *options: str) -> dict[str, str]:
        """The environment of a shell that evaluated what `up` prints; skips the test where packages are missing."""
        done = self("up", *options)
        if "not installed" in done.stderr:
            pytest.skip(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        exported = [shlex.split(line)[1].split("=", 1) for line in done.stdout.splitlines()]
        return {**os.environ, **{name: value.replace("$PATH", os.environ["PATH"]) for name, value in exported}}


@pytest.fixture(scope="session")
def local_slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a process that talks to a SLURM of three nodes with two CPUs each."""
    slurm = LocalSlurm(tmp_path_factory.mktemp("slurm"))
    try:
        yield slurm.up()
    finally:
        slurm("down")
