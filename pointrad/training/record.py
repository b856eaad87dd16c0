"""What is kept of every epoch: a line of `metrics.jsonl`, a step of the tracker, a point of the training curves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training.

    epoch: 1, 2, ... over all stages; `stage_epoch` counts within the stage, up to `stage_epochs` (0 where an earlier
    version did not record it).
    loss: mean over the epoch's steps; psnr_db: of the epoch's mean squared error on the training views, as rendered
    while training. lr: learning rates by name. seconds: of training so far, over all processes of a resumed run.
    """

    epoch: int
    stage: str
    stage_epoch: int
    loss: float
    psnr_db: float
    points: int
    lr: dict[str, float]
    seconds: float
    stage_epochs: int = 0
