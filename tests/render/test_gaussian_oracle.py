"""What a renderer of Gaussians computes, said by the slow one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera
from pointrad.render import gaussian_oracle as oracle
from pointrad.render import gaussians
from tests.render.clouds import front_camera
from tests.render.gaussian_clouds import BLACK, GREY, Case, clear_of_borders, cloud
from tests.scenes import look_at

CAMERA = front_camera(33, 25)


def splat(
    depth: float = 2.0,
    sigma: tuple[float, float, float] = (0.1, 0.1, 0.1),
    quaternion: tuple[float, float, float, float] = (1, 0, 0, 0),
    opacity: float = 0.5,
    colour: tuple[float, float, float] = (1, 0.5, 0.25),
) -> list[float]:
    """Of a Gaussian before the middle of `CAMERA`."""
    return [0, 0, 4 - depth, *np.log(sigma), *quaternion, math.log(opacity / (1 - opacity)), *colour]


def seen(*splats: list[float], background: tuple[float, float, float] = BLACK) -> Tensor:
    return oracle.composite(torch.tensor(splats).T.double(), CAMERA, background, 0)[0]


def test_a_gaussian_fades_with_the_exponential_of_its_projected_covariance() -> None:
    image = seen(splat(sigma=(0.1, 0.2, 0.7)))
    # Of focal length 40 at depth 2, one unit is 20 pixels.
    variance = (20 * 0.1) ** 2 + gaussians.BLUR, (20 * 0.2) ** 2 + gaussians.BLUR
    assert float(image[12, 16, 0]) == pytest.approx(0.5)
    assert float(image[12, 19, 0]) == pytest.approx(0.5 * math.exp(-0.5 * 9 / variance[0]))
    assert float(image[15, 16, 0]) == pytest.approx(0.5 * math.exp(-0.5 * 9 / variance[1]))


def test_a_quaternion_turns_the_axes_and_its_length_does_not_matter() -> None:
    quarter = 3 * math.cos(math.pi / 4), 0, 0, 3 * math.sin(math.pi / 4)  # about the camera's axis
    torch.testing.assert_close(
        seen(splat(sigma=(0.1, 0.2, 0.3), quaternion=quarter)), seen(splat(sigma=(0.2, 0.1, 0.3)))
    )


def test_the_nearer_covers_the_farther_and_the_background_shows_through() -> None:
    red, green = splat(3.0, opacity=0.5, colour=(1, 0, 0)), splat(2.0, opacity=0.25, colour=(0, 1, 0))
    image = seen(red, green, background=(0, 0, 1))
    torch.testing.assert_close(image[12, 16], torch.tensor([0.75 * 0.5, 0.25, 0.75 * 0.5]).double())


def test_alpha_stays_below_its_limit_and_none_is_seen_below_the_least() -> None:
    assert float(seen(splat(opacity=0.9999))[12, 16, 0]) == pytest.approx(gaussians.MOST_ALPHA)
    assert not seen(splat(opacity=0.0039)).any()
    assert float(seen(splat(opacity=0.0040))[12, 16, 0]) == pytest.approx(0.0040)


def test_behind_an_opaque_pile_nothing_is_seen() -> None:
    pile = [splat(2 + 0.1 * n, opacity=0.98, colour=(0, 0, 0)) for n in range(3)]
    image = seen(*pile, splat(3.0, opacity=0.98))
    assert float(image[12, 16, 0]) == 0
    assert image[12, 20].any()


def test_a_gaussian_nearer_than_the_near_plane_or_behind_the_camera_is_left_out() -> None:
    assert not seen(splat(0.04), splat(-2.0)).any()
    assert seen(splat(0.06)).any()


def test_colours_are_the_base_plus_harmonics_and_not_negative() -> None:
    parameters = torch.zeros(gaussians.rows(1), 1, dtype=torch.float64)
    parameters[gaussians.BASE, 0] = torch.tensor([0.2, 0.5, 0.7]).double()
    parameters[gaussians.FIRST_HARMONIC + 3 : gaussians.FIRST_HARMONIC + 6, 0] = torch.tensor([1.0, 0.1, 0]).double()
    colours = oracle.colours(parameters, CAMERA, 1)[0]
    # The second harmonic of degree 1 is Y1 z, and the camera looks along -z.
    torch.testing.assert_close(colours, torch.tensor([0, 0.5 - 0.1 * sh.Y1, 0.7]).double())
    torch.testing.assert_close(oracle.colours(parameters, CAMERA, 0)[0], parameters[gaussians.BASE, 0])


def test_far_outside_the_image_a_gaussian_is_not_stretched_any_further() -> None:
    parameters = torch.tensor([splat(0.5)] * 2).T.double()
    parameters[0] = torch.tensor([0.5 * (0.5 + gaussians.MARGIN) * 33 / 40, 3.0])
    wide = oracle.project(parameters, CAMERA, 0).covariance
    torch.testing.assert_close(wide[0], wide[1])


def test_harmonics_of_all_degrees_are_orthonormal() -> None:
    random = torch.randn(3, 200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = sh.basis(torch.nn.functional.normalize(random, dim=0), 3)
    products = 4 * math.pi * values @ values.T / random.shape[1]
    torch.testing.assert_close(products, torch.eye(16).double(), rtol=0, atol=0.02)


@pytest.mark.parametrize("degree", [0, 3])
def test_the_gradient_is_the_finite_difference(degree: int) -> None:
    # Not through the directions of the harmonics, which are constants: where they are seen, positions stay.
    camera = Camera.centred(look_at(np.array([1.0, 2.0, 2.0])), 9.0, 7, 5)
    case = clear_of_borders(Case(cloud(camera, 5, degree, 3), camera, GREY, degree))
    assert case.parameters.shape[1] >= 4
    parameters = case.parameters.double()
    trained = slice(0 if degree == 0 else 3, None)

    def render(values: Tensor) -> Tensor:
        return oracle.composite(torch.cat([parameters[: trained.start], values]), camera, GREY, degree)[0]

    assert torch.autograd.gradcheck(render, parameters[trained].clone().requires_grad_(), eps=1e-6, atol=1e-6)


def test_removing_what_lies_on_a_border_leaves_most() -> None:
    kept = clear_of_borders(Case(cloud(CAMERA, 60, 1, 0), CAMERA, GREY, 1))
    assert 40 <= kept.parameters.shape[1] <= 60
