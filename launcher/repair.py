"""`repair.py`, and `pointrad-repair` where pointrad is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launcher.entry import job, loading_libraries, start

_MOST_NAMED = 5


def main() -> None:
    start("repair", repair)


def repair(composed: Any) -> None:
    """Put the masks of a capture right."""
    job(lambda folder: _repair(composed, folder))


def _repair(composed: Any, folder: Path) -> None:
    from launcher.composition import checked
    from pointrad.config import RepairConfig
    from pointrad.progress import announce
    from pointrad.run.compilation import Compilation

    config = checked(RepairConfig, composed)
    announce(f"{config.scene.name}: loading libraries and data")
    with Compilation(config) as compilation:  # before torch is imported, so that both go on at once
        with loading_libraries():
            from pointrad.run.run import repair

        ranking = repair(config, folder, compilation)
    from pointrad.repair.artifact import MASKS, PAGE

    print(f"Masks that look wrong: {len(ranking.wrong)} of {len(ranking.rows)}")
    for row in ranking.wrong[:_MOST_NAMED]:
        print(f"  {row.view}: {row.comparison.kind.value}, IoU {row.comparison.iou:.3f}")
    print(f"Page: {folder / PAGE}")
    print(f"Masks: {folder / MASKS}")
