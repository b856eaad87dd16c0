"""What earlier processes of a run left in W&B's local transaction files.

Each process of a run writes a file of its own, and `wandb sync` merges them. W&B writes late (a killed process can
lose its last ten seconds), so only the files tell what still has to be logged.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from wandb.proto.wandb_internal_pb2 import Record

from pointrad.tracking.logged import Logged

# LevelDB's log format after a header of 7 bytes: chunks that never cross a block's end, of checksum, size and kind.
_FILE_HEADER, _BLOCK = 7, 32768
_CHUNK_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _LAST = 1, 2, 4


def logged_in_files(folder: Path, run_id: str) -> Logged:
    """What the processes of the run have logged so far; `folder` is the one named wandb."""
    rows, files, count = list[dict[str, Any]](), set[str](), 0
    for path in _transaction_files(folder, run_id):
        kept = path.parent / "files"
        files |= {str(file.relative_to(kept)) for file in kept.glob("media/**/*") if file.is_file()}
        for record in read_records(path):
            if record.HasField("history"):
                rows.append(_row(record))
                count = max(count, record.history.step.num + 1)
    return Logged.of_rows(rows, frozenset(files), count)


def _row(record: Record) -> dict[str, Any]:
    """A row of the history by column; a picture's column holds what W&B says of its file."""
    row: dict[str, Any] = {}
    for item in record.history.item:
        *outer, last = item.nested_key or [item.key]
        column = row
        for key in outer:
            column = column.setdefault(key, {})
        column[last] = json.loads(item.value_json)
    return row


def mend(folder: Path, run_id: str) -> None:
    """Cut each offline file off after its last whole record, and rename the folders of those without a run.

    A killed process leaves half a record, or nothing yet; either makes `wandb sync` drop the files of later processes.
    """
    for path in _transaction_files(folder, run_id):
        if not path.parent.name.startswith("offline-"):
            continue
        ends = [end for _, end in _read_log(path.read_bytes())]
        if not any(record.HasField("run") for record in read_records(path)):
            path.parent.rename(path.parent.with_name(f"unreadable-{path.parent.name}"))
        elif ends[-1] < path.stat().st_size:
            os.truncate(path, ends[-1])


def set_aside_offline(folder: Path, run_id: str) -> None:
    """Rename the folders of offline files that no `wandb sync` has uploaded, so that none will.

    For a run that goes on online, which logs to the server all that they hold: uploaded later, they would repeat it.
    """
    for path in _transaction_files(folder, run_id):
        if path.parent.name.startswith("offline-") and not path.with_name(f"{path.name}.synced").exists():
            path.parent.rename(path.parent.with_name(f"superseded-{path.parent.name}"))


def read_records(path: Path) -> Iterator[Record]:
    """The records up to the end of the file or to where a kill cut it off."""
    with suppress(DecodeError):
        for record, _ in _read_log(path.read_bytes()):
            yield Record.FromString(record)


def _transaction_files(folder: Path, run_id: str) -> list[Path]:
    online, offline = f"run-*-{run_id}/run-{run_id}.wandb", f"offline-run-*-{run_id}/run-{run_id}.wandb"
    return [*folder.glob(online), *folder.glob(offline)]


def _read_log(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Each whole record and the offset of its end."""
    position, record = _FILE_HEADER, b""
    while position + _CHUNK_HEADER.size <= len(content):
        left_in_block = _BLOCK - position % _BLOCK
        if left_in_block < _CHUNK_HEADER.size:
            position += left_in_block
            continue
        checksum, size, kind = _CHUNK_HEADER.unpack_from(content, position)
        start, position = position + _CHUNK_HEADER.size, position + _CHUNK_HEADER.size + size
        if zlib.crc32(content[start - 1 : position]) != checksum:  # of the kind and the payload
            return
        record = content[start:position] if kind in (_FULL, _FIRST) else record + content[start:position]
        if kind in (_FULL, _LAST):
            yield record, position
