"""`metrics.jsonl`: the epochs of a run, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pointrad.errors import UserError
from pointrad.files import append_line, replacing
from pointrad.training.record import EpochRecord

FILE_NAME = "metrics.jsonl"
_EPOCH = TypeAdapter(EpochRecord)


class MetricsFile:
    """The epochs of the run in `run_dir`, each on disk before `append` returns."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / FILE_NAME

    def append(self, record: EpochRecord) -> None:
        append_line(self.path, json.dumps(asdict(record)))

    def truncate_after(self, epoch: int) -> None:
        """Drop what a killed process logged after the checkpoint that training goes on from."""
        if not self.path.exists():
            return
        kept = [record for record in self.read() if record.epoch <= epoch]
        with replacing(self.path) as temporary:
            temporary.write_text("".join(json.dumps(asdict(record)) + "\n" for record in kept), encoding="utf-8")

    def read(self) -> list[EpochRecord]:
        """All epochs in order; a last line that a kill left half-written is none of them."""
        if not self.path.exists():
            return []
        *lines, _unfinished = self.path.read_bytes().split(b"\n")
        return [self._parse(line, number) for number, line in enumerate(lines, start=1)]

    def _parse(self, line: bytes, number: int) -> EpochRecord:
        try:
            return _EPOCH.validate_json(line, strict=True)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            found, why = (
                line[:80].decode(errors="backslashreplace"),
                ": ".join([*map(str, problem["loc"]), problem["msg"]]),
            )
            raise UserError(
                f"{self.path}:{number}: found {found!r}, expected an epoch's JSON ({why}); delete this line: the "
                "curves will lack its epoch, and nothing else"
            ) from None
