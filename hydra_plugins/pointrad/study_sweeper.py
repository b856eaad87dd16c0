"""The sweeper that conf/hydra/sweeper/study.yaml names.

Hydra executes every file of `hydra_plugins` at start, so this one holds nothing but the way to launcher/study.py.
"""

from __future__ import annotations

import sys
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs a study and ends the program: with 0 if every run is done, 1 if one failed, 130 on Ctrl-C."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task_function, self._composed = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        from launcher.study import Sweep

        try:
            sys.exit(Sweep(self._context, self._task_function, self._composed).run(arguments))
        except KeyboardInterrupt:
            print("\nStopped. The same command goes on with what is missing.", file=sys.stderr)
            sys.exit(130)
