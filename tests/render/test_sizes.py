"""Views of one scene that differ in size: discs look the same in each, and no view leaves a trace in the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pointrad.camera import Camera
from pointrad.model.base import Cloud
from pointrad.render.base import SplatSettings
from pointrad.render.build import build_renderer, build_settings
from pointrad.training.steps.build import build_step
from pointrad.training.target import targets
from tests.render.clouds import BLACK, cloud
from tests.runs import config, copy, random_cloud
from tests.scenes import camera, ring, sphere_view, turned_and_sized

POSE = ring(3)[1]
PHONE = [turned_and_sized(n, POSE) for n in range(3)]  # landscape, portrait, landscape of twice the pixels
CONFIG = config("model=points", "model.splat_radius=0.1", "renderer=cpu")


def settings_for(cameras: Sequence[Camera]) -> SplatSettings:
    built = build_settings(CONFIG.model, BLACK, cameras)
    assert isinstance(built, SplatSettings)
    return built


def test_a_disc_is_as_large_in_a_portrait_and_twice_as_many_pixels_wide_at_twice_the_resolution() -> None:
    splats = settings_for(PHONE)
    assert [splats.radius_in_pixels(at) for at in PHONE] == [1.6, 1.6, 3.2]


def test_a_picture_is_what_its_crop_shows_too() -> None:
    whole = camera(POSE, 48, 36)
    crop = replace(whole, width=20, height=24, cx=whole.cx - 8, cy=whole.cy - 6)
    renderer = build_renderer(CONFIG.renderer, settings_for([whole, whole, crop]))
    parameters = cloud(whole, np.random.default_rng(0).uniform([0, 0, 2], [48, 36, 4], (300, 3)))
    seen, part = (renderer.render(parameters, at) for at in (whole, crop))
    np.testing.assert_allclose(part, seen[6:30, 8:28], atol=1e-4)


@given(st.integers(1, 5000), st.floats(0.01, 3), st.floats(0.001, 0.5), st.integers(1, 4))
def test_of_views_of_one_size_and_lens_a_radius_is_exactly_the_share_of_half_their_width(
    width: int, angle: float, radius: float, factor: int
) -> None:
    at = Camera.centred(np.eye(4), 0.5 * width / math.tan(0.5 * angle), width, width)
    splats = replace(settings_for([at, at]), radius=radius)
    assert splats.radius_in_pixels(at) == radius * width / 2
    if width >= factor:
        lower = replace(at, width=width // factor * factor).averaged(factor)
        of_lower = replace(settings_for([replace(at, width=width // factor * factor)]), radius=radius)
        assert of_lower.radius_in_pixels(lower) == radius * lower.width / 2


def test_in_views_of_one_size_that_zoom_discs_stay_as_large() -> None:
    near, far = camera(POSE), replace(camera(POSE), fx=100.0, fy=100.0)
    assert {settings_for([near, far]).radius_in_pixels(at) for at in (near, far)} == {1.6}


@pytest.mark.parametrize("model", ["points", "gaussians"])
def test_no_view_leaves_a_trace_in_the_next_of_another_size(model: str) -> None:
    chosen = config(f"model={model}", "model.max_points=null" if model == "gaussians" else "model.splat_radius=0.2")
    settings = build_settings(chosen.model, BLACK, PHONE)
    parameters = _start(model).parameters
    renderer = build_renderer(chosen.renderer, settings)
    for at in [*PHONE, *PHONE]:
        with torch.no_grad():
            alone = build_renderer(chosen.renderer, settings).render(parameters, at)
            assert torch.equal(renderer.render(parameters, at), alone)
    together = renderer.render_views(parameters, PHONE)
    assert [image.shape[:2] for image in together] == [(at.height, at.width) for at in PHONE]


@pytest.mark.parametrize("model", ["points", "gaussians"])
def test_a_step_on_views_of_several_sizes_trains_as_one_that_is_made_for_each(model: str) -> None:
    chosen = config(f"model={model}")
    renderer = build_renderer(chosen.renderer, build_settings(chosen.model, BLACK, PHONE))
    stage = next(iter(chosen.schedule.enabled_stages.values()))
    views = [sphere_view(at) for at in PHONE]
    pairs = [*zip(PHONE, targets(views, 1, torch.device("cpu"), torch.float32), strict=True)]
    decay = dict.fromkeys(stage.lr, 1.0)
    one = build_step(_start(model), renderer, stage, chosen.schedule.adam)
    fresh = _start(model)
    for n in range(6):
        at, target = pairs[n % 3]
        made_for_it = build_step(fresh, renderer, stage, chosen.schedule.adam)
        made_for_it.steps = n
        assert torch.equal(one(at, target, decay), made_for_it(at, target, decay))
        fresh = made_for_it.cloud
    assert torch.equal(one.cloud.parameters, fresh.parameters)
    assert not torch.equal(one.cloud.parameters, _start(model).parameters)


def _start(model: str) -> Cloud:
    points = random_cloud(400)
    if model == "points":
        return copy(points)
    return config("model=gaussians").model.build().start(points["position"].T, points["base"].T, seed=0)
