"""What produced a result: versions, commit and device; no host or user names."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from pointrad import __version__
from pointrad.evaluation import device_name
from pointrad.model.config import ModelConfig
from pointrad.schema import Bounds, Config

_PACKAGES = ("torch", "triton", "pytorch3d", "numba", "numpy", "hydra-core", "omegaconf", "wandb")
_OTHER_NAMES = {"pytorch3d": "easypytorch3d"}  # of distributions that provide the same package


class Placement(Config):
    """What a configuration may leave to the views, as they decided it: where the object is, how large splats are."""

    bounds: Bounds
    model: ModelConfig


def provenance(device: torch.device | None = None) -> dict[str, object]:
    """Plain values for `PROVENANCE_FILE`; None for a package that is absent and outside a git checkout."""
    return {
        "versions": {"python": platform.python_version(), "pointrad": __version__}
        | {package: _version(package) for package in _PACKAGES},
        "git": _git_state(),
        "platform": f"{platform.system()}-{platform.release()}-{platform.machine()}",
        "device": device_name(device or torch.device("cpu")),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return _version(_OTHER_NAMES[package]) if package in _OTHER_NAMES else None


def _git_state() -> dict[str, object] | None:
    """The commit of the checkout that this file belongs to, and whether tracked files differ from it."""
    # An installed copy can lie inside somebody else's checkout (a virtual environment does), where it is not tracked.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
