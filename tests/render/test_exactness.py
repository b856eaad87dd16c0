"""What the renderers compute, and that they compute the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from torch import Tensor

from pointrad.camera import Camera
from pointrad.render import oracle
from pointrad.render.base import SplatSettings
from pointrad.render.cpu.point_kernels import WORD, WORDS_FOUND_AT_ONCE
from pointrad.render.cpu.points import CpuRenderer
from pointrad.render.pytorch3d import Pytorch3dRenderer
from tests.device import DEVICE
from tests.render.clouds import Case, cases, cloud, front_camera, settings
from tests.scenes import look_at

Render = Callable[[Tensor, Camera, SplatSettings, bool], Tensor]

many = hypothesis_settings(max_examples=100, deadline=None, derandomize=True)
WHITE = (1.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """The oracle's operations are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cpu(parameters: Tensor, camera: Camera, splats: SplatSettings, harmonics: bool = True) -> Tensor:
    return CpuRenderer(splats).render(parameters, camera, harmonics)


def pytorch3d(parameters: Tensor, camera: Camera, splats: SplatSettings, harmonics: bool = True) -> Tensor:
    return Pytorch3dRenderer(splats, torch.device("cpu")).render(parameters, camera, harmonics)


def triton(parameters: Tensor, camera: Camera, splats: SplatSettings, harmonics: bool = True) -> Tensor:
    pytest.importorskip("triton")
    from pointrad.render.triton import TritonRenderer

    return TritonRenderer(splats, DEVICE).render(parameters.to(DEVICE), camera, harmonics).cpu()


def image_and_gradient(render: Render, case: Case) -> tuple[Tensor, Tensor]:
    """The image, and the gradient [33, N] of a random weighting of its values."""
    parameters = case.parameters.clone().requires_grad_()
    image = render(parameters, case.camera, case.settings, case.harmonics)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).to(image.dtype)
    if not image.requires_grad:
        return image, torch.zeros_like(parameters)
    (gradient,) = torch.autograd.grad((image * weights).sum(), parameters, allow_unused=True)
    return image.detach(), torch.zeros_like(parameters) if gradient is None else gradient


def assert_agree(render: Render, reference: Render, case: Case) -> None:
    image, gradient = image_and_gradient(render, case)
    expected, expected_gradient = image_and_gradient(reference, case)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)
    for rows in (slice(0, 3), slice(3, 6), slice(6, 33)):
        error = float((gradient[rows] - expected_gradient[rows]).norm())
        # Beside the 1e-4: where all splats are centred on pixels, the gradient is 0 but for float32's coordinates.
        assert error <= 1e-4 * float(expected_gradient[rows].norm()) + 1e-4, f"rows {rows}"


@many
@given(cases())
def test_our_renderer_agrees_with_pytorch3d(case: Case) -> None:
    assert_agree(cpu, pytorch3d, case)


@hypothesis_settings(many, max_examples=50)
@given(cases(most_points=60, largest_side=40))
def test_our_renderer_agrees_with_the_oracle(case: Case) -> None:
    assert_agree(cpu, oracle.render, case)


@pytest.mark.parametrize("view_direction", ["point", "pixel"])
@pytest.mark.parametrize("rows", [slice(3, 6), slice(6, 33)], ids=["colours", "harmonics"])
def test_the_oracles_colour_gradients_are_the_finite_differences(view_direction: str, rows: slice) -> None:
    assert_gradient_is_finite_difference(rows, settings(0.8, 2, view_direction), harmonics=True)


@pytest.mark.parametrize(("view_direction", "harmonics"), [("point", False), ("pixel", True)])
def test_the_oracles_position_gradients_are_the_finite_differences(view_direction: str, harmonics: bool) -> None:
    # Not through the directions of the points, which are constants: so without harmonics, or along pixels.
    splats = settings(0.8, 2, view_direction, (0.1, 0.5, 0.9))
    assert_gradient_is_finite_difference(slice(0, 3), splats, harmonics)


