"""Images, gradients and trained clouds are the same bits for any number of threads."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator

import numba
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.cpu.point_kernels import share_tiles
from pointrad.render.cpu.points import CpuRenderer, set_threads
from pointrad.training.steps.points import FusedStep
from pointrad.training.target import targets
from tests.render.clouds import cloud, settings
from tests.runs import config, digest_on_eight_threads
from tests.scenes import sphere_views

VIEWS = sphere_views(3, 60, 44)
STAGES = config("schedule=report").schedule


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    set_threads(0)


def crowd() -> Tensor:
    """Many points, some beyond the image, and every depth shared by two."""
    camera = VIEWS[0].camera
    pixels = np.random.default_rng(0).uniform([-5, -5, 2], [65, 49, 4], (3000, 3))
    parameters = cloud(camera, pixels)
    return torch.cat([parameters, parameters], dim=1)


def image(view_direction: str) -> bytes:
    with torch.no_grad():
        return CpuRenderer(settings(0.08, 10, view_direction)).render(crowd(), VIEWS[0].camera).numpy().tobytes()


def views_at_once(view_direction: str) -> bytes:
    renderer = CpuRenderer(settings(0.08, 10, view_direction))
    cameras = [view.camera for view in 4 * VIEWS]
    return b"".join(image.numpy().tobytes() for image in renderer.render_views(crowd(), cameras))


def gradient(view_direction: str) -> bytes:
    parameters = crowd().requires_grad_()
    CpuRenderer(settings(0.08, 10, view_direction)).render(parameters, VIEWS[0].camera).square().sum().backward()
    assert parameters.grad is not None
    return parameters.grad.numpy().tobytes()


def trained(view_direction: str, stage: str = "full") -> bytes:
    step = FusedStep(Cloud(POINTS, crowd()), settings(0.08, 10, view_direction), STAGES.stages[stage], STAGES.adam)
    decay = {"position": 1.0, "colour": 1.0}
    wanted = targets(VIEWS, 1, torch.device("cpu"), torch.float32)
    losses = [step(view.camera, target, decay) for view, target in zip(VIEWS, wanted, strict=True)]
    return torch.stack(losses).numpy().tobytes() + step.cloud.parameters.numpy().tobytes()


def pretrained(view_direction: str) -> bytes:
    return trained(view_direction, "position_pretraining")


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core")
@pytest.mark.parametrize("view_direction", ["point", "pixel"])
@pytest.mark.parametrize("computed", [image, views_at_once, gradient, trained, pretrained])
def test_one_thread_and_all_compute_the_same_bits(computed: Callable[[str], bytes], view_direction: str) -> None:
    set_threads(1)
    alone = computed(view_direction)
    set_threads(0)
    assert computed(view_direction) == alone


def digest() -> str:
    return hashlib.sha256(trained("point") + gradient("pixel")).hexdigest()


@pytest.mark.integration
def test_eight_threads_compute_the_same_bits_as_one() -> None:
    set_threads(1)
    assert digest_on_eight_threads("tests.render.test_determinism") == digest()


@hypothesis_settings(deadline=None)  # the first call may compile
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=60), st.integers(1, 9))
def test_tiles_are_assigned_once_each_and_evenly(counts: list[int], threads: int) -> None:
    tiles, shares = np.empty(len(counts), np.int64), np.empty(threads + 1, np.int64)
    share_tiles(np.concatenate([[0], np.cumsum(counts)]), tiles, shares)
    assert sorted(tiles) == list(range(len(counts)))
    assert len(shares) == threads + 1
    loads = [sum(counts[tile] for tile in tiles[start:end]) for start, end in itertools.pairwise(shares)]
    assert sum(loads) == sum(counts)
    assert max(loads) - min(loads) <= max(counts)
