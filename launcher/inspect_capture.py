"""`inspect_capture.py`, and `pointrad-inspect` where pointrad is installed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from launcher.entry import job, start


def main() -> None:
    start("inspect_capture", inspect)


def inspect(composed: Any) -> None:
    """Look at a capture, print what is found and write its page."""
    job(lambda folder: _inspect(composed, folder))


def _inspect(composed: Any, folder: Path) -> None:
    from launcher.composition import checked
    from pointrad.config import InspectConfig
    from pointrad.errors import UserError
    from pointrad.progress import announce

    try:
        config = checked(InspectConfig, composed)
        announce(f"{config.scene.name}: reading photographs and masks")
        from pointrad.inspection.inspect import PAGE, inspect
        from pointrad.inspection.table import show

        show(inspect(config, folder))
    except UserError:
        with suppress(OSError):  # it holds something
            folder.rmdir()
        raise
    print(f"Page: {folder / PAGE}")
