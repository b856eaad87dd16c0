"""`capture.py`, and `pointrad-capture` where pointrad is installed."""

from __future__ import annotations

import sys
from typing import Any

from launcher.entry import job, start

# `masks=FOLDER` would choose from the group of sources of masks, which runs have.
_SHORT = {"masks": "masks.source", "box": "masks.box"}


def main() -> None:
    sys.argv[1:] = in_full(sys.argv[1:])
    start("capture", capture)


def in_full(words: list[str]) -> list[str]:
    """The command line with short keys as those that they stand for."""
    parts = [word.partition("=") for word in words]
    return ["".join([_SHORT.get(key, key) if equals else key, equals, value]) for key, equals, value in parts]


def capture(composed: Any) -> None:
    """Make a capture of photographs."""
    job(lambda folder: _capture(composed))


def _capture(composed: Any) -> None:
    from launcher.composition import checked
    from pointrad.capturing.config import CapturingConfig
    from pointrad.capturing.make import make_capture
    from pointrad.progress import warn

    config = checked(CapturingConfig, composed)
    made = make_capture(config)
    structure = made.structure
    for finding in made.findings:
        warn(finding)
    print(f"Registered: {len(structure.focals)} of {len(made.photographs)} photographs")
    print(f"Points: {structure.points:,}, reprojection error {structure.error:.2f} px")
    print(f"Camera: {config.camera_model}, focal length {made.focal:.0f} px, {made.field_of_view:.1f} degrees wide")
    print(f"Capture: {made.folder}")
