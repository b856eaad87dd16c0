"""What earlier processes of a run left in W&B's local transaction files.

Each process of a run writes a file of its own, and `wandb sync` merges them. W&B writes late (a killed process can
lose its last ten seconds), so only the files tell what still has to be logged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from wandb.proto.wandb_internal_pb2 import Record

# LevelDB's log format after a header of 7 bytes: chunks that never cross a block's end, of checksum, size and kind.
_FILE_HEADER, _BLOCK = 7, 32768
_CHUNK_HEADER = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def last_steps(folder: Path, run_id: str) -> dict[str, int]:
    """The last step at which each key was logged by any process; `folder` is the one named wandb."""
    steps: dict[str, int] = {}
    for path in _transaction_files(folder, run_id):
        for record in read_records(path):
            for item in record.history.item:
                key = item.key or item.nested_key[0]
                steps[key] = max(record.history.step.num, steps.get(key, -1))
    return steps


def set_aside_unreadable(folder: Path, run_id: str) -> None:
    """Rename the folders of processes killed before W&B wrote anything: one makes `wandb sync` refuse the others."""
    for path in _transaction_files(folder, run_id):
        if path.parent.name.startswith("offline-") and not any(record.HasField("run") for record in read_records(path)):
            path.parent.rename(path.parent.with_name(f"unreadable-{path.parent.name}"))


def read_records(path: Path) -> Iterator[Record]:
    """The records up to the end of the file or to where a kill cut it off."""
    try:
        yield from (Record.FromString(record) for record in _read_log(path.read_bytes()))
    except DecodeError:
        return


def _transaction_files(folder: Path, run_id: str) -> list[Path]:
    online, offline = f"run-*-{run_id}/run-{run_id}.wandb", f"offline-run-*-{run_id}/run-{run_id}.wandb"
    return [*folder.glob(online), *folder.glob(offline)]


def _read_log(content: bytes) -> Iterator[bytes]:
    position, record = _FILE_HEADER, b""
    while position + _CHUNK_HEADER.size <= len(content):
        left_in_block = _BLOCK - position % _BLOCK
        if left_in_block < _CHUNK_HEADER.size:
            position += left_in_block
            continue
        _, size, kind = _CHUNK_HEADER.unpack_from(content, position)
        start = position + _CHUNK_HEADER.size
        position = start + size
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or position > len(content):
            return
        record = content[start:position] if kind in (_FULL, _FIRST) else record + content[start:position]
        if kind in (_FULL, _LAST):
            yield record
