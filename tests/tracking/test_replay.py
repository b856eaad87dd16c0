"""`python -m pointrad.tracking`: W&B hears of a run from its folder."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from pointrad.run.run import run
from pointrad.tracking import wandb_server
from pointrad.tracking.__main__ import main
from pointrad.tracking.base import NullTracker
from pointrad.tracking.history import log_history
from pointrad.tracking.jsonl import MetricsFile
from pointrad.training.record import EpochRecord
from tests.runs import ALL_ARTIFACTS, QUICK, config, one_epoch_each
from tests.scenes import write_tiny_scene
from tests.tracking.stub_server import StubServer
from tests.tracking.wandb_runs import finish, records, rows, started

pytestmark = pytest.mark.integration

RUN = [*(word for word in QUICK if word != "tracker=none"), *ALL_ARTIFACTS, *one_epoch_each("demo")]


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained with tracker=none."""
    root = write_tiny_scene(tmp_path_factory.mktemp("scenes"))
    folder = tmp_path_factory.mktemp("untracked") / "run"
    run(config(*RUN, f"dataset.root={root}", "tracker=none"), folder)
    return folder


@pytest.fixture
def run_dir(untracked: Path, tmp_path: Path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(untracked, tmp_path / "sweep" / "0"))


def replayed(*words: str | Path) -> int:
    """The exit status of a process with these arguments."""
    status = main([str(word) for word in words])
    wandb.teardown()
    return status


def contents(folder: Path) -> list[dict[str, Any]]:
    """The history, without what says when it was logged."""
    measured = {"_runtime", "_timestamp", "train/seconds"}
    return [{key: value for key, value in row.items() if key not in measured} for row in rows(folder)]


def summary(folder: Path) -> dict[str, str]:
    items = [item for record in records(folder) for item in record.summary.update]
    return {item.key: item.value_json for item in items}


def of_kind(folder: Path, kind: str) -> list[Any]:
    return [getattr(record, kind) for record in records(folder) if record.HasField(kind)]


def test_a_replayed_run_is_what_training_would_have_logged(run_dir: Path, tmp_path: Path) -> None:
    chosen = yaml.safe_load((run_dir / "config.yaml").read_text())
    overrides = [f"dataset.root={chosen['dataset']['root']}", "tracker=wandb", "tracker.group=g"]
    result = run(config(*RUN, *overrides), tmp_path / "tracked")
    assert replayed(run_dir, "tracker.group=g") == 0

    tracked, later = contents(tmp_path / "tracked"), contents(run_dir)
    assert [row["step"] for row in tracked] == [0, 1, 2, 3]
    assert later == tracked
    assert [sorted({key.split(".")[0] for key in row} & {"render", "masks", "turntable"}) for row in later] == [
        ["render"],
        ["render"],
        ["render"],
        ["masks", "render", "turntable"],
    ]
    for folder in (tmp_path / "tracked", run_dir):
        (logged,) = of_kind(folder, "run")
        values = {item.key: yaml.safe_load(item.value_json) for item in logged.config.update}
        assert values["schedule"]["stages"]["base"]["epochs"] == 1
        assert (values["identity"], logged.run_group) == (result.identity, "g")
        assert list(logged.tags) == ["tiny", "affine", "level 0"]
        assert float(summary(folder)["psnr_db"]) == result.psnr_db
        assert [artifact.type for artifact in of_kind(folder, "artifact")] == ["cloud"]
        assert len(list(folder.glob("wandb/offline-run-*/files/media/images/render_*.png"))) == 4
        assert [record.exit_code for record in of_kind(folder, "exit")] == [0]


def test_an_unfinished_run_keeps_its_identity_where_its_data_is_not(run_dir: Path) -> None:
    identity = json.loads((run_dir / "summary.json").read_text())["identity"]
    (run_dir / "summary.json").unlink()
    chosen = yaml.safe_load((run_dir / "config.yaml").read_text())
    chosen["dataset"]["root"] = "/nowhere"
    (run_dir / "config.yaml").write_text(yaml.safe_dump(chosen))
    assert replayed(run_dir) == 0
    (logged,) = of_kind(run_dir, "run")
    assert {item.key: yaml.safe_load(item.value_json) for item in logged.config.update}["identity"] == identity


