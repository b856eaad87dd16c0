"""One run of a study, wherever a launcher puts it."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pointrad.config import RunConfig
from pointrad.errors import trouble_of_machine
from pointrad.progress import announce
from pointrad.run.compilation import Compilation
from pointrad.run.run import run
from pointrad.run.status import RunningElsewhereError, read_status

LOG_FILE = "run.log"


def compute(config: RunConfig, run_dir: Path, stop: Path | None) -> float | None:
    """Compute the run in `run_dir`, its output in `run.log`, and return its PSNR in dB; None where it did not finish.

    An exception does not leave here, since a launcher would end the study's other runs with it: it stands in the run's
    status and traceback. With `stop`, a failure leaves that file behind, and where it exists nothing is computed;
    trouble of the machine is no failure.
    """
    if stop is not None and stop.exists():
        return None
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        log = (run_dir / LOG_FILE).open("a", buffering=1, encoding="utf-8")
    except OSError as error:
        announce(f"{run_dir}: not computed, since its {LOG_FILE} cannot be written ({error.strerror})")
        return None
    try:
        # It begins, and says so, before the run's output goes to its log.
        with Compilation(config) as compilation, log, redirect_stdout(log), redirect_stderr(log):
            return run(config, run_dir, compilation).psnr_db
    except RunningElsewhereError:
        return None
    except Exception as error:
        if stop is not None and not trouble_of_machine(error):
            stop.touch()
        if not read_status(run_dir).error:  # a full disk keeps it from being written there
            announce(f"{run_dir}: {error}")
        return None
