"""Runs that a cluster may interrupt: told to stop, they checkpoint and let their job be queued again."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from subprocess import CalledProcessError
from typing import TypeVar

from pointrad.training.preemption import Preempted, heeding

T = TypeVar("T")

# SLURM sends USR2 ahead of a time limit (submitit asks it to) and TERM at preemption, requeue and scancel.
_AHEAD_OF_THE_END, _AT_THE_END = signal.SIGUSR2, signal.SIGTERM


def preemptible(work: Callable[[], T]) -> T:
    """What `work` returns. Where a signal stops it, it ends at a checkpoint first, and the program exits after.

    Under submitit, USR2 then means what submitit makes of it: queue the job again, as often as its launcher allows.
    TERM is the cluster's own requeue, or the user's wish to stop.
    """
    try:
        with heeding(_AHEAD_OF_THE_END, _AT_THE_END):
            return work()
    except Preempted as told:
        queue_again = signal.getsignal(told.number)
        if told.number == _AHEAD_OF_THE_END and callable(queue_again):
            try:
                queue_again(told.number, None)
            except CalledProcessError as ended:
                # A requeue ends all of the job's processes, and may meet first the `scontrol` that asked for it.
                if ended.returncode != -_AT_THE_END:
                    raise
        sys.exit(128 + told.number)