def test_nothing_in_a_strangers_folder_is_interpolated(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that their files name stays at home."""
    monkeypatch.setenv("SECRET_OF_OURS", secret := "0d1e2f3a4b5c")
    lure = "${oc.env:SECRET_OF_OURS}"
    chosen = yaml.safe_load((run_dir / "config.yaml").read_text())
    chosen["tracker"] = {"name": "wandb", "project": "p", "group": lure, "job_type": lure, "tags": [lure]}
    chosen["scene"]["name"] = chosen["schedule"]["name"] = chosen["renderer"]["device"] = lure
    (run_dir / "config.yaml").write_text(yaml.safe_dump(chosen))
    for name in ("summary.json", "provenance.json"):
        values = json.loads((run_dir / name).read_text())
        (run_dir / name).write_text(json.dumps(values | {"scene": lure, "device": lure, "identity": lure}))
    assert replayed(run_dir) == 0
    (logged,) = of_kind(run_dir, "run")
    assert (logged.run_group, logged.job_type) == (lure, lure)
    assert not [path for path in run_dir.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_ones_own_command_may_name_a_variable(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_GROUP", "mine")
    assert replayed(run_dir, "tracker.group=${oc.env:MY_GROUP}") == 0
    assert [logged.run_group for logged in of_kind(run_dir, "run")] == ["mine"]


def test_replaying_again_adds_nothing(run_dir: Path) -> None:
    assert replayed(run_dir) == 0
    once = contents(run_dir)
    assert replayed(run_dir) == 0
    assert contents(run_dir) == once
    assert len({logged.run_id for logged in of_kind(run_dir, "run")}) == 1


def test_what_a_kill_took_is_replayed_beside_an_unreadable_file(run_dir: Path) -> None:
    assert replayed(run_dir) == 0
    whole = contents(run_dir)
    (fragment,) = run_dir.glob("wandb/offline-run-*/*.wandb")
    os.truncate(fragment, 7)
    assert replayed(run_dir) == 0
    assert contents(run_dir) == whole


def drawn_at(history: list[dict[str, Any]]) -> list[int]:
    """The epochs of the renders in a history, sorted."""
    return sorted(row["epoch"] for row in history if any(key.startswith("render") for key in row))


def test_pictures_that_a_kill_took_are_replayed_though_later_ones_are_there(run_dir: Path) -> None:
    """The first process lost the tail of its file; the second, which resumed it, drew the last stage alone."""
    tracker = started(run_dir)
    tracker.log_image("render", run_dir / "pictures" / "3_refine.png", 3)
    finish(tracker, 1)
    assert drawn_at(rows(run_dir)) == [3]
    assert replayed(run_dir) == 0
    assert drawn_at(rows(run_dir)) == [0, 1, 2, 3]
    assert sorted(row["epoch"] for row in rows(run_dir) if "train/loss" in row) == [1, 2, 3]
    assert replayed(run_dir) == 0
    assert drawn_at(rows(run_dir)) == [0, 1, 2, 3]


def test_pictures_whose_files_are_gone_are_replayed(run_dir: Path) -> None:
    assert replayed(run_dir) == 0
    (gone,) = run_dir.glob("wandb/offline-run-*/files/media/images/render_2_*.png")
    gone.unlink()
    assert replayed(run_dir) == 0
    assert drawn_at(rows(run_dir)) == [0, 1, 2, 2, 3]
    kept = [path.read_bytes() for path in run_dir.glob("wandb/offline-run-*/files/media/images/render_*.png")]
    assert sorted(kept) == sorted(path.read_bytes() for path in (run_dir / "pictures").glob("[0-9]_*.png"))


def test_pictures_that_never_reached_the_server_are_replayed_once(run_dir: Path, server: StubServer) -> None:
    assert replayed(run_dir, "tracker.mode=online") == 0
    (logged,) = server.runs.values()
    lost, cut_off = (row["render"]["path"] for row in logged.history[:2])
    logged.history[0].pop("render")  # the row that a killed process did not send
    logged.files[cut_off] = 0  # the file whose upload it did not end
    for _ in range(2):
        assert replayed(run_dir, "tracker.mode=online") == 0
        assert drawn_at(logged.history) == [0, 1, 1, 2, 3]
        assert [row["epoch"] for row in logged.history if "train/loss" in row] == [1, 2, 3]
    renders = [row for row in logged.history if "render" in row]
    assert sum(logged.files[row["render"]["path"]] > 0 for row in renders) == 4
    assert lost in logged.files


def test_where_the_server_does_not_tell_what_it_has_nothing_is_logged_twice(
    run_dir: Path, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert replayed(run_dir, "tracker.mode=online") == 0
    monkeypatch.delattr(StubServer, "_logged")
    monkeypatch.setattr(wandb_server, "_PATIENCE", 1)
    assert replayed(run_dir, "tracker.mode=online") == 0
    (logged,) = server.runs.values()
    assert [row["_step"] for row in logged.history] == [0, 1, 2, 3]


def test_what_only_superseded_files_held_is_logged_online(run_dir: Path, server: StubServer) -> None:
    assert replayed(run_dir, "tracker.mode=offline") == 0
    assert replayed(run_dir, "tracker.mode=online") == 0
    (logged,) = server.runs.values()
    assert drawn_at(logged.history) == [0, 1, 2, 3]
    assert list(run_dir.glob("wandb/superseded-offline-run-*"))


def test_a_resumed_run_tells_of_the_stages_it_has_behind_it_and_of_no_others(run_dir: Path) -> None:
    class Told(NullTracker):
        def __init__(self) -> None:
            self.what: list[str | int] = []

        def log_epoch(self, record: EpochRecord) -> None:
            self.what.append(record.epoch)

        def log_image(self, name: str, path: Path, epoch: int) -> None:
            self.what.append(f"{path.stem}@{epoch}")

    told, schedule = Told(), config(*RUN, "dataset.root=x").schedule
    # Its checkpoint is of epoch 2: what a killed process drew after that will be drawn again.
    log_history(told, run_dir, schedule, MetricsFile(run_dir).read()[:2])
    assert told.what == ["0_init@0", 1, "1_base@1", 2, "2_full@2"]


def test_a_sweep_is_replayed_online_once_however_often_it_is_asked_for(
    run_dir: Path, server: StubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run_dir, run_dir.with_name("1"))
    for again in (False, True):
        assert replayed(run_dir.parent, "tracker.mode=online") == 0
        assert len(server.runs) == 2
        for logged in server.runs.values():
            assert [row["_step"] for row in logged.history] == [0, 1, 2, 3]
            assert (logged.exit_code, logged.starts) == (0, 1 + again)
        shutil.rmtree(run_dir / "wandb")  # on another machine, only the server knows


def test_a_run_without_a_result_is_shown_as_failed(run_dir: Path) -> None:
    (run_dir / "summary.json").unlink()
    assert replayed(run_dir) == 0
    assert [record.exit_code for record in of_kind(run_dir, "exit")] == [1]
    assert [row["step"] for row in rows(run_dir)] == [0, 1, 2, 3]


@pytest.mark.parametrize("content", ["[", "3", "a: &a [*a]", "\x00", "scene: {name: x}"])
def test_a_configuration_that_is_none_is_named(content: str, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "config.yaml").write_text(content)
    assert replayed(run_dir) == 1
    assert f"Error: {run_dir / 'config.yaml'}: found no " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{root}/nothing"], "nothing: no run in or below it; expected a folder with metrics.jsonl"),
        (["{root}/sweep/0", "tracker.mode=onlin"], "tracker.mode: found 'onlin'; input should be 'auto', "),
        (["{root}/sweep/0", "tracker.grup=x"], "tracker.grup: unknown key"),
    ],
)
def test_mistakes_are_named(
    words: list[str], message: str, run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nothing").mkdir()
    assert replayed(*(word.format(root=tmp_path) for word in words)) == 1
    assert message in capsys.readouterr().err


def test_one_unreadable_run_does_not_keep_back_the_others(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = run_dir.with_name("1")
    shutil.copytree(run_dir, other)
    (run_dir / "config.yaml").unlink()
    assert replayed(run_dir.parent) == 1
    assert f"Error: {run_dir / 'config.yaml'}: not found" in capsys.readouterr().err
    assert len(rows(other)) == 4
