"""The one colour of a splat: what the training views see of it."""

from __future__ import annotations

import pytest
import torch

from pointrad.artifacts.colours import mean_colours
from pointrad.model.base import Cloud
from pointrad.model.gaussians import Gaussians
from pointrad.model.points import POINTS
from pointrad.render.cpu.gaussians import GaussianCpuRenderer
from pointrad.render.cpu.points import CpuRenderer
from pointrad.render.gaussian_settings import GaussianSettings
from tests.render.clouds import settings
from tests.scenes import sphere_views

VIEWS = sphere_views(6, 32, 24)
GREY = torch.full((1, 3), 0.5)


def at_the_origin() -> Cloud:
    """A Gaussian that is grey on average, and red or green by the side that it is seen from."""
    cloud = Gaussians(degree=1, opacity=0.9, most=None).start(torch.zeros(1, 3), GREY, seed=0)
    return cloud.changed(scale=-2.0, harmonics=torch.tensor([0.0] * 6 + [0.4, -0.4, 0])[:, None])


def seen(cloud: Cloud, views: int) -> list[float]:
    renderer = GaussianCpuRenderer(GaussianSettings((0.0, 0.0, 0.0), 1))
    return mean_colours(cloud, VIEWS[:views], renderer)[:, 0].tolist()


def test_from_one_view_it_is_the_colour_there() -> None:
    cloud = at_the_origin()
    expected = cloud.model.colours(cloud, VIEWS[0].camera)[:, 0].tolist()
    assert abs(expected[0] - 0.5) > 0.1
    assert seen(cloud, 1) == pytest.approx(expected)


def test_from_all_sides_it_is_the_mean() -> None:
    assert seen(at_the_origin(), 6) == pytest.approx([0.5] * 3, abs=0.02)


@pytest.mark.parametrize("views", [1, 6])
def test_a_splat_that_no_view_sees_has_the_mean_over_all(views: int) -> None:
    cloud = at_the_origin().changed(position=100.0)
    colours = [cloud.model.colours(cloud, view.camera)[:, 0] for view in VIEWS[:views]]
    assert seen(cloud, views) == pytest.approx(torch.stack(colours).mean(dim=0).tolist())


def test_of_points_base_and_harmonics_count_together() -> None:
    cloud = POINTS.start(torch.zeros(1, 3), GREY, seed=0).changed(harmonics=0)
    cloud["harmonics"][0] = 0.5  # the constant one of red
    found = mean_colours(cloud, VIEWS, CpuRenderer(settings()))[:, 0].tolist()
    assert found == pytest.approx([0.5 + 0.28209479 * 0.5, 0.5, 0.5])