def assert_gradient_is_finite_difference(rows: slice, splats: SplatSettings, harmonics: bool) -> None:
    camera = Camera.centred(look_at(np.array([1.0, 2.0, 2.0])), 9.0, 7, 5)
    pixels = np.random.default_rng(3).uniform([0, 0, 2], [7, 5, 4], (4, 3))
    parameters = cloud(camera, pixels).double()

    def render(values: Tensor) -> Tensor:
        return oracle.render(torch.cat([parameters[: rows.start], values, parameters[rows.stop :]]), camera, splats,
                             harmonics)  # fmt: skip

    assert torch.autograd.gradcheck(render, parameters[rows].clone().requires_grad_(), eps=1e-6, atol=1e-6)


def test_a_float64_gradient_through_a_deep_pile_is_matched_in_float32() -> None:
    camera = front_camera(20, 12)
    pixels = [[9.7 + 0.02 * i, 6.3 - 0.03 * i, 2 + 0.1 * i] for i in range(20)]
    case = Case(cloud(camera, pixels), camera, settings(0.5, 20), True)
    _, gradient = image_and_gradient(cpu, case)
    _, exact = image_and_gradient(oracle.render, replace(case, parameters=case.parameters.double()))
    assert float((gradient - exact)[:3].norm()) <= 1e-4 * float(exact[:3].norm())


@pytest.mark.parametrize("render", [cpu, triton, pytorch3d, oracle.render])
class TestEveryRenderer:
    def test_no_points_show_the_background(self, render: Render) -> None:
        image = render(torch.zeros(33, 0), front_camera(), settings(background=(0.1, 0.5, 0.9)), True)
        torch.testing.assert_close(image, torch.tensor([0.1, 0.5, 0.9]).expand(24, 32, 3))

    def test_a_point_behind_the_camera_paints_nothing(self, render: Render) -> None:
        camera = front_camera()
        assert not render(cloud(camera, [[16, 12, -2]]), camera, settings(), False).any()

    def test_a_point_in_the_cameras_plane_paints_nothing(self, render: Render) -> None:
        parameters = cloud(front_camera(), [[16, 12, 1]])
        parameters[:3, 0] = torch.tensor([0.5, 0.0, 4.0])
        assert not render(parameters, front_camera(), settings(), False).any()

    def test_a_point_beside_the_image_paints_nothing(self, render: Render) -> None:
        camera = front_camera()
        assert not render(cloud(camera, [[-3.3, 12, 2], [36, 12, 2], [16, -3.3, 2]]), camera, settings(), False).any()

    def test_a_point_beyond_the_border_paints_the_part_of_its_splat_inside(self, render: Render) -> None:
        camera = front_camera()
        image = render(cloud(camera, [[-1.0, 12, 2]], [[1, 1, 1]]), camera, settings(), False)
        # r = 3.2 px; the centres of the nearest pixels are 1.5 and 0.5 away.
        expected = 1 - (1.5**2 + 0.5**2) / 3.2**2
        torch.testing.assert_close(image[11, 0], torch.full((3,), expected))

    def test_a_splat_fades_with_the_squared_distance_from_its_centre(self, render: Render) -> None:
        camera = front_camera()
        image = render(cloud(camera, [[16.5, 12.5, 2]], [[1, 0.5, 0.25]]), camera, settings(0.25), False)
        weights = 1 - torch.tensor([0.0, 1, 4, 9, 16]) / 16
        torch.testing.assert_close(image[12, 16:21], weights[:, None] * torch.tensor([1, 0.5, 0.25]))

    def test_the_nearer_point_covers_the_farther_whatever_their_order(self, render: Render) -> None:
        camera = front_camera()
        image = render(cloud(camera, [[16.5, 12.5, 3], [16.5, 12.5, 2]], [[1, 0, 0], [0, 1, 0]]), camera, settings(),
                       False)  # fmt: skip
        torch.testing.assert_close(image[12, 16], torch.tensor([0.0, 1, 0]))

    def test_of_equal_depths_the_first_in_the_cloud_is_in_front(self, render: Render) -> None:
        camera = front_camera()
        image = render(cloud(camera, [[16.5, 12.5, 2]] * 2, [[1, 0, 0], [0, 1, 0]]), camera, settings(), False)
        torch.testing.assert_close(image[12, 16], torch.tensor([1.0, 0, 0]))

    def test_a_pixel_with_more_hits_than_k_takes_the_nearest_k(self, render: Render) -> None:
        camera = front_camera()
        pixels = [[16.5, 14.5, depth] for depth in (5, 4, 2, 3)]
        image = render(cloud(camera, pixels, np.eye(4)[:, :3]), camera, settings(0.25, 2), False)
        # At half the radius each weighs 3/4: the third (blue) in front, the fourth (black) behind, no more.
        torch.testing.assert_close(image[12, 16], torch.tensor([0, 0, 0.75]))

    def test_of_equal_depths_beyond_k_the_first_in_the_cloud_stay(self, render: Render) -> None:
        camera = front_camera()
        pixels = [[16.5, 14.5, 2]] * 3
        image = render(cloud(camera, pixels, np.eye(3)), camera, settings(0.25, 2), False)
        torch.testing.assert_close(image[12, 16], torch.tensor([0.75, 0.25 * 0.75, 0]))

    def test_the_background_shows_through_what_the_splats_leave(self, render: Render) -> None:
        camera = front_camera()
        image = render(cloud(camera, [[16.5, 14.5, 2]], [[0, 0, 0]]), camera, settings(0.25, background=WHITE), False)
        torch.testing.assert_close(image[12, 16], torch.full((3,), 0.25))

    @pytest.mark.parametrize("colour", [-0.5, 1.5])
    def test_a_clamped_colour_passes_no_gradient(self, render: Render, colour: float) -> None:
        camera = front_camera()
        case = Case(cloud(camera, [[16.5, 12.5, 2]], [[colour] * 3]), camera, settings(0.05), False)
        image, gradient = image_and_gradient(render, case)
        assert float(image[12, 16, 0]) == min(max(colour, 0), 1)
        assert not gradient.any()

    def test_a_splat_exactly_on_a_pixel_centre_has_the_right_colour_gradient(self, render: Render) -> None:
        camera = front_camera()
        parameters = cloud(camera, [[16.5, 12.5, 2]]).requires_grad_()
        render(parameters, camera, settings(0.25), False)[12, 16, 0].backward()
        torch.testing.assert_close(parameters.grad[:4, 0], torch.tensor([0.0, 0, 0, 1]))


