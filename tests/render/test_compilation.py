"""Kernels are compiled once per machine: a process finds what one before it compiled."""

from __future__ import annotations

import subprocess
import sys

import pytest
from numba.core import event

from tests.render import test_determinism, test_gaussian_kernels
from tests.runs import REPOSITORY

pytestmark = pytest.mark.integration


def digest() -> None:
    test_determinism.digest()
    test_gaussian_kernels.digest()


def compiled() -> list[str]:
    """What Numba has to compile for images, gradients and training steps."""
    with event.install_recorder("numba:compile") as recorder:
        digest()
    return sorted({entry.data["dispatcher"].py_func.__name__ for _, entry in recorder.buffer})


def test_a_second_process_compiles_nothing() -> None:
    digest()
    script = "from tests.render.test_compilation import compiled; print('compiled:', *compiled())"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "compiled:"
