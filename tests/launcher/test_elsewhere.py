"""Jobs start wherever a launcher puts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher
from submitit.core.utils import FailedJobError

from hydra_plugins.pointrad.slurm_launcher import PlainLocalLauncher, PlainSlurmLauncher
from launcher.elsewhere import code_importable, python_path_line
from pointrad.errors import UserError

IMPORT = "import hydra_plugins.pointrad.slurm_launcher, launcher.requeue, pointrad"


@pytest.mark.parametrize("before", [None, "other"])
def test_a_process_started_in_another_folder_finds_the_code(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if before:
        monkeypatch.setenv("PYTHONPATH", before)
    with code_importable():
        subprocess.run([sys.executable, "-c", IMPORT], cwd=tmp_path, check=True)
        assert (before or "") in os.environ["PYTHONPATH"]
    assert os.environ.get("PYTHONPATH") == before


def test_so_does_a_job_script_to_which_the_cluster_hands_no_environment(tmp_path: Path) -> None:
    script = f"{python_path_line()}\n{sys.executable} -c '{IMPORT}'"
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, check=True)


def submitits(launcher: type[BaseSubmititLauncher]) -> type:
    """submitit's launcher beneath ours; Hydra executes plug-ins anew, so the one imported here may be another."""
    return next(base for base in launcher.__mro__ if base.__name__ == BaseSubmititLauncher.__name__)


@pytest.mark.parametrize("launcher", [PlainLocalLauncher, PlainSlurmLauncher])
def test_submitits_launchers_see_to_it(
    launcher: type[BaseSubmititLauncher], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    paths: list[str] = []
    monkeypatch.setattr(submitits(launcher), "launch", lambda *_: paths.append(os.environ["PYTHONPATH"]))
    launched = launcher(setup=["module load"])
    launched.launch([[]], 0)
    launched.launch([[]], 1)  # as a search does
    assert len(paths) == 2
    if launcher is PlainSlurmLauncher:
        assert launched.params["setup"] == [python_path_line(), "module load"]


def test_a_cluster_that_refuses_the_jobs_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise FailedJobError("Invalid partition") from subprocess.CalledProcessError(1, "sbatch")

    (tmp_path / "sbatch").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(submitits(PlainSlurmLauncher), "launch", refuse)
    with pytest.raises(UserError, match="SLURM refused the jobs: Invalid partition"):
        PlainSlurmLauncher().launch([[]], 0)
