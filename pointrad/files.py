"""Files that are either whole or absent, so that a run killed at any moment can resume."""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointrad.errors import UserError

_FULL_BELOW = 64 * 1024  # bytes free


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path` (same suffix) that takes its place if the block succeeds.

    The file is on disk before it takes the name; a block that raises leaves `path` as it was. A full disk is a
    UserError that names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.stem}.????????{path.suffix}"):  # of a process killed while writing
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with _full_disk_is_users(path):
            yield temporary
            _flush_to_disk(temporary)
            temporary.replace(path)
            _flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, values: object) -> None:
    """Write plain values as indented JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Append `line` (without its newline) and return once it is on disk; a kill can leave half of the last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _full_disk_is_users(path), path.open("ab", buffering=0) as file:
        file.write(line.encode() + b"\n")
        os.fsync(file.fileno())


def user_cache_folder() -> Path | None:
    """Where what can be had again is kept for a user, by the XDG rule; None for a user without a home."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "pointrad"
    except RuntimeError:
        return None


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _full_disk_is_users(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # torch.save and ffmpeg report a full disk as an error of their own, without the system's number.
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or shutil.disk_usage(path.parent).free < _FULL_BELOW:
            raise UserError(f"{path}: no space left on its disk; free some, then run the same command again") from error
        raise
