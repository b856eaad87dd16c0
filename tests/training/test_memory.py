"""A GPU's memory: asked for before it is taken, and what is said where it runs out."""

from __future__ import annotations

import pytest
import torch

from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.training.memory import Need, estimate, fitted, with_graphs, within
from pointrad.training.target import targets
from tests.device import DEVICE, needs_gpu
from tests.render.clouds import front_camera, settings
from tests.runs import random_cloud
from tests.scenes import sphere_views

GPU = torch.device("cuda")
MB = 2**20
NEED = Need(values=50 * MB, cloud=50 * MB, rendering=20 * MB)  # 200 MB of views


@pytest.fixture
def _free_300_mb(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU with 100 MB free, and 200 MB that torch holds and uses none of."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100 * MB, 2**34))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 250 * MB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 50 * MB)


def test_views_are_counted_as_float32_and_everything_grows_with_its_cause() -> None:
    cloud, camera = random_cloud(500), front_camera(400, 400)
    cameras, none, all_but_one = [camera] * 100, [False] * 100, [True] * 99 + [False]
    need = estimate(cameras, none, cloud, settings(0.015))
    assert need.views == (100 * 3 + 1) * 400 * 400 * 4
    assert estimate(cameras, all_but_one, cloud, settings(0.015)).views == (100 * 3 + 100) * 400 * 400 * 4
    assert estimate(cameras, none, random_cloud(1000), settings(0.015)).cloud == 2 * need.cloud
    assert estimate(cameras, none, cloud, settings(0.03)).rendering > need.rendering
    assert estimate(cameras, none, cloud, settings(0.015, 15, "pixel")).rendering > need.rendering


def test_views_of_several_sizes_take_what_each_has_and_the_largest_takes_to_render() -> None:
    cloud, small, large = random_cloud(500), front_camera(40, 30), front_camera(60, 80)
    need = estimate([small, large, small], [True, False, False], cloud, settings(0.015))
    weights = 1200 + (1200 + 4800)  # one view's own, and those that the others of each size share
    assert need.views == 4 * (3 * (2 * 1200 + 4800) + weights)
    assert need.rendering == estimate([large], [False], cloud, settings(0.015)).rendering


def test_views_that_fit_stay_float32() -> None:
    assert fitted(NEED, 270 * MB) == NEED
    assert fitted(NEED, None) == NEED


def test_views_that_do_not_fit_take_a_byte_a_value() -> None:
    need = fitted(NEED, 270 * MB - 1)
    assert need.dtype == torch.uint8
    assert need.total == 120 * MB


@pytest.mark.usefixtures("_free_300_mb")
def test_graphs_take_more_and_are_named_where_it_is_too_much() -> None:
    need = with_graphs(NEED)
    assert need.total == NEED.total + 80 * MB
    expected = r"20 to render, 80 of CUDA graphs\) on cuda, where 300 MB are free; set renderer\.graphs=false, raise "
    with pytest.raises(UserError, match=expected), within(need, GPU, "schedule.stages.base"):
        pytest.fail("was not refused")


@pytest.mark.usefixtures("_free_300_mb")
def test_what_fits_is_let_through() -> None:
    with within(NEED, GPU, "schedule.stages.base"):
        pass


@pytest.mark.usefixtures("_free_300_mb")
def test_what_does_not_fit_is_refused_before_it_is_loaded_with_the_keys_that_help() -> None:
    large = fitted(Need(values=1200 * MB, cloud=50 * MB, rendering=20 * MB), 300 * MB)
    with pytest.raises(UserError) as error, within(large, GPU, "schedule.next.stages.refine_2"):
        pytest.fail("was not refused")
    for part in (
        "stage refine_2 needs about 1,270 MB (1,200 of views as 8 bits a value, 50 of points, 20 to render) on cuda",
        "where 300 MB are free",
        "dataset.downscale",
        "schedule.next.stages.refine_2.downscale",
        "init.kept_share",
    ):
        assert part in str(error.value)


@pytest.mark.usefixtures("_free_300_mb")
def test_running_out_all_the_same_is_explained_alike() -> None:
    with (
        pytest.raises(UserError, match="out of memory: stage base needs about 270 MB"),
        within(NEED, GPU, "schedule.stages.base"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_cpu_is_not_asked() -> None:
    with within(Need(values=2**60, cloud=0, rendering=0), torch.device("cpu"), "schedule.stages.base"):
        pass


@needs_gpu
def test_a_step_takes_no_more_than_was_estimated() -> None:
    from pointrad.render.triton import TritonRenderer
    from pointrad.training.steps.build import build_step
    from tests.training.test_step import ADAM, FULL

    view = sphere_views(1, 400, 400)[0]
    cloud = Cloud(POINTS, random_cloud(50_000).parameters.to(DEVICE))
    step = build_step(cloud, TritonRenderer(settings(0.015), DEVICE), FULL, ADAM)
    target = targets([view], 1, DEVICE, torch.float32)[0]
    torch.cuda.reset_peak_memory_stats(DEVICE)
    step(view.camera, target, {"position": 1.0, "colour": 1.0})
    assert torch.cuda.max_memory_allocated(DEVICE) < estimate([view.camera], [False], cloud, settings(0.015)).total
