"""The state of a training, kept so that a killed run goes on to the same result bit for bit."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor

from pointrad.errors import MachineError, OtherRunError, UserError, trouble_of_machine
from pointrad.files import replacing

FILE_NAME = "checkpoint.pt"
_UNREADABLE = (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, BadZipFile)


@dataclass
class Progress:
    """How far a training is: `stage` counts enabled stages from 0, `stage_epoch` the epochs done in it, `epoch` all.

    seconds: of training, over all processes. points: at the end of each stage by its name, "init" first.
    """

    stage: int = 0
    stage_epoch: int = 0
    epoch: int = 0
    seconds: float = 0.0
    points: dict[str, int] = field(default_factory=dict)


@dataclass
class Checkpoint:
    """identity: `RunConfig.training_identity` of the run. parameters: the cloud's, by group ([width, N] each).

    steps, exp_avg, exp_avg_sq: how often Adam moved them, and its moments by group, absent between stages. facts: what
    else the summary tells (hull points, mask IoU, bits of the targets, ...). losses: loss and MSE of each step done in
    the epoch under way. statistics: what else training keeps of each splat within a stage (`Cloud.state`).
    """

    identity: str
    progress: Progress
    parameters: dict[str, Tensor]
    facts: dict[str, float]
    steps: int = 0
    exp_avg: dict[str, Tensor] | None = None
    exp_avg_sq: dict[str, Tensor] | None = None
    statistics: dict[str, Tensor] = field(default_factory=dict)
    losses: list[list[float]] = field(default_factory=list)

    def save(self, run_dir: Path) -> None:
        """Write atomically: a kill leaves the last checkpoint whole."""
        values: dict[str, Any] = {**vars(self), "progress": asdict(self.progress)}
        try:
            with replacing(run_dir / FILE_NAME) as path, path.open("wb") as file:  # torch would hold on to its own
                torch.save(values, file)
        except RuntimeError as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # behind which torch's writer puts trouble of its own
                raise KeyboardInterrupt from None
            raise

    @classmethod
    def load(cls, run_dir: Path, identity: str | None = None) -> Checkpoint | None:
        """The checkpoint in `run_dir`, if any. Raises OtherRunError if it is of another training than `identity`, where
        that is given, and UserError if it is unreadable."""
        path = run_dir / FILE_NAME
        if not path.exists():
            return None
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
            checkpoint = cls(**{**values, "progress": Progress(**values["progress"])})
        except PermissionError:
            raise UserError(f"{path}: may not be read by this account; expected a checkpoint of its own") from None
        except (*_UNREADABLE, pickle.UnpicklingError) as error:
            if trouble_of_machine(error):
                raise MachineError(f"{path}: cannot be read ({error}); run the same command again") from error
            # Without torch's own words, which advise to load whatever is there, code included.
            raise UserError(
                f"{path}: not a readable checkpoint ({type(error).__name__}): damaged, or of another program; delete "
                "it to start anew"
            ) from None
        if identity is not None and checkpoint.identity != identity:
            raise OtherRunError(
                f"{path}: belongs to another configuration, other data or another version of the method (found "
                f"{checkpoint.identity}, expected {identity}); give another hydra.run.dir, or the configuration in "
                "config.yaml and the data that provenance.json beside it tells of"
            )
        return checkpoint
