"""What is called doubtful about cameras that were found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pointrad.capturing.findings import findings
from pointrad.capturing.photographs import Photograph
from pointrad.capturing.structure import Structure
from tests.capturing.making import capturing

PHOTOGRAPHS = [Photograph(Path(name), name, 1000, 800, focal=1200.0) for name in ("a.jpg", "b.jpg", "c.jpg")]
SOUND = Structure(dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), 1200.0), (), 5000, 0.5, 3, 0)
FLAGS = capturing("photos=any", "masks.source=none").flags


def test_what_is_sound_is_not_doubted() -> None:
    assert findings(SOUND, PHOTOGRAPHS, FLAGS) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"focals": {"a.jpg": 1200.0, "c.jpg": 1200.0}}, "1 of 3 photographs have no pose: b.jpg"),
        ({"others": (2,)}, "fall apart into 2 models"),
        ({"error": 2.5}, "2.50 px off"),
        ({"points": 40}, "only 40 points"),
        ({"still": 2}, "in 2 of 3 pairs of photographs most features do not move"),
    ],
)
def test_what_is_doubtful_is_told(changes: dict[str, Any], told: str) -> None:
    (found,) = findings(replace(SOUND, **changes), PHOTOGRAPHS, FLAGS)
    assert told in found


@pytest.mark.parametrize("focal", [15_000.0, 100.0])
def test_a_focal_length_that_no_lens_has_is_told(focal: float) -> None:
    photographs = [replace(one, focal=None) for one in PHOTOGRAPHS]
    (found,) = findings(replace(SOUND, focals=dict.fromkeys(SOUND.focals, focal)), photographs, FLAGS)
    assert "field of view that lenses do not have" in found


def test_a_focal_length_far_from_what_exif_says_is_told() -> None:
    (found,) = findings(replace(SOUND, focals=dict.fromkeys(SOUND.focals, 2400.0)), PHOTOGRAPHS, FLAGS)
    assert found.startswith("focal lengths are 2.00 times what EXIF says")
