"""Fixtures for all tests."""

from __future__ import annotations

from tests.device import DEVICE  # before all else: it hides GPUs from what is imported after it

# isort: split
import gc
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numba
import pytest
import torch

from tests.scenes import write_tiny_scene
from tests.workers import WholeFiles


def pytest_configure() -> None:
    if DEVICE.type == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError(f"POINTRAD_DEVICE: found {DEVICE}; this machine has no CUDA device")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """No garbage is looked for among modules and tests, which stay, neither while they are loaded nor later; and in
    what tests make, seldom: looking would take a twentieth of all time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that take longest first, so that workers end together."""
    items.sort(key=lambda item: [mark not in item.keywords for mark in ("cluster", "integration")])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    return WholeFiles(config, log)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Tests start on one thread, since other workers have the other cores; results do not depend on it."""
    numba.set_num_threads(1)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests write need not outlive a power cut."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def _no_process_beside_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process compile what they need; a process for each kind of run would load libraries anew."""
    monkeypatch.setattr("pointrad.run.compilation.mark_of", lambda config: None)


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
