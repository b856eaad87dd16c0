"""Differentiable point-based radiance fields under imperfect masks.

As a library (docs/library.md): `compose` a configuration, `load_scene` what it trains on, `train` it in a folder, and
`load_run` what that folder holds. Each is imported when it is first asked for, since torch takes seconds.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launcher.library import compose
    from pointrad.camera import Camera
    from pointrad.config import RunConfig
    from pointrad.data.capture import load_scene
    from pointrad.errors import UserError
    from pointrad.finished.load import FinishedRun, load_run
    from pointrad.run.run import run as train

__version__ = "0.1.0"
__all__ = ["Camera", "FinishedRun", "RunConfig", "UserError", "compose", "load_run", "load_scene", "train"]

_PLACES = {
    "Camera": ("pointrad.camera", "Camera"),
    "FinishedRun": ("pointrad.finished.load", "FinishedRun"),
    "RunConfig": ("pointrad.config", "RunConfig"),
    "UserError": ("pointrad.errors", "UserError"),
    "compose": ("launcher.library", "compose"),
    "load_run": ("pointrad.finished.load", "load_run"),
    "load_scene": ("pointrad.data.capture", "load_scene"),
    "train": ("pointrad.run.run", "run"),
}

# Threads that wait for each other spin; GNU OpenMP's default of milliseconds takes the cores from other runs on the
# machine. Before numba or torch load it, or it is too late.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
