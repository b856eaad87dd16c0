"""One run of a study, wherever a launcher puts it."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from pointrad.config import RunConfig
from pointrad.run import run
from pointrad.status import RunningElsewhereError

LOG_FILE = "run.log"


def compute(config: RunConfig, run_dir: Path, stop: Path | None) -> float | None:
    """Compute the run in `run_dir`, its output in `run.log`, and return its PSNR in dB; None where it failed.

    An exception does not leave here, since a launcher would end the study's other runs with it: it stands in the run's
    status and traceback. With `stop`, a failure leaves that file behind, and where it exists nothing is computed.
    """
    if stop is not None and stop.exists():
        return None
    run_dir.mkdir(parents=True, exist_ok=True)
    log = (run_dir / LOG_FILE).open("a", buffering=1, encoding="utf-8")
    with log, redirect_stdout(log), redirect_stderr(log):
        try:
            return run(config, run_dir).psnr_db
        except RunningElsewhereError:
            return None
        except Exception:
            if stop is not None:
                stop.touch()
            return None
