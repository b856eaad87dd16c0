"""Files that are either whole or absent, so that a run killed at any moment can resume."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from pointrad.errors import MachineError, trouble_of_machine

T = TypeVar("T")
_PROBE = 64 * 1024  # bytes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path` (same suffix) that takes its place if the block succeeds.

    The file is on disk before it takes the name; a block that raises leaves `path` as it was. Trouble of the disk, such
    as that it is full, is a MachineError that names `path`. For files that one process at a time writes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.stem}.????????{path.suffix}"):  # of a process killed while writing
        leftover.unlink(missing_ok=True)
    with replacing_beside_others(path) as temporary:
        yield temporary


@contextmanager
def replacing_beside_others(path: Path) -> Iterator[Path]:
    """`replacing`, for files that several processes may write at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with _naming_trouble(path):
            yield temporary
            flush_to_disk(temporary)
            temporary.replace(path)
            flush_to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """`replacing` for a folder: yield an empty one beside `path` that takes its place, and that of a folder which is
    there, if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.????????"):  # of a process killed while writing
        shutil.rmtree(leftover, ignore_errors=True)
    temporary, former = (path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}") for _ in range(2))
    try:
        with _naming_trouble(path):
            temporary.mkdir()
            yield temporary
            for written in (*temporary.rglob("*"), temporary):
                flush_to_disk(written)
            if path.exists():
                path.rename(former)
            temporary.rename(path)
            flush_to_disk(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def write_json(path: Path, values: object) -> None:
    """Write plain values as indented JSON, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Append `line` (without its newline) and return once it is on disk; a kill can leave half of the last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming_trouble(path), path.open("ab", buffering=0) as file:
        file.write(line.encode() + b"\n")
        os.fsync(file.fileno())


def read_json_lines(path: Path) -> list[Any]:
    """The values of the lines that `append_line` wrote, oldest first; none where there is no file."""
    if not path.exists():
        return []
    values = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        with suppress(ValueError):  # half of one, written by a process that was killed, alone or before another
            values.append(json.loads(line))
    return values


def while_unchanged(read: Callable[[Path], T]) -> Callable[[Path], T]:
    """`read` of a file, whose result is kept until the file is another. Who gets it must not change it."""

    @lru_cache(maxsize=8)
    def kept(path: Path, stamp: tuple[int, ...]) -> T:
        return read(path)

    @wraps(read)
    def reading(path: Path) -> T:
        try:
            found = path.stat()
        except OSError:
            return read(path)  # which tells what is wrong with it
        return kept(path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))

    return reading


def user_cache_folder() -> Path | None:
    """Where what can be had again is kept for a user, by the XDG rule; None for a user without a home."""
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (chosen if chosen.is_absolute() else Path.home() / ".cache") / "pointrad"
    except RuntimeError:
        return None


def kernel_folder() -> Path | None:
    """Where compiled kernels are kept for a user: as Numba is told, or in the user's cache; None without either."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen) / "pointrad"
    cached = user_cache_folder()
    return cached / "kernels" if cached else None


def flush_to_disk(path: Path) -> None:
    """Return once this file, or this folder's list of files, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _naming_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # torch.save and ffmpeg report a full disk as an error of their own, without the system's number.
        trouble = trouble_of_machine(error) or _trouble_of_disk(path.parent)
        if trouble is None:
            raise
        if getattr(trouble, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(
                f"{path}: no space left on its disk; free some, then run the same command again"
            ) from error
        raise MachineError(f"{path}: cannot be written ({trouble}); run the same command again") from error


def _trouble_of_disk(folder: Path) -> OSError | None:
    """What the system says to a small file there, if it is trouble."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error if trouble_of_machine(error) else None
    return None


def refusal(error: OSError) -> str | None:
    """What the file system refuses and why, for a person who can change it; None for what is no refusal."""
    if error.filename is None:
        return None
    path = Path(os.fsdecode(error.filename))
    match error.errno:
        case errno.ENAMETOOLONG:
            name = max(path.parts, key=len)
            return f"{name[:60]}...: a name of {len(name)} characters; the file system takes fewer (most take 255)"
        case errno.ENOTDIR | errno.EEXIST:
            file = next((folder for folder in [*reversed(path.parents), path] if folder.is_file()), path)
            return f"{file}: found a file; expected a folder" + (f", to hold {path}" if file != path else "")
        case errno.EISDIR:
            return f"{path}: found a folder; expected a file"
        case errno.EACCES | errno.EPERM:
            return f"{path}: this user may not read or write it (permission denied)"
        case errno.EROFS:
            return f"{path}: cannot be written, its file system is read-only"
        case errno.ENOENT:
            return f"{path}: no such file or folder"
        case errno.ENOSPC | errno.EDQUOT:
            return f"{path}: no space left on its disk"
        case errno.ELOOP:
            return f"{path}: a link that leads back to itself"
    return None
