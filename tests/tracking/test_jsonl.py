"""metrics.jsonl: the truth about a run's epochs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointrad.errors import UserError
from pointrad.tracking.jsonl import MetricsFile
from pointrad.training.record import EpochRecord

RECORDS = [
    EpochRecord(n, "base", n, 0.1 / n, 20 + n / 3, 100, {"position": 8e-4, "colour": 3e-3}, 1.5 * n)
    for n in range(1, 6)
]


def written(folder: Path, records: list[EpochRecord]) -> MetricsFile:
    metrics = MetricsFile(folder)
    for record in records:
        metrics.append(record)
    return metrics


def test_epochs_are_read_back_as_they_were(tmp_path: Path) -> None:
    assert written(tmp_path, RECORDS).read() == RECORDS


def test_each_epoch_is_one_json_object_a_line(tmp_path: Path) -> None:
    lines = written(tmp_path, RECORDS).path.read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_new_run_has_no_epochs(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path)
    metrics.truncate_after(0)
    assert metrics.read() == []


def test_a_resumed_run_drops_the_epochs_after_its_checkpoint(tmp_path: Path) -> None:
    metrics = written(tmp_path, RECORDS)
    metrics.truncate_after(3)
    metrics.append(RECORDS[3])
    assert metrics.read() == RECORDS[:4]


def test_a_half_written_last_line_is_no_epoch(tmp_path_factory: pytest.TempPathFactory) -> None:
    whole = written(tmp_path_factory.mktemp("whole"), RECORDS).path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, len(whole)))
    def cut_anywhere(cut: int) -> None:
        metrics = MetricsFile(tmp_path_factory.mktemp("cut"))
        metrics.path.write_bytes(whole[:cut])
        kept = sum(end <= cut for end in ends)
        assert metrics.read() == RECORDS[:kept]
        metrics.truncate_after(5)
        metrics.append(RECORDS[4])
        assert metrics.read() == [*RECORDS[:kept], RECORDS[4]]

    cut_anywhere()


@pytest.mark.parametrize(
    "garbage",
    [b"oops", b"\xff\xfe\x00", b"{}", b"[" * 100_000, b"", b"[1]", b'{"epoch": "2", "stage": "base"}', b"\x1b[2J"],
)
def test_a_spoilt_line_is_an_error_that_names_it_and_says_what_to_do(garbage: bytes, tmp_path: Path) -> None:
    metrics = written(tmp_path, RECORDS)
    lines = metrics.path.read_bytes().split(b"\n")
    metrics.path.write_bytes(b"\n".join([lines[0], garbage, *lines[2:]]))
    with pytest.raises(UserError, match=r"metrics\.jsonl:2: found .*, expected an epoch's JSON .*delete this line"):
        metrics.read()
