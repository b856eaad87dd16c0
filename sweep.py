"""Run a study: `python sweep.py study=smoke`. What there is to a study: docs/studies.md."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from launcher.requeue import preemptible
from launcher.study import run_config
from pointrad.terminal import end_with_reader

ACTIONS = ("run", "status", "collect", "report", "cancel")


@hydra.main(version_base="1.3", config_path="conf", config_name="sweep")
def main(composed: DictConfig) -> float | None:
    """One run of the study, called by the launcher; returns its PSNR in dB, None where it failed."""
    from pointrad.study.job import compute
    from pointrad.study.plan import STOP_FILE

    stop = Path(composed.study.dir) / STOP_FILE if composed.fail_fast else None
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    return preemptible(lambda: compute(run_config(composed), run_dir, stop))


if __name__ == "__main__":
    end_with_reader()
    # `python sweep.py status study=smoke` reads better than `action=status`.
    sys.argv = [f"action={word}" if word in ACTIONS else word for word in sys.argv]
    main()
