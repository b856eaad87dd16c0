"""The launchers that conf/hydra/launcher/slurm.yaml and local.yaml name.

Hydra executes this file at start, so it imports no more than submitit's own plugin does.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from hydra_plugins.hydra_submitit_launcher.submitit_launcher import (
    BaseSubmititLauncher,
    LocalLauncher,
    SlurmLauncher,
)


class _PlainLauncher(BaseSubmititLauncher):
    """submitit's launcher of plain sweeps from any folder, with one message where jobs are refused or one dies."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[Any]:
        from submitit.core.utils import UncompletedJobError

        from launcher.elsewhere import code_importable
        from pointrad.errors import UserError

        try:
            with code_importable(), self._submitting():
                return super().launch(job_overrides, initial_job_idx)
        except UncompletedJobError as error:
            assert self.config is not None
            sweep_dir = Path(str(self.config.hydra.sweep.dir))
            raise UserError("\n".join([str(error).strip(), *_unfinished(sweep_dir)])) from None

    def _submitting(self) -> AbstractContextManager[None]:
        """What raises UserError where the block's jobs are refused."""
        return nullcontext()


class PlainLocalLauncher(_PlainLauncher, LocalLauncher):
    """On this machine, each job in a process of its own."""


class PlainSlurmLauncher(_PlainLauncher, SlurmLauncher):
    """On a cluster, as one job array."""

    def __init__(self, **params: Any) -> None:
        from launcher.elsewhere import setup_of_jobs

        super().__init__(**params)
        self.params["setup"] = setup_of_jobs(self.params.get("setup"))

    def _submitting(self) -> AbstractContextManager[None]:
        from launcher.slurm import telling_refusals

        return telling_refusals()


def _unfinished(sweep_dir: Path) -> list[str]:
    """A line for each run folder whose run is not done, the jobs of some of which may yet go on."""
    from pointrad.run.status import STATUS_FILE, RunState, read_status
    from pointrad.terminal import printable

    folders = sorted(path.parent for path in sweep_dir.rglob(STATUS_FILE))
    statuses = [(folder, read_status(folder)) for folder in folders]
    return [
        printable(f"{folder}: {status.state}{f': {status.error}' if status.error else ''}")
        for folder, status in statuses
        if status.state is not RunState.DONE
    ]
