"""The launcher that conf/hydra/launcher/slurm.yaml names.

Hydra executes this file at start, so it imports no more than submitit's own plugin does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.errors import CompactHydraException
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher


class PlainSlurmLauncher(SlurmLauncher):
    """submitit's launcher of plain sweeps, with one message where SLURM refuses the jobs."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        from launcher.slurm import telling_refusals
        from pointrad.errors import UserError

        try:
            with telling_refusals():
                return super().launch(job_overrides, initial_job_idx)
        except UserError as error:
            raise CompactHydraException(f"Error: {error}") from None  # of this class, Hydra prints the message alone
