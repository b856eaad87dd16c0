"""Finished runs found elsewhere are taken over."""

from __future__ import annotations

import json
from pathlib import Path

from pointrad.run.status import RunState, read_status
from pointrad.study.plan import Plan
from pointrad.study.reuse import set_aside, take_over
from tests.study.studies import plan


def finish(folder: Path, identity: str) -> None:
    """As a finished run leaves its folder."""
    (folder / "pictures").mkdir(parents=True)
    (folder / "wandb").mkdir()
    (folder / "pictures" / "a.png").write_bytes(b"picture")
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "summary.json").write_text(json.dumps({"identity": identity}))


def two_studies(tmp_path: Path) -> tuple[Plan, Path]:
    found = plan(tmp_path / "mine", tmp_path / "scenes")
    other = tmp_path / "theirs" / "runs" / "any name"
    finish(other, found.runs[1].identity)
    return found, other


def test_a_finished_run_of_the_same_identity_is_taken_over(tmp_path: Path) -> None:
    mine, _ = two_studies(tmp_path)
    assert take_over(mine, [tmp_path]) == [mine.run_dir(mine.runs[1])]
    states = [read_status(mine.run_dir(run)).state for run in mine.runs]
    assert states == [RunState.MISSING, RunState.DONE, RunState.MISSING, RunState.MISSING]


def test_it_stays_whole_when_the_other_study_is_deleted_or_goes_on(tmp_path: Path) -> None:
    mine, other = two_studies(tmp_path)
    take_over(mine, [tmp_path])
    with (other / "metrics.jsonl").open("a") as file:
        file.write("more")
    (other / "pictures" / "a.png").unlink()
    taken = mine.run_dir(mine.runs[1])
    assert (taken / "metrics.jsonl").read_text() == "{}\n"
    assert (taken / "pictures" / "a.png").read_bytes() == b"picture"
    assert not (taken / "wandb").exists()


def test_it_takes_the_place_of_an_unfinished_run_and_of_no_finished_one(tmp_path: Path) -> None:
    mine, _ = two_studies(tmp_path)
    target = mine.run_dir(mine.runs[1])
    target.mkdir(parents=True)
    (target / "checkpoint.pt").touch()
    assert take_over(mine, [tmp_path]) == [target]
    assert take_over(mine, [tmp_path]) == []


def test_unreadable_summaries_and_folders_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    mine, other = two_studies(tmp_path)
    (other / "summary.json").write_text("{")
    assert take_over(mine, [tmp_path, tmp_path / "gone"]) == []


def test_a_folder_set_aside_keeps_all_it_holds(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "summary.json").write_text(str(number))
        aside = set_aside(tmp_path / "run")
        assert aside == tmp_path / f"run.broken-{number}"
        assert (aside / "summary.json").read_text() == str(number)
