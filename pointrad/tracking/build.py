"""Where a run is shown while it trains."""

from __future__ import annotations

import os
from pathlib import Path

from pointrad.config import RunConfig
from pointrad.errors import UserError
from pointrad.tracking.base import NullTracker, Tracker
from pointrad.tracking.config import NoTrackerConfig
from pointrad.tracking.history import log_history
from pointrad.tracking.jsonl import MetricsFile

__all__ = ["MetricsFile", "NullTracker", "Tracker", "build_tracker", "check_tracker", "must_be_online"]


def check_tracker(config: RunConfig) -> None:
    """Raises UserError, before there is any work to lose, where the tracker cannot be had as configured."""
    if isinstance(config.tracker, NoTrackerConfig):
        return
    try:
        from pointrad.tracking.wandb import check_settings  # takes half a second to import
    except ModuleNotFoundError as error:
        raise UserError(f"tracker=wandb: {error}; pip install wandb, or give tracker=none") from None
    except Exception as error:  # of a package that does not fit the others
        raise UserError(
            f"tracker=wandb: importing it raises {type(error).__name__}: {error}; mend its installation, or give "
            "tracker=none"
        ) from None
    check_settings(config.tracker)


def must_be_online(config: RunConfig) -> bool:
    """Whether somebody asks for W&B online, which `check_tracker` refuses where it cannot be."""
    if isinstance(config.tracker, NoTrackerConfig):
        return False
    return "online" in (config.tracker.mode, os.environ.get("WANDB_MODE"))


def build_tracker(config: RunConfig, identity: str, run_dir: Path) -> Tracker:
    """The tracker that `config.tracker` names, for the run with this identity.

    It has been told what `run_dir` holds of the training so far. Raises UserError as `check_tracker` does.
    """
    check_tracker(config)
    if isinstance(config.tracker, NoTrackerConfig):
        return NullTracker()
    from pointrad.tracking.wandb import WandbTracker

    corruption = config.corruption
    tracker = WandbTracker(
        config.tracker,
        run_config={**config.model_dump(mode="json"), "identity": identity},
        run_dir=run_dir,
        name=f"{config.scene.name} {corruption.name} {corruption.level:g} seed {config.seed}",
        tags=(config.scene.name, corruption.name, f"level {corruption.level:g}"),
    )
    log_history(tracker, run_dir, config.schedule, MetricsFile(run_dir).read())
    return tracker
