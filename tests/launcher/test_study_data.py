"""What planning a study asks of its data."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.study import content_if_here
from pointrad.data.content import FileDigests, scene_content
from pointrad.data.scene import Split
from pointrad.errors import UserError
from tests.captures import blender


def test_a_study_is_shown_where_its_data_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content_if_here(blender(tmp_path / "gone"), Split.TEST, FileDigests(tmp_path))
    assert f"{tmp_path / 'gone' / 'tiny'}: no such folder" in capsys.readouterr().err


def test_data_that_is_here_is_looked_at(tiny_scene_root: Path, tmp_path: Path) -> None:
    digests = FileDigests(tmp_path)
    here = scene_content(blender(tiny_scene_root), Split.TEST, digests)
    assert content_if_here(blender(tiny_scene_root), Split.TEST, digests) == here
    (tiny_scene_root / "tiny" / "transforms_train.json").write_text("{")
    with pytest.raises(UserError, match="malformed JSON"):
        content_if_here(blender(tiny_scene_root), Split.TEST, digests)
