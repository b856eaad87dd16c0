"""conf/hydra/launcher: `python train.py -m hydra/launcher=...`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pointrad.run.run import run
from pointrad.run.status import read_status
from tests.cluster.studies import metrics, releasing, slurm, wait_for
from tests.runs import QUICK, REPOSITORY, config, one_epoch_each
from tests.tracking.wandb_runs import records, rows

RUN = [*QUICK, *one_epoch_each("demo"), "threads=1"]


def profile(name: str) -> Any:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        composed = compose("train", [f"hydra/launcher={name}"], return_hydra_config=True)
    return OmegaConf.to_container(composed.hydra.launcher)


def swept(environment: dict[str, str], folder: Path, *arguments: str) -> None:
    command = [sys.executable, "train.py", "-m", *RUN, *arguments, f"hydra.sweep.dir={folder}"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr


def refused(environment: dict[str, str], *arguments: str) -> str:
    """What a sweep says that cannot be submitted."""
    command = [sys.executable, "train.py", "-m", *arguments]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


@pytest.mark.cluster
def test_a_sweep_on_slurm_computes_what_a_run_here_does(
    local_slurm: dict[str, str], tiny_scene_root: Path, tmp_path: Path
) -> None:
    levels = ["0", "0.12"]
    arguments = [
        f"dataset.root={tiny_scene_root}",
        "hydra/launcher=slurm_local",
        f"corruption.level={','.join(levels)}",
    ]
    swept(local_slurm, tmp_path / "sweep", *arguments)
    for number, level in enumerate(levels):
        here = run(config(*RUN, f"dataset.root={tiny_scene_root}", f"corruption.level={level}"), tmp_path / level)
        there = summary(tmp_path / "sweep" / str(number))
        assert (there["status"], there["identity"], there["psnr_db"]) == ("done", here.identity, here.psnr_db)
        assert (tmp_path / "sweep" / str(number) / "cloud.ply").read_bytes() == (
            tmp_path / level / "cloud.ply"
        ).read_bytes()


@pytest.mark.cluster
def test_a_run_that_reaches_its_time_limit_is_requeued_and_goes_on_as_if_nothing_had_happened(
    local_slurm: dict[str, str], tiny_scene_root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("wandb")
    settings = [*RUN, "schedule.stages.base.epochs=100", f"dataset.root={tiny_scene_root}"]
    limits = ["hydra/launcher=slurm_local", "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=20"]
    command = [sys.executable, "train.py", "-m", *settings, *limits, "tracker=wandb", "tracker.mode=offline"]
    there = tmp_path / "sweep" / "0"
    with (
        releasing(local_slurm),
        subprocess.Popen([*command, f"hydra.sweep.dir={there.parent}"], cwd=REPOSITORY, env=local_slurm) as process,
    ):
        wait_for(lambda: len(epochs_of(there)) > 5, "the run to be in its midst")
        pid = read_status(there).pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)  # until SLURM's signal, 20 s ahead of its limit or a little earlier, lets it go on
        assert process.wait(timeout=240) == 0
    # Twice or more: SLURM may send its signal up to a minute early, so also to a run that has just gone on.
    assert read_status(there).attempts >= 2

    run(config(*settings), tmp_path / "here")
    assert metrics(there) == metrics(tmp_path / "here")
    assert (there / "cloud.ply").read_bytes() == (tmp_path / "here" / "cloud.ply").read_bytes()
    assert {record.run.run_id for record in records(there) if record.HasField("run")} == {
        (there / "wandb_id").read_text().strip()
    }
    assert [row["epoch"] for row in rows(there) if "train/loss" in row] == epochs_of(there)


def epochs_of(run_dir: Path) -> list[int]:
    return [int(row["epoch"]) for row in metrics(run_dir)] if (run_dir / "metrics.jsonl").exists() else []


@pytest.mark.cluster
def test_the_university_profile_gets_what_the_published_study_asked_for(
    local_slurm: dict[str, str], tiny_scene_root: Path, tmp_path: Path
) -> None:
    arguments = [f"dataset.root={tiny_scene_root}", "hydra/launcher=university", "hydra.launcher.cpus_per_task=2"]
    swept(local_slurm, tmp_path / "sweep", *arguments)
    (script,) = tmp_path.glob("sweep/.submitit/*/*_submission.sh")
    job = script.name.split("_")[0]
    show = ("scontrol", "show", "job", job)
    # The launcher has the result a moment before SLURM has the end of the job.
    wait_for(lambda: "JobState=COMPLETED" in slurm(local_slurm, *show), "the end of the job")
    for expected in ("TimeLimit=03:00:00", "CPUs/Task=2", "MinMemoryNode=16G", "gpu:1"):
        assert expected in slurm(local_slurm, *show)
    assert summary(tmp_path / "sweep" / "0")["status"] == "done"


@pytest.mark.cluster
def test_a_sweep_to_a_wrong_partition_is_one_message(local_slurm: dict[str, str], tmp_path: Path) -> None:
    said = refused(local_slurm, "hydra/launcher=slurm", "hydra.launcher.partition=gpu", f"hydra.sweep.dir={tmp_path}")
    assert "Error: hydra.launcher: SLURM refused the jobs: " in said
    assert "invalid partition specified: gpu" in said


@pytest.mark.cluster
def test_a_sweep_one_of_whose_jobs_dies_names_its_log_and_the_run_it_left(
    local_slurm: dict[str, str], tiny_scene_root: Path, tmp_path: Path
) -> None:
    endless = [*RUN, "schedule.stages.base.epochs=10000", f"dataset.root={tiny_scene_root}"]
    command = [sys.executable, "train.py", "-m", "hydra/launcher=slurm_local", *endless, f"hydra.sweep.dir={tmp_path}"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=local_slurm, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        wait_for(lambda: len(epochs_of(tmp_path / "0")) > 1, "the run to be in its midst")
        pid = read_status(tmp_path / "0").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"{tmp_path}/.submitit/" in said
    assert f"{tmp_path}/0: stopped" in said
    assert "Traceback" not in said


@pytest.mark.integration
def test_a_sweep_where_there_is_no_slurm_is_one_message(tmp_path: Path) -> None:
    said = refused({**os.environ, "PATH": str(tmp_path)}, "hydra/launcher=slurm", f"hydra.sweep.dir={tmp_path}")
    assert "Error: hydra/launcher: found slurm, but there is no sbatch here; expected a SLURM login node" in said


@pytest.mark.parametrize("name", ["slurm", "university", "slurm_local"])
def test_a_slurm_job_uses_the_cores_it_asked_for_and_is_requeued_a_bounded_number_of_times(name: str) -> None:
    values = profile(name)
    assert values["cpus_per_task"] >= 1
    for variable in ("SRUN_CPUS_PER_TASK", "NUMBA_NUM_THREADS"):
        assert f"{variable}=$SLURM_CPUS_PER_TASK" in " ".join(values["setup"])
    assert 1 <= values["max_num_timeout"] < 10
    assert values["signal_delay_s"] < 60 * values["timeout_min"] / 2


def test_the_local_profile_needs_no_slurm() -> None:
    assert profile("local")["_target_"].endswith("LocalLauncher")
