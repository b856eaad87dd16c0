"""Files are whole or absent."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pointrad.errors import MachineError
from pointrad.files import (
    append_line,
    read_json_lines,
    replacing,
    replacing_beside_others,
    while_unchanged,
    write_json,
)


def test_a_file_appears_under_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "picture.png"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert (temporary.parent, temporary.suffix) == (path.parent, ".png")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json(path, {"psnr_db": 30.5})
    with pytest.raises(TypeError):
        write_json(path, {"psnr_db": object()})
    assert json.loads(path.read_text()) == {"psnr_db": 30.5}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_trouble_of_the_machine_that_names_the_file(number: int, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cloud\.ply: no space left"), replacing(tmp_path / "cloud.ply"):
        raise OSError(number, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EROFS])
def test_so_is_a_disk_that_fails(number: int, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cloud\.ply: cannot be written \("), replacing(tmp_path / "cloud.ply"):
        raise OSError(number, "it says")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_it_is_recognised_behind_the_error_of_a_library(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, "it says")

    monkeypatch.setattr("pointrad.files.os.fsync", fail)
    with pytest.raises(MachineError, match=r"checkpoint\.pt: "), replacing(tmp_path / "checkpoint.pt"):
        raise RuntimeError("PytorchStreamWriter failed writing file")


def test_it_is_recognised_beneath_the_error_of_a_library(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"checkpoint\.pt: no space left"), replacing(tmp_path / "checkpoint.pt"):
        raise RuntimeError("unexpected pos 704 vs 598") from OSError(errno.ENOSPC, "No space left on device")


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x"):
        raise ZeroDivisionError


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, "1")
    append_line(path, "2")
    assert path.read_text() == "1\n2\n"
    assert read_json_lines(path) == [1, 2]
    assert read_json_lines(tmp_path / "none") == []


def test_what_was_read_of_a_file_is_kept_until_it_is_another(tmp_path: Path) -> None:
    read, path = [], tmp_path / "file"
    reading = while_unchanged(lambda path: read.append(path.read_text()) or read[-1])
    for text in ("before", "after"):
        write_json(path, text)
        assert [json.loads(reading(path)) for _ in range(3)] == [text] * 3
    assert len(read) == 2
    with pytest.raises(FileNotFoundError):
        reading(tmp_path / "none")


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_text("old")
    script = "import os, sys; from pathlib import Path; from pointrad.files import replacing\n"
    script += "with replacing(Path(sys.argv[1])) as temporary: temporary.write_text('half'); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.0a1b2c3d.pt").write_bytes(b"half")
    with replacing(tmp_path / "checkpoint.pt") as temporary:
        temporary.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_several_processes_may_write_one_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "digests.json"
    with replacing_beside_others(path) as first, replacing_beside_others(path) as second:
        first.write_text("1")
        second.write_text("2")
    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]
