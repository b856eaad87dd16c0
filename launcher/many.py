"""Many jobs of one command (`train.py -m`): those that fail end no others, and all are told at the end.

A job can run in any process, whatever the launcher. What it has to tell stands in a file of the sweep's folder.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf.errors import OmegaConfBaseException

from pointrad.files import append_line, read_json_lines
from pointrad.run.status import TRACEBACK_FILE
from pointrad.terminal import printable

FAILURES_FILE = "failures.jsonl"


@dataclass(frozen=True)
class Failure:
    """A line of the file: the job's folder, its overrides, and what ended it."""

    folder: str
    overrides: list[str]
    error: str

    def told(self, common: Collection[str]) -> str:
        """For a person; `common` are the overrides that do not tell this job from others."""
        trace = Path(self.folder) / TRACEBACK_FILE
        shared = {override.lower() for override in common}  # a launcher writes False for false
        own = [override for override in self.overrides if override.lower() not in shared]
        why = [*self.error.splitlines(), *([f"({trace})"] if trace.exists() else [])]
        return "\n".join([" ".join([f"  {self.folder}", *own]), *(f"    {line}" for line in why)])


def note(sweep_dir: Path, failure: Failure) -> None:
    """Keep what a job has to tell. Called in the job's own process."""
    append_line(sweep_dir / FAILURES_FILE, json.dumps(asdict(failure)))


def failures(sweep_dir: Path, earlier: int = 0) -> list[Failure]:
    """What the sweep's jobs have told so far, without the first `earlier`, in the order of their folders."""
    found = (Failure(**told) for told in read_json_lines(sweep_dir / FAILURES_FILE)[earlier:])
    return sorted(found, key=lambda failure: _natural(failure.folder))


class Sweep(Callback):
    """Remembers the sweep that this process launches: its folder, the failures that earlier calls have left there, and
    what its jobs share. conf/ has Hydra call it."""

    folder: ClassVar[Path | None] = None
    earlier: ClassVar[int] = 0
    overrides: ClassVar[Collection[str]] = ()

    def on_multirun_start(self, config: Any, **kwargs: Any) -> None:
        with suppress(OmegaConfBaseException, OSError):  # no such folder can be: told where it is used
            folder = Path(str(config.hydra.sweep.dir))
            Sweep.earlier, Sweep.overrides = len(failures(folder)), list(config.hydra.overrides.task)
            Sweep.folder = folder


@contextmanager
def telling_failures() -> Iterator[None]:
    """While the block launches a sweep: tell at its end, however it ends, which jobs failed, and then exit with 1."""
    failed: list[Failure] = []
    try:
        yield
    finally:
        if Sweep.folder is not None and (failed := failures(Sweep.folder, Sweep.earlier)):
            print(f"\n{len(failed)} job{'s' if len(failed) > 1 else ''} failed:", file=sys.stderr)
            print(printable("\n".join(failure.told(Sweep.overrides) for failure in failed)), file=sys.stderr)
    if failed:
        sys.exit(1)


def _natural(folder: str) -> tuple[str, int, str]:
    """Sorts job 10 after job 9."""
    path = Path(folder)
    return str(path.parent), int(path.name) if path.name.isdigit() else 0, path.name
