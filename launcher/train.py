"""`train.py`, and `pointrad-train` where pointrad is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from launcher.entry import job, loading_libraries, start, tell_how_to_go_on


def main() -> None:
    start("train", train)


def train(composed: Any) -> float | None:
    """Returns the PSNR in dB, which a sweeper such as Optuna may maximise; None where the run failed."""
    return job(lambda run_dir: _train(composed, run_dir))


def _train(composed: Any, run_dir: Path) -> float:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from launcher.composition import checked
    from pointrad.config import RunConfig
    from pointrad.errors import MachineError, UserError
    from pointrad.run.status import discard_if_empty, record_failure

    alone = HydraConfig.get().mode is not RunMode.MULTIRUN
    try:
        try:
            config = checked(RunConfig, composed)
        except UserError as error:
            record_failure(run_dir, error)
            raise
        from launcher.requeue import preemptible
        from pointrad.progress import announce
        from pointrad.run.compilation import Compilation

        announce(f"{config.scene.name}: loading libraries and data")
        with Compilation(config) as compilation:  # before torch is imported, so that both go on at once
            with loading_libraries():
                from pointrad.run.run import run

            result = preemptible(lambda: run(config, run_dir, compilation))
    except UserError as error:
        if alone:  # one of many keeps its status and traceback
            discard_if_empty(run_dir)
            if isinstance(error, MachineError) and run_dir.exists():
                tell_how_to_go_on({"hydra.run.dir": str(run_dir)})
        raise
    except KeyboardInterrupt:
        if not alone:
            raise
        tell_how_to_go_on({"hydra.run.dir": str(run_dir)})
        sys.exit(130)
    print(result.published_lines())
    print(f"Pictures: {run_dir / 'pictures'}")
    return result.psnr_db
