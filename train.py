"""Train one scene: `python train.py --help`. Many: `python train.py -m corruption.level=0,0.12 seed=0,1`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from launcher.requeue import preemptible
from pointrad.config import RunConfig
from pointrad.errors import UserError
from pointrad.progress import announce
from pointrad.run import run
from pointrad.status import discard_if_empty
from pointrad.terminal import end_with_reader


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(composed: DictConfig) -> float:
    """Returns the PSNR in dB, which a sweeper such as Optuna may maximise."""
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    try:
        config = RunConfig.parse(OmegaConf.to_container(composed, resolve=True))
        result = preemptible(lambda: run(config, run_dir))
    except UserError as error:
        discard_if_empty(run_dir)
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            # Its launcher has other jobs and reports this one; of this class, Hydra prints the message alone.
            raise CompactHydraException(f"Error: {error}") from None
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        announce(f"\nStopped. The same command with hydra.run.dir={run_dir} goes on from its last checkpoint.")
        sys.exit(130)
    print(result.published_lines())
    print(f"Pictures: {run_dir / 'pictures'}")
    return result.psnr_db


if __name__ == "__main__":
    end_with_reader()
    main()
