"""An entry of a cache on disk: a folder of arrays that is whole or not believed.

Each array is a file of its own, to be mapped into memory; `entry.json` describes them and holds the checksum of each
file and of itself.
"""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrad.files import flush_to_disk
from pointrad.schema import digest

Array = NDArray[Any]
_DESCRIPTION = "entry.json"
_LONGEST_WRITING = 3600  # seconds


def write_entry(entry: Path, arrays: Mapping[str, Array], description: object) -> None:
    """Write the folder `entry`, which appears once it is whole and on disk, in the place of what cannot be read there.

    description: plain values. Raises OSError where the disk or the system does.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(entry)
    temporary = entry.with_name(f".{entry.name}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array)
        checksums = _checksums({name: temporary / f"{name}.npy" for name in arrays})
        values = {"description": description, "checksums": checksums}
        (temporary / _DESCRIPTION).write_text(json.dumps(values | {"checksum": digest(values)}), encoding="utf-8")
        for path in (*temporary.iterdir(), temporary):
            flush_to_disk(path)
        _put_in_place(temporary, entry)
        flush_to_disk(entry.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_entry(entry: Path) -> tuple[dict[str, Array], Any]:
    """The arrays and the description of the folder `entry`. The arrays are mapped into memory, copied where they are
    written to. Raises ValueError if they are not what was written, and what reading raises."""
    _require_file(entry / _DESCRIPTION)
    values = json.loads((entry / _DESCRIPTION).read_text(encoding="utf-8"))
    checksum = values.pop("checksum")
    paths = {name: entry / f"{name}.npy" for name in values["checksums"]}
    if checksum != digest(values) or values["checksums"] != _checksums(paths):
        raise ValueError("it is damaged")
    # Runs side by side share the pages, and torch wants arrays that look writable.
    return {name: np.load(path, mmap_mode="c") for name, path in paths.items()}, values["description"]


def _remove_leftovers(entry: Path) -> None:
    """Of processes that were killed while they wrote; others may be writing now."""
    for path in entry.parent.glob(f".{entry.name}.*"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - _LONGEST_WRITING:
                shutil.rmtree(path)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"{path.name} is no file there")  # opening a pipe would wait for ever


def _checksums(paths: Mapping[str, Path]) -> dict[str, str]:
    """Of files by name, side by side: a run waits for them."""
    with ThreadPoolExecutor() as pool:
        return dict(zip(paths, pool.map(_checksum, paths.values()), strict=True))


def _checksum(path: Path) -> str:
    _require_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put_in_place(temporary: Path, entry: Path) -> None:
    try:
        temporary.rename(entry)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        if not _is_whole(entry):  # else another process was as quick
            _remove(entry)
            temporary.rename(entry)


def _is_whole(entry: Path) -> bool:
    try:
        read_entry(entry)
    except Exception:  # whatever a damaged file makes of being read
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
