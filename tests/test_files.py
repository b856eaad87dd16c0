"""Files are whole or absent."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pointrad.errors import UserError
from pointrad.files import append_line, replacing, write_json


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


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    with pytest.raises(UserError, match=r"cloud\.ply: no space left"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_recognised_behind_the_error_of_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        free = 0

    monkeypatch.setattr("pointrad.files.shutil.disk_usage", lambda _: Full)
    with pytest.raises(UserError, match="no space left"), replacing(tmp_path / "checkpoint.pt"):
        raise RuntimeError("PytorchStreamWriter failed writing file")


def test_other_errors_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x"):
        raise ZeroDivisionError


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, "1")
    append_line(path, "2")
    assert path.read_text() == "1\n2\n"


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
