"""W&B online and `wandb sync`: the real SDK, against a server of our own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wandb

from pointrad.tracking.wandb import WandbTracker
from tests.tracking.conftest import API_KEY
from tests.tracking.stub_server import StubServer
from tests.tracking.wandb_runs import CONFIG, epochs, finish, started

pytestmark = pytest.mark.integration

OFFLINE = CONFIG.model_copy(update={"mode": "offline"})


def steps(server: StubServer) -> list[int]:
    """Of the history of the one run that the server knows."""
    (run,) = server.runs.values()
    return [row["_step"] for row in run.history]


def log(tracker: WandbTracker, first: int, last: int) -> None:
    for record in epochs(first, last):
        tracker.log_epoch(record)


def test_a_preempted_run_goes_on_as_the_same_run(server: StubServer, tmp_path: Path, picture: Path) -> None:
    first = started(tmp_path)
    first.log_image("render", picture, 0)
    log(first, 1, 3)
    first.log_image("render", picture, 3)
    log(first, 4, 4)
    first.finish(1, preempted=True)
    (run,) = server.runs.values()
    assert (run.finished, run.exit_code, run.preempting) == (True, 1, True)

    second = started(tmp_path, history=epochs(1, 2))  # its checkpoint is older than what was logged
    log(second, 3, 6)
    second.log_image("render", picture, 3)
    second.log_image("render", picture, 6)
    second.summarise({"psnr_db": 31.5})
    second.finish(0)

    assert steps(server) == [0, 1, 2, 3, 4, 5, 6]
    assert [row["_step"] for row in run.history if "render" in row] == [0, 3, 6]
    assert (run.starts, run.exit_code, run.summary["psnr_db"]) == (2, 0, 31.5)
    assert run.config["scene"]["value"] == {"name": "demo"}
    assert {key: run.properties[key] for key in ("groupName", "jobType", "tags")} == {
        "groupName": "study",
        "jobType": "train",
        "tags": ["demo", "none", "level 0", "mine"],
    }
    assert run.system_metrics > 0
    assert sum(name.startswith("media/images/render_") for name in run.files) == 3


def test_the_cloud_is_uploaded_as_an_artifact_of_the_run(server: StubServer, tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    path.write_bytes(b"ply\n" + bytes(1000))
    tracker = started(tmp_path)
    tracker.log_file("cloud", path)
    tracker.finish(0)
    (artifact,) = server.artifacts.values()
    (run,) = server.runs.values()
    assert (artifact.type, artifact.name, artifact.run, artifact.committed) == (
        "cloud",
        f"cloud-{run.id}",
        run.id,
        True,
    )
    assert artifact.files == {"cloud.ply": path.read_bytes()}


def test_a_cloud_that_cannot_be_uploaded_is_told_and_harms_nothing(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with StubServer(takes_artifacts=False) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", API_KEY)
        tracker = started(tmp_path)
        tracker.log_file("cloud", picture)
        log(tracker, 1, 2)
        tracker.finish(0)
    (run,) = server.runs.values()
    assert (steps(server), run.exit_code, server.artifacts) == ([1, 2], 0, {})
    assert "W&B failed and may lack part of this run" in caplog.text


def test_credentials_are_written_nowhere(server: StubServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = started(tmp_path)
    log(tracker, 1, 2)
    tracker.finish(0)
    assert API_KEY not in "".join(capfd.readouterr())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or API_KEY.encode() not in path.read_bytes(), path
    assert API_KEY not in str(server.runs)


def test_the_printed_sync_command_uploads_a_killed_and_resumed_run_as_one(
    server: StubServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log(first := started(tmp_path, config=OFFLINE), 1, 5)
    finish(first, 1)
    (fragment,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    os.truncate(fragment, fragment.stat().st_size - 1000)
    log(second := started(tmp_path, history=epochs(1, 5), config=OFFLINE), 6, 6)
    finish(second, 1)
    (*_, newest) = sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    os.truncate(newest, 7)  # killed in its first seconds
    capfd.readouterr()
    log(third := started(tmp_path, history=epochs(1, 6), config=OFFLINE), 7, 8)
    finish(third, 0)

    command = capfd.readouterr().err.strip().removeprefix("W&B is offline; to upload this run: ")
    command = command.replace("wandb sync", f"{shlex.quote(sys.executable)} -m wandb sync")
    synced = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert synced.returncode == 0, synced.stdout + synced.stderr
    assert steps(server) == [1, 2, 3, 4, 5, 6, 7, 8]
    (run,) = server.runs.values()
    assert (run.id, run.exit_code) == ((tmp_path / "wandb_id").read_text(), 0)


def test_a_run_that_goes_on_online_leaves_nothing_offline_to_be_uploaded_twice(
    server: StubServer, tmp_path: Path
) -> None:
    log(first := started(tmp_path, config=OFFLINE), 1, 3)
    finish(first, 1)
    log(second := started(tmp_path, history=epochs(1, 3)), 4, 5)
    second.finish(0)
    assert steps(server) == [1, 2, 3, 4, 5]
    assert not list(tmp_path.glob("wandb/offline-run-*"))
    assert len(list(tmp_path.glob("wandb/superseded-offline-run-*"))) == 1


def test_an_outage_costs_little_time_and_no_epoch(
    server: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointrad.tracking.wandb._FINISH_SECONDS", 2)
    tracker = started(tmp_path)
    log(tracker, 1, 2)
    server.stop()
    began = time.monotonic()
    log(tracker, 3, 6)
    tracker.finish(1)
    assert time.monotonic() - began < 15

    wandb.teardown()  # the end of the process
    with StubServer() as after:
        monkeypatch.setenv("WANDB_BASE_URL", after.url)
        log(second := started(tmp_path, history=epochs(1, 6)), 7, 8)
        second.finish(0)
        assert steps(after) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_server_that_cannot_be_reached_leaves_a_run_to_sync(
    server: StubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pointrad.tracking.wandb._INIT_SECONDS", 2)
    server.stop()
    log(tracker := started(tmp_path), 1, 2)
    finish(tracker, 0)
    assert "W&B is offline; to upload this run: wandb sync " in capfd.readouterr().err
