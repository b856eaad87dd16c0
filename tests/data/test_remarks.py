"""What is said of a scene before work starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointrad.data.remarks import remark
from pointrad.data.scene import BACKGROUNDS, Background, Scene
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
