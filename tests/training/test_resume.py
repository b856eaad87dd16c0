"""A training killed anywhere goes on to the same result, bit for bit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

import pytest
import torch

from pointrad.config import RunConfig
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.training.checkpoint import FILE_NAME, Checkpoint
from pointrad.training.preemption import Preempted
from tests.runs import CONTENT
from tests.training.test_trainer import Heard, go_on, start, training_config, whole

EVERY_EPOCH = training_config()
EVERY_STAGE = training_config("checkpoint.every_seconds=1000")


def killed_at(run_config: RunConfig, folder: Path, *events: str) -> tuple[Cloud, Heard]:
    """Train, die at each event, go on each time; returns the end and what the last process heard."""
    start(run_config, folder)
    for event in events:
        with pytest.raises(KeyboardInterrupt, match=event):
            go_on(run_config, folder, Heard(stop=event.__eq__))
    heard = Heard()
    return go_on(run_config, folder, heard), heard


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cloud, Heard]:
    return whole(EVERY_EPOCH, tmp_path_factory.mktemp("uninterrupted"))


EVENTS = [f"epoch {n}" for n in range(1, 7)] + [
    "step 1",
    "step 7",
    "step 22",
    "stage base",
    "stage full",
    "stage refine",
]


@pytest.mark.parametrize("run_config", [EVERY_EPOCH, EVERY_STAGE], ids=["every epoch", "every stage"])
@pytest.mark.parametrize("event", EVENTS)
def test_killed_at_any_event_training_ends_the_same(
    event: str, run_config: RunConfig, tmp_path: Path, uninterrupted: tuple[Cloud, Heard]
) -> None:
    cloud, _ = killed_at(run_config, tmp_path, event)
    assert torch.equal(cloud.parameters, uninterrupted[0].parameters)


@pytest.mark.parametrize("event", ["step 1", "step 7", "step 8", "step 9", "step 24"])
def test_told_to_stop_at_any_step_training_goes_on_at_the_next(
    event: str, tmp_path: Path, uninterrupted: tuple[Cloud, Heard]
) -> None:
    start(EVERY_STAGE, tmp_path)
    with pytest.raises(Preempted):
        go_on(EVERY_STAGE, tmp_path, Heard(stop=event.__eq__, error=lambda _: Preempted()))
    heard = Heard()
    cloud = go_on(EVERY_STAGE, tmp_path, heard)
    assert heard.steps == 24 - int(event.split()[1])
    assert torch.equal(cloud.parameters, uninterrupted[0].parameters)
    told = {record.epoch: record.loss for record in uninterrupted[1].records}
    assert all(record.loss == told[record.epoch] for record in heard.records)


def test_killed_again_and_again_training_ends_the_same(tmp_path: Path, uninterrupted: tuple[Cloud, Heard]) -> None:
    cloud, _ = killed_at(EVERY_EPOCH, tmp_path, "epoch 2", "step 3", "epoch 3", "stage full", "epoch 6")
    assert torch.equal(cloud.parameters, uninterrupted[0].parameters)


def test_a_resumed_training_reports_the_losses_it_would_have(
    tmp_path: Path, uninterrupted: tuple[Cloud, Heard]
) -> None:
    _, heard = killed_at(EVERY_EPOCH, tmp_path, "epoch 4")
    expected = [(r.epoch, r.stage, r.loss, r.psnr_db) for r in uninterrupted[1].records[3:]]
    assert [(r.epoch, r.stage, r.loss, r.psnr_db) for r in heard.records] == expected


def test_a_finished_training_has_nothing_left_to_do(tmp_path: Path, uninterrupted: tuple[Cloud, Heard]) -> None:
    whole(EVERY_EPOCH, tmp_path)
    heard = Heard()
    cloud = go_on(EVERY_EPOCH, tmp_path, heard)
    assert heard.steps == 0
    assert torch.equal(cloud.parameters, uninterrupted[0].parameters)


def test_ctrl_c_while_a_checkpoint_is_written_is_ctrl_c_and_leaves_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = start(training_config(), tmp_path)
    state.save(tmp_path)
    before = (tmp_path / FILE_NAME).read_bytes()

    def pressed(values: object, file: IO[bytes]) -> None:
        file.write(b"half")
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("unexpected pos")  # noqa: B904, as torch's writer does when it is closed

    monkeypatch.setattr("torch.save", pressed)
    with pytest.raises(KeyboardInterrupt):
        state.save(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_where_there_is_no_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path, "any") is None


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path: Path) -> None:
    start(EVERY_EPOCH, tmp_path)
    with pytest.raises(
        UserError, match=r"checkpoint\.pt: belongs to another configuration, other data .*\(found \w{16}, expected"
    ):
        Checkpoint.load(tmp_path, training_config("seed=1").training_identity(CONTENT))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_truncated_checkpoint_is_refused(share: float, tmp_path: Path) -> None:
    start(EVERY_EPOCH, tmp_path)
    path = tmp_path / FILE_NAME
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a readable checkpoint .*delete it to start anew"):
        Checkpoint.load(tmp_path, EVERY_EPOCH.training_identity(CONTENT))


@pytest.mark.parametrize("content", [[1, 2], {"identity": "x"}, {"progress": {"stage": 1, "surprise": 2}}, 3.5])
def test_a_file_that_holds_something_else_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / FILE_NAME)
    with pytest.raises(UserError, match=r"checkpoint\.pt: not a readable checkpoint"):
        Checkpoint.load(tmp_path, EVERY_EPOCH.training_identity(CONTENT))


def test_a_checkpoint_that_would_run_code_is_refused_without_advice_to_load_it(tmp_path: Path) -> None:
    torch.save({"identity": Path("code")}, tmp_path / FILE_NAME)
    with pytest.raises(UserError, match="delete it to start anew") as refused:
        Checkpoint.load(tmp_path, EVERY_EPOCH.training_identity(CONTENT))
    assert not re.search("weights_only|safe_globals|trust", str(refused.value))
