"""A sequence of clouds as it is stored: the first in full, each next one as differences from the one before.

What is stored is what is rendered: a frame's cloud is read back before it is scored, and the next one starts from that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.model.base import Cloud, Model
from pointrad.training.lineage import ORIGIN

FOLDER = "sequence"


@dataclass(frozen=True)
class StoredSequence:
    """The clouds of a run folder, in the scene frame, one file a frame: `sequence/0000.npz` and so on.

    The first file holds parameters by group, [width, N] float32. Those of the others hold, for N splats with D values:
    `origin` [N] int32, 1 + the place of a splat in the cloud before, 0 for a new one, as differences from one to the
    next; `moved`, a bit for each that is not as it was; of these M splats `values` [D, M], whole numbers of `steps`
    [D] float32, which are added to what they were, or to 0. So a splat that stands still is stored once.
    """

    folder: Path
    model: Model

    @classmethod
    def of(cls, run_dir: Path, model: Model) -> StoredSequence:
        return cls(run_dir / FOLDER, model)

    def path(self, frame: int) -> Path:
        return self.folder / f"{frame:04}.npz"

    def __len__(self) -> int:
        """How many frames there are, from the first on."""
        frame = 0
        while self.path(frame).is_file():
            frame += 1
        return frame

    def megabytes(self, frame: int) -> float:
        """Of its file, in units of 2^20 bytes."""
        return self.path(frame).stat().st_size / 2**20

    def clouds(self) -> Iterator[Cloud]:
        """All of them in order; one at a time is in memory. Each tells its splats' origins (`training.lineage`)."""
        cloud = None
        for frame in range(len(self)):
            cloud = self.read(frame, cloud)
            yield cloud

    def write_first(self, cloud: Cloud) -> None:
        self._write(0, {name: values.numpy() for name, values in cloud.model.split(cloud.parameters.cpu()).items()})

    def write_next(self, frame: int, cloud: Cloud, before: Cloud, steps: Mapping[str, float]) -> None:
        """The cloud of a frame, whose splats tell their origins in `before`. steps: by group."""
        step = torch.cat([torch.full((group.width,), steps[group.name]) for group in self.model.groups])
        origin = cloud.state[ORIGIN].cpu()
        values = torch.round((cloud.parameters.cpu() - carried(before, origin)) / step[:, None])
        moved = (values != 0).any(dim=0)
        whole = values[:, moved].numpy()
        fits = np.abs(whole).max(initial=0) <= np.iinfo(np.int16).max
        arrays: dict[str, np.ndarray] = {
            "origin": np.diff(origin.numpy().astype(np.int32), prepend=np.int32(0)),
            "moved": np.packbits(moved.numpy()),
            "values": whole.astype(np.int16 if fits else np.int32),
            "steps": step.numpy(),
        }
        self._write(frame, arrays)

    def read(self, frame: int, before: Cloud | None) -> Cloud:
        """before: the cloud of the frame before, of all but the first. Raises UserError for a damaged file."""
        try:
            with np.load(self.path(frame)) as file:
                arrays = {name: torch.from_numpy(file[name]) for name in file.files}
            if before is None:
                return Cloud(self.model, self.model.join(arrays))
            origin = arrays["origin"].cumsum(0)
            parameters = carried(before, origin)
            moved = torch.from_numpy(np.unpackbits(arrays["moved"].numpy(), count=len(origin)).astype(bool))
            parameters[:, moved] += arrays["steps"][:, None] * arrays["values"]
        except Exception as error:  # whatever a damaged file makes of being read
            raise UserError(f"{self.path(frame)}: not a frame of this sequence ({error}); run it again") from None
        return Cloud(self.model, parameters, {ORIGIN: origin})

    def _write(self, frame: int, arrays: Mapping[str, np.ndarray]) -> None:
        with replacing(self.path(frame)) as path, path.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def carried(before: Cloud, origin: Tensor) -> Tensor:
    """[D, N] what splats of these origins [N] were in the cloud before, 0 of those that are new."""
    known = origin > 0
    parameters = torch.zeros(before.model.width, len(origin))
    parameters[:, known] = before.parameters.cpu()[:, origin[known] - 1]
    return parameters
