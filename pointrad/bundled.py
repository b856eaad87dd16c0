"""What comes with pointrad besides code. It lies inside the package, so that an installed copy has it too."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

CONFIG_FOLDER = _PACKAGE / "conf"
DEMO_FOLDER = _PACKAGE / "demo_scene"
DEMO_MOVING_FOLDER = _PACKAGE / "demo_moving"
