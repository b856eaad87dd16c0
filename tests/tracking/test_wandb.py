"""W&B: real offline runs, read back from the files that `wandb sync` uploads."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import wandb
from hydra import compose, initialize_config_dir
from wandb.sdk.mailbox.mailbox_handle import HandleAbandonedError

from pointrad.errors import UserError
from pointrad.tracking.wandb_files import logged_in_files, mend
from tests.runs import REPOSITORY
from tests.tracking.wandb_runs import CONFIG, epochs, exit_codes, finish, records, rows, started

pytestmark = pytest.mark.integration


def test_a_run_is_logged_whole(tmp_path: Path, picture: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tracker = started(tmp_path)
    tracker.log_image("render", picture, 0)
    for record in epochs(1, 3):
        tracker.log_epoch(record)
    tracker.log_image("render", picture, 3)
    tracker.log_file("cloud", picture)
    tracker.summarise({"psnr_db": 31.5, "lpips": None})
    finish(tracker, 0)

    run_id = (tmp_path / "wandb_id").read_text()
    run = next(record.run for record in records(tmp_path) if record.HasField("run"))
    assert (run.run_id, run.project, run.run_group, run.job_type) == (run_id, "tests", "study", "train")
    assert (run.display_name, list(run.tags)) == ("demo none 0 seed 0", ["demo", "none", "level 0", "mine"])
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (config["scene"], config["identity"]) == ({"name": "demo"}, "0123")

    logged = rows(tmp_path)
    assert [(row["step"], row["epoch"]) for row in logged] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert [row.get("train/psnr_db") for row in logged] == [None, 21, 22, 23]
    assert [any(key.startswith("render") for key in row) for row in logged] == [True, False, False, True]

    metrics = {record.metric.name: record.metric for record in records(tmp_path) if record.HasField("metric")}
    assert metrics["train/loss"].summary.min
    assert metrics["train/psnr_db"].summary.max
    assert metrics["train/psnr_db"].step_metric == "epoch"
    assert metrics["psnr_db"].summary.max
    assert metrics["lpips"].summary.min
    summary = {
        item.key: item.value_json
        for record in records(tmp_path)
        if record.HasField("summary")
        for item in record.summary.update
    }
    assert summary["psnr_db"] == "31.5"
    assert exit_codes(tmp_path) == [0]
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"W&B is offline; to upload this run: wandb sync {tmp_path}/wandb/offline-run-*-{run_id}\n"


def test_a_resumed_run_keeps_its_id_and_repeats_no_step(tmp_path: Path, picture: Path) -> None:
    first = started(tmp_path)
    for record in epochs(1, 3):
        first.log_epoch(record)
    first.log_image("render", picture, 3)
    first.log_epoch(epochs(4, 4)[0])
    finish(first, 1)

    second = started(tmp_path, history=epochs(1, 2))  # its checkpoint is older than what was logged
    for record in epochs(3, 6):
        second.log_epoch(record)
    second.log_image("render", picture, 3)
    finish(second, 0)

    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert len({record.run.run_id for record in records(tmp_path) if record.HasField("run")}) == 1
    assert exit_codes(tmp_path) == [1, 0]


def test_epochs_that_a_kill_took_from_wandb_are_logged_again(tmp_path: Path) -> None:
    first = started(tmp_path)
    for record in epochs(1, 5):
        first.log_epoch(record)
    finish(first, 0)
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    os.truncate(path, path.stat().st_size - 1000)
    assert 0 < len(rows(tmp_path)) < 5

    second = started(tmp_path, history=epochs(1, 5))
    second.log_epoch(epochs(6, 6)[0])
    finish(second, 0)
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5, 6]


def test_files_are_mended_so_that_they_can_be_synced(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    tracker.log_epoch(epochs(1, 1)[0])
    finish(tracker, 0)
    run_id = (tmp_path / "wandb_id").read_text()
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    whole = path.read_bytes()

    mend(tmp_path / "wandb", run_id)
    assert path.read_bytes() == whole

    os.truncate(path, len(whole) - 3)  # in the middle of the last record, which tells of the exit
    mend(tmp_path / "wandb", run_id)
    assert whole.startswith(path.read_bytes())
    assert exit_codes(tmp_path) == []
    assert logged_in_files(tmp_path / "wandb", run_id).epochs == {1}

    os.truncate(path, 7)  # what a process leaves that is killed in its first seconds
    mend(tmp_path / "wandb", run_id)
    assert not list(tmp_path.glob("wandb/offline-run-*"))
    assert len(list(tmp_path.glob("wandb/unreadable-offline-run-*"))) == 1


def test_media_of_an_epoch_that_wandb_has_closed_are_not_lost(tmp_path: Path, picture: Path) -> None:
    first = started(tmp_path)
    first.log_epoch(epochs(1, 1)[0])
    finish(first, 1)
    second = started(tmp_path, history=epochs(1, 1))
    second.log_image("masks", picture, 1)
    finish(second, 0)
    assert [(row["step"], row["epoch"]) for row in rows(tmp_path)] == [(1, 1), (2, 1)]


def test_wandbs_errors_are_warned_of_once_and_never_stop_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = started(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError("broken pipe")

    with monkeypatch.context() as broken:
        broken.setattr(wandb.Run, "log", fail)
        for record in epochs(1, 3):
            tracker.log_epoch(record)
        tracker.log_image("render", tmp_path / "absent.png", 3)
    finish(tracker, 1)
    tracker.finish(1)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("pointrad")] == [
        "W&B failed and may lack part of this run (OSError: broken pipe); training goes on"
    ]
    assert exit_codes(tmp_path) == [1]


def test_a_service_that_was_killed_hides_no_exit_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = started(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise HandleAbandonedError

    def requeued() -> None:
        try:
            sys.exit(3)
        finally:
            tracker.finish(1)

    with monkeypatch.context() as broken:
        broken.setattr(wandb.Run, "finish", fail)  # as after a SIGTERM to all of a job's processes
        with pytest.raises(SystemExit):
            requeued()
    wandb.teardown()


def test_an_interrupt_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = started(tmp_path)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(wandb.Run, "log", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tracker.log_epoch(epochs(1, 1)[0])
    finish(tracker, 1)


def test_a_server_out_of_reach_leaves_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrad.tracking.wandb._mode", lambda configured: "online")
    start = wandb.init

    def init(**arguments: Any) -> Any:
        if arguments["mode"] == "online":
            raise wandb.errors.CommError("connection refused")
        return start(**arguments)

    monkeypatch.setattr("wandb.init", init)
    tracker = started(tmp_path)
    tracker.log_epoch(epochs(1, 1)[0])
    finish(tracker, 0)
    assert [row["step"] for row in rows(tmp_path)] == [1]


def test_online_without_credentials_is_the_users_to_mend_and_asks_for_no_login(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no W&B credentials; run `wandb login`"):
        started(tmp_path, config=CONFIG.model_copy(update={"mode": "online"}))


def test_wandb_mode_of_the_environment_counts_when_the_config_leaves_it_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wandb.login", lambda **_: True)
    monkeypatch.setenv("WANDB_MODE", "offline")
    finish(started(tmp_path), 0)
    assert exit_codes(tmp_path) == [0]


def test_wandb_dir_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "scratch"))
    finish(started(tmp_path / "run"), 0)
    assert exit_codes(tmp_path / "scratch") == [0]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["wandb_id"]


def test_the_id_is_the_runs_own_and_that_of_its_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        finish(started(tmp_path / folder), 0)
    first, other = ((tmp_path / folder / "wandb_id").read_text() for folder in ("a", "b"))
    assert first != other
    (tmp_path / "a" / "wandb_id").unlink()
    finish(started(tmp_path / "a"), 0)
    assert (tmp_path / "a" / "wandb_id").read_text() == first
    (tmp_path / "a").rename(tmp_path / "moved")
    finish(started(tmp_path / "moved"), 0)
    assert (tmp_path / "moved" / "wandb_id").read_text() == first


def test_project_entity_and_group_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "thesis")
    monkeypatch.setenv("WANDB_ENTITY", "institute")
    monkeypatch.setenv("WANDB_RUN_GROUP", "levels")
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        tracker = compose("train").tracker
    assert (tracker.project, tracker.entity, tracker.group) == ("thesis", "institute", "levels")


def test_disabled_by_the_environment_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    tracker = started(tmp_path)
    tracker.log_epoch(epochs(1, 1)[0])
    tracker.finish(0)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["wandb_id"]
    assert capfd.readouterr().err == ""
