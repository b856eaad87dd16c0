"""What `make bench-gpu` and its companions do, as far as it can be known without a GPU."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console

from pointrad.render.cpu.points import CpuRenderer

pytest.importorskip("triton")
from bench import gpu, gpu_roofline, workload

pytestmark = pytest.mark.integration


def printed(timings: list[gpu.Timing]) -> str:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(gpu.table(timings, "NVIDIA Test"))
    return capture.get()


def test_it_times_rendering_gradients_and_steps() -> None:
    timings = list(gpu.measure("triton", CpuRenderer(workload.SETTINGS), 50, size=16, rounds=2, calls=1))
    assert [timing.what for timing in timings] == list(gpu.WHAT)
    assert all(len(timing.rounds) == 2 and min(timing.rounds) > 0 for timing in timings)


def test_with_graphs_it_times_steps_alone() -> None:
    timings = gpu.measure(gpu.GRAPHS, CpuRenderer(workload.SETTINGS), 50, size=16, rounds=1, calls=1)
    assert [timing.what for timing in timings] == ["step"]


def test_its_table_names_the_device_compares_with_ours_and_cites_the_paper() -> None:
    timings = [
        gpu.Timing("step", 100, name, (ms, ms, 9.0)) for name, ms in zip(gpu.NAMES, (2.0, 1.0, 3.0, 8.0), strict=True)
    ]
    text = printed(timings)
    for expected in ("NVIDIA Test", "1.00 x", "0.50 x", "1.50 x", "4.00 x", "500.0", "148.59 s", "13.5", "120.0"):
        assert expected in text


def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(
        SystemExit, match=r"^Error: nothing to time: renderer\.device: found 'cuda:77'; this machine has"
    ):
        gpu.main("cuda:77")


def test_a_steps_traffic_counts_every_tensor_once() -> None:
    a = torch.ones(100)
    with gpu_roofline.Traffic() as counted:
        b = a.view(10, 10) + 1
        b.mul_(a[:10])
    # 100 and 100 floats of the sum, then 100, 10 and the 100 that mul_ returns.
    assert (counted.launches, counted.bytes) == (2, 4 * (200 + 210))


def test_a_steps_traffic_counts_what_is_written_in_place_and_not_returned() -> None:
    values = [torch.ones(100), torch.ones(10)]
    with gpu_roofline.Traffic() as counted:
        torch._foreach_add_(values, 1)
    assert (counted.launches, counted.bytes) == (1, 4 * (110 + 110))


def test_with_graphs_the_host_launches_six_operations_for_all_the_others() -> None:
    """Two uploads, two graphs, the read in between and the copy of the losses."""
    launched, operations = gpu_roofline.graphed(50, size=16)
    assert launched == 6
    assert sum(operations) > gpu_roofline.traffic(50, size=16).launches
