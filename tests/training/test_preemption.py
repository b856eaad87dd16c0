"""Signals that tell a run to stop, and what a job then does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from subprocess import CalledProcessError
from types import FrameType

import pytest

from launcher.requeue import preemptible
from pointrad.training.preemption import Preempted, heeding, raise_if_told

TOLD = [signal.SIGUSR2, signal.SIGTERM]


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that arrive at the handlers of whoever started us, as submitit's are."""
    numbers: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        numbers.append(number)

    earlier = {number: signal.signal(number, hear) for number in TOLD}
    yield numbers
    for number, handler in earlier.items():
        signal.signal(number, handler)


def tell(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", TOLD)
def test_a_signal_stops_the_work_where_it_can_be_saved_and_not_before(number: signal.Signals, heard: list[int]) -> None:
    done = []

    def work() -> None:
        tell(number)
        done.append("the step it came in")
        raise_if_told()
        done.append("the next")

    with pytest.raises(Preempted) as stopped, heeding(*TOLD):
        work()
    assert stopped.value.number == number
    assert done == ["the step it came in"]
    assert heard == []


def test_work_that_nobody_disturbs_goes_on() -> None:
    with heeding(*TOLD):
        raise_if_told()


def test_afterwards_signals_mean_what_they_meant_and_an_unheeded_one_is_forgotten(heard: list[int]) -> None:
    with heeding(*TOLD):
        tell(signal.SIGTERM)
    raise_if_told()
    tell(signal.SIGUSR2)
    assert heard == [signal.SIGUSR2]


def test_no_except_exception_mistakes_it_for_a_failure() -> None:
    assert not issubclass(Preempted, Exception)


def test_outside_the_main_thread_nothing_is_heeded_and_the_work_is_done() -> None:
    done = []

    def work() -> None:
        with heeding(*TOLD):
            done.append(signal.getsignal(signal.SIGUSR2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGUSR2)]


def interrupted_by(number: signal.Signals) -> None:
    tell(number)
    raise_if_told()


def test_preemptible_work_returns_what_it_computes() -> None:
    assert preemptible(lambda: 31.5) == 31.5


def test_told_ahead_of_the_limit_the_job_is_handed_to_its_requeuer(heard: list[int]) -> None:
    with pytest.raises(SystemExit) as end:
        preemptible(lambda: interrupted_by(signal.SIGUSR2))
    assert heard == [signal.SIGUSR2]
    assert end.value.code == 128 + signal.SIGUSR2


@pytest.mark.parametrize(
    ("returncode", "raised"),
    [(-signal.SIGTERM, SystemExit), (1, CalledProcessError)],
    ids=["ended by the requeue", "refused"],
)
def test_a_requeue_that_ends_its_own_command_has_not_failed(
    returncode: int, raised: type[BaseException], heard: list[int]
) -> None:
    def scontrol(number: int, frame: FrameType | None) -> None:
        raise CalledProcessError(returncode, "scontrol")

    signal.signal(signal.SIGUSR2, scontrol)
    with pytest.raises(raised):
        preemptible(lambda: interrupted_by(signal.SIGUSR2))


def test_told_to_end_the_job_ends_and_leaves_the_rest_to_the_cluster(heard: list[int]) -> None:
    with pytest.raises(SystemExit) as end:
        preemptible(lambda: interrupted_by(signal.SIGTERM))
    assert heard == []
    assert end.value.code == 128 + signal.SIGTERM
