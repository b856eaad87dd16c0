"""`sweep.py`, and `pointrad-sweep` where pointrad is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args

from launcher.entry import job, loading_libraries, start, telling_errors


def main() -> None:
    # `python sweep.py status study=smoke` reads better than `action=status`.
    with telling_errors():
        sys.argv[1:] = with_action(sys.argv[1:])
    start("sweep", compute)


def compute(composed: Any) -> float | None:
    """One run of the study, called by the launcher; returns its PSNR in dB, None where it failed."""
    return job(lambda run_dir: _compute(composed, run_dir))


def _compute(composed: Any, run_dir: Path) -> float | None:
    from launcher.requeue import preemptible
    from launcher.study import run_config
    from pointrad.study.plan import STOP_FILE

    with loading_libraries():
        from pointrad.study.job import compute

    stop = Path(composed.study.dir) / STOP_FILE if composed.fail_fast else None
    return preemptible(lambda: compute(run_config(composed), run_dir, stop))


def with_action(words: list[str]) -> list[str]:
    """The command line with a word that stands alone as `action=word`. Raises UserError for one that is no action,
    and for several."""
    from hydra._internal.utils import get_args_parser

    alone = [word for word in get_args_parser().parse_known_args(words)[0].overrides if word.isidentifier()]
    if not alone:
        return words
    from pointrad.errors import UserError, did_you_mean
    from pointrad.study.config import SweepConfig

    actions = get_args(SweepConfig.model_fields["action"].annotation)
    for word in alone:
        if word not in actions:
            near = did_you_mean(word, actions)
            raise UserError(f"{word}: found no action; expected one of {', '.join(actions)}{near}")
    if len(alone) > 1:
        raise UserError(f"{' '.join(alone)}: found {len(alone)} actions; expected one")
    return [f"action={word}" if word in alone else word for word in words]
