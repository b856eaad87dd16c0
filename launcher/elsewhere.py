"""What processes need that start elsewhere than in the repository: to find its code."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]
_VARIABLE = "PYTHONPATH"


def setup_of_jobs(given: Sequence[str] | None) -> list[str]:
    """The shell lines that a job begins with: one that makes our code importable, since a job starts in the folder it
    was submitted from and some clusters hand it no environment, then the `given` ones."""
    return [python_path_line(), *(given or [])]


def python_path_line() -> str:
    return f'export {_VARIABLE}={shlex.quote(str(_REPOSITORY))}"${{{_VARIABLE}:+:${_VARIABLE}}}"'


@contextmanager
def code_importable() -> Iterator[None]:
    """Processes that the block starts can import our code, in whatever folder they start."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = os.pathsep.join([str(_REPOSITORY), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
