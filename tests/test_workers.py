"""tests/workers.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

TESTS = (
    "tests/cluster/test_one.py::test_a", "tests/cluster/test_two.py::test_a", "tests/test_one.py::test_a[x::y@z]",
    "tests/test_one.py::TestB::test_b", "tests/test_one.py::test_c", "tests/cluster/test_one.py::test_b",
)  # fmt: skip


class Worker:
    """Notes which tests it is sent."""

    def __init__(self, name: str) -> None:
        self.gateway, self.shutting_down, self.sent = SimpleNamespace(id=name), False, list[str]()

    def send_runtest_some(self, places: list[int]) -> None:
        self.sent += [TESTS[place] for place in places]

    def shutdown(self) -> None:
        self.shutting_down = True


def test_a_file_goes_to_one_worker_and_all_that_use_slurm_to_one(request: pytest.FixtureRequest) -> None:
    asked: Any = {"tx": ["popen", "popen"]}
    config = SimpleNamespace(getvalue=asked.get, option=SimpleNamespace(loadscopereorder=False))
    scheduler = request.config.hook.pytest_xdist_make_scheduler(config=config, log=None)
    workers = [Worker("gw0"), Worker("gw1")]
    for worker in workers:
        scheduler.add_node(worker)
    for worker in workers:
        scheduler.add_node_collection(worker, TESTS)
    scheduler.schedule()
    on_slurm = [name for name in TESTS if "cluster" in name]
    assert [worker.sent for worker in workers] == [on_slurm, [name for name in TESTS if name not in on_slurm]]
