"""W&B's own settings, however wrong: a line before any work, or one warning and an offline run, whose place is told."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pointrad.errors import UserError
from pointrad.tracking.build import build_tracker, check_tracker
from pointrad.tracking.config import WandbTrackerConfig
from tests.runs import QUICK, config
from tests.tracking.conftest import API_KEY
from tests.tracking.wandb_runs import epochs, finish, rows, started

pytestmark = pytest.mark.integration

TOLD = "W&B is offline; to upload this run: wandb sync "
TRACKED = [*(override for override in QUICK if override != "tracker=none"), "dataset.root=somewhere", "tracker=wandb"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("pointrad")]


def told_folder(err: str) -> Path:
    """Of the files that the printed command uploads."""
    (command,) = (line.removeprefix(TOLD) for line in err.splitlines() if line.startswith(TOLD))
    return Path(shlex.split(command)[0]).parent


@pytest.mark.parametrize(
    "settings",
    [
        {"WANDB_MODE": "onlin"},
        {"WANDB_BASE_URL": "no address"},
        {"WANDB_API_KEY": "short"},
        {"WANDB_API_KEY": f" {API_KEY} "},
        {"WANDB_API_KEY": "not/a key\x1b[31m" * 3},
        {"WANDB_TAGS": "x" * 100},
        {"WANDB_PROJECT": "a/b"},
        {"WANDB_IDENTITY_TOKEN_FILE": "/nowhere/token"},
        {"WANDB_CONFIG_DIR": "/dev/null"},
        {"NETRC": "/"},
    ],
    ids=lambda settings: "=".join(map(repr, *settings.items())),
)
def test_wrong_settings_cost_a_warning_at_most(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    tracker = started(tmp_path)
    tracker.log_epoch(epochs(1, 1)[0])
    finish(tracker, 0)
    assert [row["step"] for row in rows(told_folder(capfd.readouterr().err).parent)] == [1]
    assert len(warnings(caplog)) <= 1
    assert not re.search(r"not/a key|\x1b|\n", "".join(warnings(caplog)))


@pytest.mark.parametrize("content", ["[default]\nbase_url = nonsense\n", "\x00\xff"])
def test_wrong_settings_files_cost_a_warning_at_most(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings").write_text(content, encoding="latin-1")
    tracker = started(tmp_path / "run")
    tracker.log_epoch(epochs(1, 1)[0])
    finish(tracker, 0)
    assert [row["step"] for row in rows(tmp_path / "run")] == [1]
    assert len(warnings(caplog)) <= 1


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


def a_folder_with_a_file_called_wandb(folder: Path) -> Path:
    (folder / "taken").mkdir()
    (folder / "taken" / "wandb").write_text("")
    return folder / "taken"


@pytest.mark.parametrize(
    "place", [a_file, lambda folder: a_file(folder) / "below", a_folder_with_a_file_called_wandb, lambda _: "/proc/x"],
    ids=["a file", "below a file", "a file called wandb", "read-only"],
)  # fmt: skip
def test_where_wandb_dir_cannot_be_written_the_run_folder_is(
    place: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert callable(place)
    named = str(place(tmp_path))
    monkeypatch.setenv("WANDB_DIR", named)
    tracker = started(tmp_path / "run")
    tracker.log_epoch(epochs(1, 1)[0])
    finish(tracker, 0)
    assert told_folder(capfd.readouterr().err) == tmp_path / "run" / "wandb"
    assert len(rows(tmp_path / "run")) == 1
    assert warnings(caplog) == [
        f"WANDB_DIR: found {named}, where W&B's files cannot be written; they go to {tmp_path / 'run'}"
    ]


def test_a_wandb_dir_that_is_not_there_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "a" / "b"))
    finish(started(tmp_path / "run"), 0)
    assert told_folder(capfd.readouterr().err) == tmp_path / "a" / "b" / "wandb"


@pytest.mark.parametrize("folder", ["wandb", ".wandb"])
def test_files_are_where_they_are_said_to_be_whatever_lies_in_the_run_folder(
    folder: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if folder == "wandb":
        (tmp_path / folder).write_text("a file of somebody's")
    else:
        (tmp_path / folder).mkdir()
    for first in (1, 2):  # the second process finds what the first has logged
        tracker = started(tmp_path, history=epochs(1, first))
        finish(tracker, 0)
        assert len(rows(told_folder(capfd.readouterr().err).parent)) == first


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, b":W&B\xbe\xee\x00" + bytes(40000)])
def test_garbage_among_its_files_stops_nothing(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    finish(started(tmp_path), 0)
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    path.write_bytes(content)
    finish(started(tmp_path, history=epochs(1, 2)), 0)
    assert [row["step"] for row in rows(tmp_path)] == [1, 2]
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["tracker.project=a/b"], r"tracker.project: found 'a/b'; expected a name without /, which W&B does not take"),
        (["tracker.project='a:b?c'"], r"tracker.project: found 'a:b\?c'; expected a name without : \?"),
        (["tracker.project=''"], "tracker.project: found ''; string should have at least 1 character"),
        ([f"tracker.project={'x' * 129}"], "tracker.project: .*at most 128 characters"),
        (["tracker.entity=a/b"], "tracker.entity: found 'a/b'; expected a name without /"),
        ([f"tracker.tags=[{'x' * 65}]"], "tracker.tags.0: .*at most 64 characters"),
    ],
)
def test_keys_that_wandb_would_refuse_are_refused_with_the_configuration(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(*TRACKED, *overrides)


def test_an_entity_that_the_environment_leaves_empty_is_none() -> None:
    tracker = config(*TRACKED, "tracker.entity=''").tracker
    assert isinstance(tracker, WandbTrackerConfig)
    assert tracker.entity is None


@pytest.mark.parametrize(
    ("settings", "mode", "message"),
    [
        ({}, "online", "tracker.mode: found online, but no W&B credentials"),
        ({"WANDB_MODE": "online"}, "auto", "WANDB_MODE: found online, but no W&B credentials"),
        ({"WANDB_API_KEY": "short"}, "online", "tracker.mode: found online, but W&B raises .*mend its settings"),
        ({"WANDB_BASE_URL": "nonsense"}, "online", "tracker.mode: found online, but W&B raises .*base_url"),
    ],
)
def test_online_that_cannot_be_is_refused_before_there_is_work_to_lose(
    settings: dict[str, str], mode: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        check_tracker(config(*TRACKED, f"tracker.mode={mode}"))


def test_a_sdk_that_cannot_be_imported_is_refused_before_there_is_work_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "pointrad.tracking.wandb")
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(UserError, match=r"tracker=wandb: .*give tracker=none"):
        check_tracker(config(*TRACKED))


@pytest.mark.parametrize("where", ["wandb.setup", "wandb.login", "wandb.init", "wandb.teardown"])
def test_whatever_the_sdk_raises_training_goes_on(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"trouble\nwith {API_KEY}")

    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("pointrad.tracking.wandb._INIT_SECONDS", 1)
    with monkeypatch.context() as broken:
        broken.setattr(where, fail)
        tracker = build_tracker(config(*TRACKED), "0123", tmp_path)
        tracker.log_epoch(epochs(1, 1)[0])
        tracker.finish(0)
    assert len(warnings(caplog)) == 1
    assert API_KEY not in caplog.text
