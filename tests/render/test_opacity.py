"""The opacity that is read off the images of any renderer is 1 minus the transmittance that the slow ones compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pointrad.model.base import Cloud
from pointrad.model.gaussians import Gaussians
from pointrad.model.points import POINTS
from pointrad.render import gaussian_oracle
from pointrad.render.base import Renderer, SplatSettings
from pointrad.render.cpu.points import CpuRenderer
from pointrad.render.opacity import opacities, weighed_opacities
from pointrad.render.pytorch3d import Pytorch3dRenderer
from tests.render import clouds, gaussian_clouds
from tests.render.gaussian_clouds import BLACK, GREY, WHITE, Case, clear_of_borders
from tests.render.gaussian_renderers import RENDERERS, renderer_of, with_gsplats_limits

CAMERA = clouds.front_camera(48, 40)
on_every_background = pytest.mark.parametrize("background", [BLACK, GREY, WHITE])


@on_every_background
@pytest.mark.parametrize("name", RENDERERS)
def test_of_gaussians_it_is_the_oracles(name: str, background: tuple[float, float, float]) -> None:
    case = Case(gaussian_clouds.cloud(CAMERA, 60, 2, 3, 4.0), CAMERA, background, 2)
    case = clear_of_borders(case, uncut=with_gsplats_limits(name))
    renderer = renderer_of(name, case)
    cloud = Cloud(Gaussians(2, 0.5, None), case.parameters.to(renderer.device))
    (found,) = opacities(renderer, cloud, [CAMERA])
    _, expected = gaussian_oracle.composite(case.parameters.double(), CAMERA, background, 2)
    torch.testing.assert_close(found.cpu().double(), expected, rtol=0, atol=1e-4 if name == "gsplat" else 1e-5)


@on_every_background
@pytest.mark.parametrize("view_direction", ["point", "pixel"])
@pytest.mark.parametrize("build", [CpuRenderer, lambda settings: Pytorch3dRenderer(settings, torch.device("cpu"))])
def test_of_points_it_is_that_of_the_nearest_discs(
    build: Callable[[SplatSettings], Renderer], view_direction: str, background: tuple[float, float, float]
) -> None:
    """Two of the three discs around the pixel's centre are composited, 1 and 2 pixels from it: r is 4 pixels."""
    settings = SplatSettings(8 / CAMERA.width, 2, view_direction, background)  # type: ignore[arg-type]
    parameters = clouds.cloud(CAMERA, [(10.5, 9.5, 2.0), (10.5, 6.5, 3.0), (10.5, 8.5, 4.0)])
    (found,) = opacities(build(settings), Cloud(POINTS, parameters), [CAMERA])
    assert found.shape == (40, 48)
    assert float(found[8, 10]) == pytest.approx(1 - (1 / 16) * (4 / 16), abs=1e-5)
    assert float(found[20, 30]) == 0


def test_it_leaves_the_cloud_as_it_is() -> None:
    cloud = Cloud(POINTS, clouds.cloud(CAMERA, [(10.5, 9.5, 2.0)]))
    before = cloud.parameters.clone()
    list(opacities(CpuRenderer(clouds.settings()), cloud, [CAMERA]))
    assert torch.equal(cloud.parameters, before)


@on_every_background
def test_weighed_it_is_a_share_of_it(background: tuple[float, float, float]) -> None:
    case = Case(gaussian_clouds.cloud(CAMERA, 60, 2, 3, 4.0), CAMERA, background, 2)
    renderer, cloud = renderer_of("cpu", case), Cloud(Gaussians(2, 0.5, None), case.parameters)
    (plain,) = opacities(renderer, cloud, [CAMERA])
    for weight in (0.0, 0.3, 1.0):
        ((opacity, weighed),) = weighed_opacities(renderer, cloud, torch.full((60,), weight), [CAMERA])
        assert torch.equal(opacity, plain)
        torch.testing.assert_close(weighed, weight * plain, rtol=0, atol=1e-5)
