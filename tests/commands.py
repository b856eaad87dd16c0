"""Commands as a person calls them, in this process: one of its own would load libraries for a second or more."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO

import pytest
from hydra.core.global_hydra import GlobalHydra

from launcher import entry
from launcher.many import Sweep


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    code: int
    out: str
    err: str


def called(main: Callable[[], object], *words: str) -> Ended:
    """What `main` leaves that is called with this command line, the script's name first."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        patched.setenv("COLUMNS", "200")
        code = call(main, patched, *words)
    return Ended(code, out.getvalue(), err.getvalue())


def call(main: Callable[[], object], patched: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `main` with this command line, the script's name first; what it says goes to sys.stderr."""
    patched.setattr(entry, "end_with_reader", lambda: None)
    patched.setattr(Sweep, "folder", None)
    for name in ("PYTHONPATH", "HYDRA_FULL_ERROR"):
        patched.setenv(name, "")
    patched.setattr(sys, "argv", list(words))
    patched.setattr(sys, "orig_argv", ["python", *words])
    GlobalHydra.instance().clear()
    try:
        main()
    except SystemExit as ended:
        print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else 1
    return 0
