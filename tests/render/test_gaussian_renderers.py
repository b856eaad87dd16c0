"""Every renderer of Gaussians against the slow one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from torch import Tensor

from pointrad.camera import Camera
from pointrad.render import gaussian_oracle as oracle
from pointrad.render import gaussians
from tests.render.clouds import front_camera
from tests.render.gaussian_clouds import BLACK, GREY, WHITE, Case, cases, clear_of_borders, cloud
from tests.render.gaussian_renderers import RENDERERS, renderer_of, with_gsplats_limits
from tests.scenes import look_at, off_centre

GROUPS = {
    "position": gaussians.POSITION,
    "scale": gaussians.SCALE,
    "rotation": gaussians.ROTATION,
    "opacity": slice(gaussians.OPACITY, gaussians.OPACITY + 1),
    "base": gaussians.BASE,
    "harmonics": slice(gaussians.FIRST_HARMONIC, None),
}
CAMERA = front_camera(48, 40)
# Of an image, and of the gradient of a group, relative to its norm. gsplat has float32 covariances and fast arithmetic.
TOLERANCES = {"gsplat": (1e-4, 1e-3)}
of_every_renderer = pytest.mark.parametrize("name", RENDERERS)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The oracle's operations are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def render(name: str, case: Case, parameters: Tensor) -> Tensor:
    """On the CPU, as everything that it is compared with."""
    renderer = renderer_of(name, case)
    return renderer.render(parameters.to(renderer.device), case.camera).cpu()


def assert_agrees_with_the_oracle(name: str, case: Case) -> None:
    of_image, of_gradient = TOLERANCES.get(name, (1e-5, 1e-4))
    case = clear_of_borders(case, uncut=with_gsplats_limits(name))
    found, expected = case.parameters.clone().requires_grad_(), case.parameters.double().requires_grad_()
    image, exact = render(name, case, found), oracle.render(expected, case.camera, case.background, case.degree)
    torch.testing.assert_close(image.double(), exact, rtol=0, atol=of_image)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    gradient, exact_gradient = (
        torch.autograd.grad((values * weights).sum(), leaf)[0] if values.requires_grad else torch.zeros_like(leaf)
        for values, leaf in ((image, found), (exact, expected))
    )
    for group, rows in GROUPS.items():
        error = float((gradient[rows] - exact_gradient[rows]).norm())
        assert error <= of_gradient * float(exact_gradient[rows].norm()) + 1e-5, group


@of_every_renderer
@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(case=cases())
def test_images_and_gradients_are_the_oracles(name: str, case: Case) -> None:
    assert_agrees_with_the_oracle(name, case)


@of_every_renderer
def test_splats_over_many_tiles_are_the_oracles(name: str) -> None:
    camera = off_centre(Camera.centred(look_at(np.array([1.0, -2.0, 2.0])), 150.0, 130, 70))
    assert_agrees_with_the_oracle(name, Case(cloud(camera, 60, 2, 5, 12.0), camera, WHITE, 2))


@of_every_renderer
def test_long_thin_splats_are_the_oracles(name: str) -> None:
    parameters = cloud(CAMERA, 30, 0, 2)
    parameters[gaussians.SCALE] = torch.log(torch.tensor([[1.0], [0.002], [0.001]]))
    assert_agrees_with_the_oracle(name, Case(parameters, CAMERA, BLACK, 0))


@of_every_renderer
def test_the_near_and_the_far_outside_are_the_oracles(name: str) -> None:
    camera = Camera.centred(look_at(np.array([0.5, 0.2, 0.3])), 40.0, 48, 40)
    parameters = cloud(CAMERA, 80, 1, 7)
    parameters[gaussians.POSITION] = torch.randn(3, 80, generator=torch.Generator().manual_seed(0)) * 0.5
    assert_agrees_with_the_oracle(name, Case(parameters, camera, GREY, 1))


@of_every_renderer
def test_discs_without_thickness_and_certain_opacities_are_the_oracles(name: str) -> None:
    parameters = cloud(CAMERA, 30, 0, 2)
    parameters[gaussians.SCALE.start] = -torch.inf
    parameters[gaussians.OPACITY, ::2] = torch.inf
    parameters[gaussians.OPACITY, 1] = -torch.inf
    case = clear_of_borders(Case(parameters, CAMERA, GREY, 0), uncut=with_gsplats_limits(name))
    assert case.parameters.shape[1] >= 20
    exact = oracle.render(case.parameters.double(), CAMERA, GREY, 0)
    torch.testing.assert_close(
        render(name, case, case.parameters).double(), exact, rtol=0, atol=TOLERANCES.get(name, (1e-5,))[0]
    )


@of_every_renderer
def test_a_cloud_without_gaussians_shows_the_background_and_has_a_gradient(name: str) -> None:
    parameters = torch.zeros(14, 0).requires_grad_()
    image = render(name, Case(parameters, CAMERA, GREY, 0), parameters)
    torch.testing.assert_close(image, torch.tensor(GREY).expand(40, 48, 3))
    assert torch.autograd.grad(image.sum(), parameters)[0].shape == (14, 0)


@of_every_renderer
def test_a_view_that_shows_no_gaussian_shows_the_background(name: str) -> None:
    parameters = cloud(CAMERA, 5, 0, 2)
    parameters[gaussians.POSITION] = 100
    image = render(name, Case(parameters, CAMERA, GREY, 0), parameters)
    torch.testing.assert_close(image, torch.tensor(GREY).expand(40, 48, 3))


@of_every_renderer
def test_without_harmonics_their_base_is_seen(name: str) -> None:
    case = clear_of_borders(Case(cloud(CAMERA, 40, 2, 4), CAMERA, GREY, 2), uncut=with_gsplats_limits(name))
    renderer = renderer_of(name, case)
    image = renderer.render(case.parameters.to(renderer.device), CAMERA, harmonics=False).cpu()
    exact = oracle.render(case.parameters.double(), CAMERA, GREY, 0)
    torch.testing.assert_close(image.double(), exact, rtol=0, atol=TOLERANCES.get(name, (1e-5,))[0])
