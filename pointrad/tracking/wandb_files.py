"""What earlier processes of a run left in W&B's local transaction files.

Each process of a run writes a file of its own, and `wandb sync` merges them. W&B writes late (a killed process can
lose its last ten seconds), so only the files tell what still has to be logged.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

# LevelDB's log format after a header of 7 bytes: chunks that never cross a block's end, of checksum, size and kind.
_FILE_HEADER, _BLOCK = 7, 32768
_CHUNK_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _LAST = 1, 2, 4


def last_steps(folder: Path, run_id: str) -> dict[str, int]:
    """The last step at which each key was logged by any process; `folder` is the one named wandb."""
    steps: dict[str, int] = {}
    for path in _transaction_files(folder, run_id):
        for record in read_records(path):
            for item in record.history.item:
                key = item.key or item.nested_key[0]
                steps[key] = max(record.history.step.num, steps.get(key, -1))
    return steps


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
    return (Record.FromString(record) for record, _ in _read_log(path.read_bytes()))


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
