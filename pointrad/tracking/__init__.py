"""Where a run is shown while it trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pointrad.config import NoTrackerConfig, RunConfig
from pointrad.errors import UserError
from pointrad.tracking.base import NullTracker, Tracker
from pointrad.tracking.jsonl import MetricsFile
from pointrad.training.record import EpochRecord

__all__ = ["MetricsFile", "NullTracker", "Tracker", "build_tracker"]


def build_tracker(
    config: RunConfig, identity: str, run_dir: Path, history: Sequence[EpochRecord] | None = None
) -> Tracker:
    """The tracker that `config.tracker` names, for the run with this identity, going on from `history`: if None, the
    metrics file of `run_dir`."""
    if isinstance(config.tracker, NoTrackerConfig):
        return NullTracker()
    try:
        from pointrad.tracking.wandb import WandbTracker  # takes half a second to import
    except ModuleNotFoundError as error:
        raise UserError(f"tracker=wandb: {error}; pip install wandb, or give tracker=none") from None
    corruption = config.corruption
    return WandbTracker(
        config.tracker,
        run_config={**config.model_dump(mode="json"), "identity": identity},
        run_dir=run_dir,
        name=f"{config.scene.name} {corruption.name} {corruption.level:g} seed {config.seed}",
        tags=(config.scene.name, corruption.name, f"level {corruption.level:g}"),
        history=MetricsFile(run_dir).read() if history is None else history,
    )
