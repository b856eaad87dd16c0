"""Fixtures for all tests."""

from __future__ import annotations

from tests.device import DEVICE  # before all else: it hides GPUs from what is imported after it

# isort: split
import os
from pathlib import Path

import pytest
import torch

from tests.scenes import write_tiny_scene


def pytest_configure() -> None:
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError(f"POINTRAD_DEVICE: found {DEVICE}; this machine has no CUDA device")


@pytest.fixture
def tiny_scene_root(tmp_path: Path) -> Path:
    """A folder that holds the scene "tiny": a sphere, 6 train, 3 val and 3 test views of 32x24 pixels."""
    return write_tiny_scene(tmp_path / "scenes")


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The folder that holds the NeRF-synthetic scenes; tests that need it are skipped where it is not."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data" / "nerf_synthetic"
    root = Path(os.environ.get("POINTRAD_DATA") or beside)
    if not (root / "hotdog" / "transforms_train.json").is_file():
        pytest.skip(f"no NeRF-synthetic hotdog in {root}; set POINTRAD_DATA to the folder that holds the scenes")
    return root