@pytest.mark.parametrize("behind", [0, 1, 29])
def test_a_pile_of_opaque_splats_has_the_oracles_gradient(behind: int) -> None:
    """All but one are exactly centred on a pixel: there, nothing behind the first is seen."""
    camera = front_camera()
    pixels = [[16.5, 12.5, 2 + 0.05 * i] for i in range(30)]
    pixels[behind][:2] = [15.8, 12.2]
    case = Case(cloud(camera, pixels), camera, settings(0.3, 20), False)
    assert_agree(cpu, oracle.render, case)
    assert torch.isfinite(image_and_gradient(cpu, case)[1]).all()


def test_more_splats_than_a_tile_looks_at_at_once_agree_with_pytorch3d() -> None:
    camera = front_camera()
    count = WORD * WORDS_FOUND_AT_ONCE + 900
    # Quarters of a pixel: no pixel centre is so near to a splat's edge that float32 could not tell its side.
    random = np.random.default_rng(0)
    quarters = random.integers(0, [4 * camera.width, 4 * camera.height], (count, 2)) / 4 + 0.1
    pixels = np.column_stack([quarters, random.permutation(np.linspace(2, 3, count))])
    splats = settings(0.79 / (camera.height / 2))  # so small that most pixels still take the last
    assert_agree(cpu, pytorch3d, Case(cloud(camera, pixels), camera, splats, False))


@pytest.mark.parametrize("view_direction", ["point", "pixel"])
def test_a_view_without_splats_shows_nothing_of_the_one_before(view_direction: Literal["point", "pixel"]) -> None:
    camera = front_camera()
    renderer = CpuRenderer(settings(view_direction=view_direction, background=(0.2, 0.5, 1.0)))
    seen = cloud(camera, [[16.5, 12.5, 2]])
    for pixels in ([16.5, 12.5, 2], [900, 900, 2], [900, 900, 2], [16.5, 12.5, 2]):
        image = renderer.render(cloud(camera, [pixels]), camera)
        expected = oracle.render(cloud(camera, [pixels]), camera, renderer.settings)
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)
    assert not torch.equal(renderer.render(seen, camera), renderer.render(cloud(camera, [[900, 900, 2]]), camera))
