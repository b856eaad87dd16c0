"""The kernels of Gaussians: what they return besides images, how they train, and the same bits whatever the threads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numba
import numpy as np
import pytest
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.render import gaussian_oracle as oracle
from pointrad.render import gaussians
from pointrad.render.cpu import gaussians as gaussian_cpu
from pointrad.render.cpu.gaussians import GaussianSplatting
from pointrad.render.cpu.points import set_threads
from pointrad.training.config import PhotometricLossConfig
from pointrad.training.losses import image_loss
from tests.render.clouds import front_camera
from tests.render.gaussian_clouds import BLACK, GREY, WHITE, Case, clear_of_borders, cloud
from tests.runs import digest_on_eight_threads

CAMERA = front_camera(48, 40)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The oracle's operations are too small to share among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    set_threads(0)
    torch.set_num_threads(threads)


def test_a_gaussian_that_is_no_number_is_not_drawn() -> None:
    parameters = cloud(CAMERA, 3, 0, 2)
    parameters[[0, gaussians.SCALE.start, gaussians.OPACITY], [0, 1, 2]] = torch.nan
    image = gaussian_cpu.render(parameters, CAMERA, GREY, 0)
    torch.testing.assert_close(image, torch.tensor(GREY).expand(40, 48, 3))


def test_a_view_shows_nothing_of_the_one_before() -> None:
    splatting = GaussianSplatting(GREY)
    many, none = cloud(CAMERA, 50, 0, 1).numpy(), cloud(CAMERA, 50, 0, 1).numpy()
    none[gaussians.POSITION] = 100
    first = splatting.forward(many, CAMERA, 0).copy()
    blank = splatting.forward(none, CAMERA, 0)
    np.testing.assert_allclose(blank[:, :40, :48], np.broadcast_to(np.reshape(GREY, (3, 1, 1)), (3, 40, 48)), atol=1e-6)
    np.testing.assert_array_equal(splatting.forward(many, CAMERA, 0), first)


def test_more_splats_than_there_is_room_for_get_more() -> None:
    parameters = cloud(CAMERA, 300, 0, 1, 60.0)
    splatting = GaussianSplatting(BLACK)
    splatting.forward(cloud(CAMERA, 300, 0, 1, 0.1).numpy(), CAMERA, 0)
    room = len(splatting.buffers.cells)
    image = splatting.forward(parameters.numpy(), CAMERA, 0)[:, :40, :48].copy()
    fresh = GaussianSplatting(BLACK).forward(parameters.numpy(), CAMERA, 0)[:, :40, :48]
    assert len(splatting.buffers.cells) >= room
    np.testing.assert_array_equal(image, fresh)


def test_the_opacity_is_what_the_background_does_not_show_through() -> None:
    splatting = GaussianSplatting(BLACK)
    parameters = cloud(CAMERA, 40, 1, 4)
    splatting.forward(parameters.numpy(), CAMERA, 1)
    expected = oracle.composite(parameters.double(), CAMERA, BLACK, 1)[1]
    torch.testing.assert_close(torch.from_numpy(splatting.opacity[:40, :48]).double(), expected, rtol=0, atol=1e-5)


def test_the_depth_is_the_mean_of_what_a_pixel_shows() -> None:
    splatting = GaussianSplatting(WHITE)
    parameters = cloud(CAMERA, 40, 1, 4)
    splatting.forward(parameters.numpy(), CAMERA, 1)
    depth = torch.from_numpy(splatting.depth()[:40, :48]).double()
    # A cloud whose colours are its depths.
    coloured = parameters.double()
    coloured[gaussians.BASE] = oracle.project(coloured, CAMERA, 1).depth
    image, opacity = oracle.composite(coloured, CAMERA, BLACK, 0)
    expected = torch.where(opacity > 0, image[..., 0] / opacity, 0)
    assert (expected == 0).any()
    torch.testing.assert_close(depth, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("degree", [3, 0])
def test_a_cloud_without_the_degree_asked_for_is_refused(degree: int) -> None:
    with pytest.raises(ValueError, match=f"degree {degree + 1}"):
        GaussianSplatting(BLACK).forward(cloud(CAMERA, 3, degree, 0).numpy(), CAMERA, degree + 1)


class Trained:
    """A cloud, its moments, and what has been added up of its gradients on the screen."""

    def __init__(self, parameters: Tensor) -> None:
        self.parameters = parameters.clone().numpy()
        self.first, self.second = np.zeros_like(self.parameters), np.zeros_like(self.parameters)
        self.screen = np.zeros(self.parameters.shape[1], np.float32)

    def arrays(self) -> list[np.ndarray]:
        return [self.parameters, self.first, self.second, self.screen]


def target(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """A picture and the weight of its pixels, of which a corner counts less."""
    picture = np.random.default_rng(2).uniform(0, 1, (3, camera.height, camera.width)).astype(np.float32)
    weight = np.ones(picture.shape[1:], np.float32)
    weight[:5, :7] = 0.05
    return picture, weight


LOSS = PhotometricLossConfig(name="photometric", gradient_weight=0.03, shifts=[1, 2, 3])
RATES = np.linspace(0.001, 0.02, gaussians.rows(2)).astype(np.float32)
ADAM = 0.9, 0.99, 1 / np.sqrt(1 - 0.99), 1e-8


def train(trained: Trained, splatting: GaussianSplatting, steps: int = 1, degree: int = 2) -> tuple[float, float]:
    for step in range(1, steps + 1):
        adam = 0.9, 0.99, (1 - 0.99**step) ** -0.5, 1e-8
        losses = splatting.train(
            trained.parameters, CAMERA, degree, *target(CAMERA), LOSS.gradient_weight,
            np.array(LOSS.shifts, np.int64), trained.first, trained.second, RATES / np.float32(1 - 0.9**step), adam,
            trained.screen,
        )  # fmt: skip
    return losses


def test_a_step_is_the_oracles_loss_and_gradient_and_adam() -> None:
    case = clear_of_borders(Case(cloud(CAMERA, 61, 2, 3), CAMERA, GREY, 2))
    trained = Trained(case.parameters)
    loss, _ = train(trained, GaussianSplatting(GREY))
    leaf = case.parameters.double().requires_grad_()
    wanted, weight = (torch.from_numpy(part).double() for part in target(CAMERA))
    exact = image_loss(LOSS, oracle.render(leaf, CAMERA, GREY, 2), wanted.permute(1, 2, 0), weight)
    exact.backward()
    gradient = leaf.grad.numpy()
    assert loss == pytest.approx(exact.item(), rel=1e-5)
    np.testing.assert_allclose(trained.first, 0.1 * gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max())
    seen = np.abs(gradient).sum(axis=0) > 0
    moved = RATES[:, None] * np.sign(gradient)
    clear = seen & (np.abs(gradient) > 1e-5)
    np.testing.assert_allclose((case.parameters.numpy() - trained.parameters)[clear], moved[clear], rtol=0.02)


def test_what_no_pixel_takes_stays_as_it_is() -> None:
    parameters = cloud(CAMERA, 37, 2, 3)
    parameters[gaussians.POSITION, ::2] = 100
    trained = Trained(parameters)
    for moments in (trained.first, trained.second):
        moments[:] = 0.1
    train(trained, GaussianSplatting(GREY))
    np.testing.assert_array_equal(trained.parameters[:, ::2], parameters[:, ::2])
    assert (trained.first[:, ::2] == np.float32(0.1)).all()
    assert (trained.screen[::2] == 0).all()
    assert (trained.screen[1::2] > 0).mean() > 0.5


def test_rows_without_a_rate_and_harmonics_unseen_stay_as_they_are() -> None:
    parameters = cloud(CAMERA, 37, 2, 3)
    trained = Trained(parameters)
    rates = RATES.copy()
    rates[gaussians.SCALE] = 0
    splatting = GaussianSplatting(GREY)
    gradient = np.random.default_rng(0).normal(size=splatting.forward(trained.parameters, CAMERA, 1).shape)
    splatting.step(
        trained.parameters, gradient.astype(np.float32), trained.first, trained.second, rates, ADAM, trained.screen
    )
    same = (trained.parameters == parameters.numpy()).all(axis=1)
    assert same[gaussians.SCALE].all()
    assert same[gaussians.rows(1) :].all()
    assert not same[gaussians.rows(0) : gaussians.rows(1)].any()
    assert not same[gaussians.POSITION].any()


def test_the_screen_gradient_is_that_of_the_centres() -> None:
    """Of a Gaussian far from the eye, moving it across moves its centre and nothing else."""
    parameters = cloud(CAMERA, 1, 0, 0)
    parameters[gaussians.POSITION, 0] = torch.tensor([0.1, 0.05, 0.0])
    splatting, trained = GaussianSplatting(BLACK), Trained(parameters)
    gradient = np.random.default_rng(0).normal(size=splatting.forward(trained.parameters, CAMERA, 0).shape)
    gradient = gradient.astype(np.float32)
    in_space = splatting.backward(trained.parameters, gradient)
    splatting.step(trained.parameters, gradient, trained.first, trained.second, RATES[:14], ADAM, trained.screen)
    # At depth 4 with a focal length of 40, half the image is 2.4 units.
    across = np.hypot(in_space[0, 0], in_space[1, 0]) * 2.4
    assert trained.screen[0] == pytest.approx(across, rel=0.05)


def digest() -> str:
    """Of an image and of what a training leaves, of many splats in several tiles."""
    splatting, trained = GaussianSplatting(GREY), Trained(cloud(CAMERA, 500, 2, 3))
    train(trained, splatting, steps=4)
    gradient = np.ones_like(splatting.forward(trained.parameters, CAMERA, 2))
    results = [*trained.arrays(), splatting.backward(trained.parameters, gradient), splatting.buffers.image]
    return hashlib.sha256(b"".join(array.tobytes() for array in results)).hexdigest()


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core")
def test_one_thread_and_all_compute_the_same_bits() -> None:
    set_threads(1)
    alone = digest()
    set_threads(0)
    assert digest() == alone


@pytest.mark.integration
def test_eight_threads_compute_the_same_bits_as_one() -> None:
    set_threads(1)
    assert digest_on_eight_threads("tests.render.test_gaussian_kernels") == digest()
