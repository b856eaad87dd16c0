"""A change of code that changes repaired masks has a new version: those of the old one are none of the new one.

`python -m tests.repair.test_version` writes version.json anew, unless masks changed and the version did not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import pointrad.config
from pointrad.method import REPAIR_VERSION
from pointrad.repair.decision import Seen, repair
from pointrad.repair.votes import voted_for
from tests.repair.test_comparison import RIGHT, SHAPE, disc
from tests.repair.test_votes import CLOUD, RENDERER, VIEWS, cut
from tests.runs import CONTENT, config
from tests.test_method import numbers

KEPT = Path(__file__).with_name("version.json")
RAISE = (
    "Masks are put right otherwise than before, and studies would mix the two. If the change is meant, raise "
    "REPAIR_VERSION in pointrad/method.py, then `python -m tests.repair.test_version`."
)
DECIDES = tuple(f"repair/{name}.py" for name in ("comparison", "decision", "rounds", "surroundings", "table", "votes"))
GIVEN = {
    "too small": disc(24), "too large": disc(38), "shifted": disc(30, x=72), "hole": RIGHT & ~disc(9),
    "blob": RIGHT | disc(8, x=12, y=12), "missing": np.zeros(SHAPE, bool),
}  # fmt: skip


def computed() -> dict[str, int]:
    """The pixels of repaired masks, and of a cloud those splats that wrong masks hold to be the object."""
    rng = np.random.Generator(np.random.PCG64(0))
    opacity = cv2.GaussianBlur((disc(31, x=63) + 0.4 * disc(14, x=85)).clip(0, 1).astype(np.float32), (9, 9), 2)
    noise = cv2.GaussianBlur(rng.random((*SHAPE, 3)).astype(np.float32), (7, 7), 2)
    photograph = np.where(RIGHT[..., None], 0.5 + 0.5 * noise, 0.3 * noise).astype(np.float32)
    votes = (opacity * (1 - 0.7 * disc(8, x=50))).astype(np.float32)
    seen = Seen(opacity, votes, photograph * opacity[..., None], photograph)
    found = {name: int(repair(given, seen, (0.0, 0.0, 0.0)).mask.sum()) for name, given in GIVEN.items()}
    wrong = [cut(view) if n < 6 else view for n, view in enumerate(VIEWS)]
    return found | {"splats": len(voted_for(CLOUD, wrong, RENDERER).cloud)}


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(KEPT.read_text())
    assert values["version"] == REPAIR_VERSION, f"{KEPT.name} is of another version; run this module"
    return values


def test_masks_change_with_the_version_alone(kept: dict[str, Any]) -> None:
    assert computed() == pytest.approx(kept["results"], rel=2e-3), RAISE


def test_numbers_in_code_change_with_the_version_alone(kept: dict[str, Any]) -> None:
    assert numbers(DECIDES) == kept["numbers"], RAISE


def test_another_version_is_another_result_of_the_same_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    before, without = config(), config("artifacts.repaired_masks=false")
    names = [found.identity(CONTENT) for found in (before, without)]
    monkeypatch.setattr(pointrad.config, "REPAIR_VERSION", REPAIR_VERSION + 1)
    assert before.identity(CONTENT) != names[0]
    assert without.identity(CONTENT) == names[1]
    assert before.training_identity(CONTENT) == without.training_identity(CONTENT)


def write() -> None:
    earlier = json.loads(KEPT.read_text()) if KEPT.exists() else {"version": 0}
    if earlier["version"] == REPAIR_VERSION and computed() != pytest.approx(earlier["results"], rel=2e-3):
        sys.exit(f"Masks of version {REPAIR_VERSION} changed. {RAISE}")
    values = {"version": REPAIR_VERSION, "numbers": numbers(DECIDES), "results": computed()}
    KEPT.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    write()
