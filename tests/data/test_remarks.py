"""What is said of a scene before work starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pointrad.data import remarks
from pointrad.data.photo import Lens, Photo
from pointrad.data.picture_files import Header
from pointrad.data.remarks import remark, remark_pictures
from pointrad.data.scene import BACKGROUNDS, Background, Scene
from pointrad.errors import UserError
from tests.data.captures import of
from tests.scenes import sphere_views

VIEWS = sphere_views(6)


def said(scene: Scene, background: Background, capsys: pytest.CaptureFixture[str]) -> str:
    remark(scene, background)
    return " ".join(capsys.readouterr().err.split())


def coloured_outside() -> Scene:
    image = np.where(VIEWS[1].mask[..., None] == 0, np.float32(0.3), VIEWS[1].image)
    return Scene("tiny", (VIEWS[0], replace(VIEWS[1], image=image), *VIEWS[2:]), VIEWS[:2], BACKGROUNDS["black"])


def test_the_published_reading_of_colour_under_alpha_0_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    outside = np.count_nonzero(VIEWS[1].mask == 0)
    text = said(coloured_outside(), "published", capsys)
    assert "dataset.background=published counts colour under alpha 0 as truth" in text
    assert f"{outside} pixels ({outside / (8 * 24 * 32):.2%}) in 1 of 8 pictures" in text


@pytest.mark.parametrize("background", ["black", "white"])
def test_composited_there_is_none(background: Background, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(coloured_outside(), background, capsys) == ""


def test_nor_where_it_is_black(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(Scene("tiny", VIEWS, VIEWS, BACKGROUNDS["black"]), "published", capsys) == ""


@pytest.mark.parametrize(("count", "text"), [(1, "1 training view:"), (3, "3 training views:"), (5, "")])
def test_few_views_are_remarked_upon(count: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(Scene("tiny", VIEWS[:count], VIEWS, BACKGROUNDS["black"]), "black", capsys)
    assert text in found
    assert bool(found) == bool(text)


def test_cameras_on_one_side_are_remarked_upon(capsys: pytest.CaptureFixture[str]) -> None:
    half = sphere_views(24)[:9]
    assert "all cameras are on one side; 2" in said(Scene("tiny", half, half, BACKGROUNDS["black"]), "black", capsys)


class TestSizes:
    """Sixty photographs of twelve million pixels."""

    HEADERS = [Header(4000, 3000, has_alpha=False, orientation=1)] * 60
    PHOTOS = [Photo("r", Path("r.jpg"), lambda width, height: Lens(width, height, 9, 9, 9, 9), np.eye(4))] * 60

    def remark(self, max_size: int | None = None) -> None:
        remark_pictures("cup", of("llff", Path("cup"), max_size=max_size), self.PHOTOS, self.HEADERS)

    def test_many_pixels_are_remarked_upon_with_a_size_that_will_do(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(remarks, "_memory", lambda: 64e9)
        self.remark()
        told = " ".join(capsys.readouterr().err.split())
        assert "60 photographs of up to 4000 pixels along a side take 35 GB of memory" in told
        assert "dataset.max_size=1200" in told

    def test_more_than_there_is_memory_for_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remarks, "_memory", lambda: 8e9)
        with pytest.raises(UserError, match=r"dataset\.max_size: found null, .* 35 GB .* are 8 GB; .*\.max_size=1200"):
            self.remark()

    def test_of_fewer_there_is_nothing_to_say(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.remark(max_size=1200)
        assert capsys.readouterr().err == ""
