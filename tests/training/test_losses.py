"""The losses, against the formulas of docs/method.md rewritten in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pointrad.evaluation import ssim as scored_ssim
from pointrad.render.cpu import point_kernels as kernels
from pointrad.training.config import L1SsimLossConfig, PhotometricLossConfig, SilhouetteLossConfig
from pointrad.training.losses import image_loss, residual, ridge, ssim

PHOTOMETRIC = PhotometricLossConfig(name="photometric", gradient_weight=0.03, shifts=(1, 2, 3))
SHARE = 0.3
ALL = torch.ones(())  # all pixels count
SILHOUETTE = SilhouetteLossConfig(name="silhouette", sharpness=5, ridge=0.1)
L1_SSIM = L1SsimLossConfig(name="l1_ssim", ssim_share=0.2)


def images(height: int = 9, width: int = 14) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(height, width, 3, generator=generator), torch.rand(height, width, 3, generator=generator)


def test_photometric_is_the_mean_square_plus_weighted_mean_absolute_differences() -> None:
    image, target = images()
    error = (image - target).double().numpy()
    differences = [
        np.abs(error[s:] - error[:-s]).mean() + np.abs(error[:, s:] - error[:, :-s]).mean() for s in (1, 2, 3)
    ]
    expected = (error**2).mean() + 0.03 * np.mean(differences)
    assert float(image_loss(PHOTOMETRIC, image, target, ALL)) == pytest.approx(expected, rel=1e-6)


def test_photometric_without_shifts_is_the_mean_square() -> None:
    image, target = images()
    config = PHOTOMETRIC.model_copy(update={"shifts": ()})
    assert float(image_loss(config, image, target, ALL)) == pytest.approx(float((image - target).square().mean()))


def test_a_shift_as_large_as_the_image_adds_nothing() -> None:
    image, target = images(3, 14)
    error = (image - target).double().numpy()
    config = PHOTOMETRIC.model_copy(update={"shifts": (3,)})
    expected = (error**2).mean() + 0.03 * np.abs(error[:, 3:] - error[:, :-3]).mean()
    assert float(image_loss(config, image, target, ALL)) == pytest.approx(expected, rel=1e-6)


def test_silhouette_compares_soft_silhouettes_of_the_brightest_channel() -> None:
    image, target = images()

    def soft(pixels: torch.Tensor) -> np.ndarray:
        return np.tanh(5 * pixels.double().numpy().max(axis=-1))

    expected = ((soft(image) - soft(target)) ** 2).mean()
    assert float(image_loss(SILHOUETTE, image, target, ALL)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("size", [(9, 14), (23, 16), (1, 2)])
def test_ssim_is_the_score_of_the_images_with_black_around_them(size: tuple[int, int]) -> None:
    framed = [np.pad(picture.double().numpy(), ((5, 5), (5, 5), (0, 0))) for picture in images(*size)]
    expected = scored_ssim(framed[0], framed[1])  # by scikit-image, which leaves out what is nearer to an edge
    assert float(ssim(*(picture.double() for picture in images(*size)))) == pytest.approx(expected, rel=1e-9)


def test_l1_ssim_is_a_weighted_mean_of_the_absolute_error_and_of_what_ssim_lacks() -> None:
    image, target = images()
    expected = 0.8 * float((image - target).abs().mean()) + 0.2 * (1 - float(ssim(image, target)))
    assert float(image_loss(L1_SSIM, image, target, ALL)) == pytest.approx(expected, rel=1e-6)


def test_the_gradient_of_l1_ssim_is_that_of_finite_differences() -> None:
    image, target = (picture.double() for picture in images(4, 6))
    weight = torch.ones(image.shape[:2]).double()
    weight[1, 2] = SHARE
    assert torch.autograd.gradcheck(
        lambda pixels: image_loss(L1_SSIM, pixels, target, weight), image.requires_grad_(), fast_mode=True
    )


def test_only_the_silhouette_loss_has_a_ridge() -> None:
    assert (ridge(PHOTOMETRIC), ridge(SILHOUETTE), ridge(L1_SSIM)) == (0.0, 0.1, 0.0)


def test_a_pixel_without_weight_counts_as_met() -> None:
    image, target = images()
    weight = torch.ones(image.shape[:2])
    weight[3:6, 4:9] = 0
    meeting = image.clone()
    meeting[3:6, 4:9] = target[3:6, 4:9]
    for config in (PHOTOMETRIC, SILHOUETTE, L1_SSIM):
        assert float(image_loss(config, image, target, weight)) == pytest.approx(
            float(image_loss(config, meeting, target, ALL)), rel=1e-6
        )


def test_a_pixels_error_is_multiplied_by_its_weight() -> None:
    image, target = images()
    weight = torch.ones(image.shape[:2])
    weight[2, 3] = SHARE
    error = residual(image, target, weight)
    torch.testing.assert_close(error[2, 3], SHARE * (image[2, 3] - target[2, 3]))
    torch.testing.assert_close(error[3, 3], image[3, 3] - target[3, 3])


def test_an_image_that_is_not_a_number_is_not_hidden() -> None:
    image, target = images()
    image[0, 0] = torch.nan
    assert image_loss(PHOTOMETRIC, image, target, ALL).isnan()


@pytest.mark.parametrize("unknown", [0.0, 0.4])
@pytest.mark.parametrize("shifts", [(1, 2, 3), (), (1,), (5, 40)])
@pytest.mark.parametrize("size", [(9, 14), (16, 8), (2, 3), (1, 1)])
def test_the_fused_photometric_kernel_is_torchs_loss_and_gradient(
    shifts: tuple[int, ...], size: tuple[int, int], unknown: float
) -> None:
    (height, width), padded = size, (16, 16)
    generator = torch.Generator().manual_seed(0)
    # Some colours lie outside [0, 1], where they are clamped.
    image = (1.4 * torch.rand(3, *padded, generator=generator) - 0.2).requires_grad_()
    target = torch.rand(3, height, width, generator=generator)
    weight = torch.where(torch.rand(height, width, generator=generator) < unknown, SHARE, 1.0)
    config = PHOTOMETRIC.model_copy(update={"shifts": shifts})

    colours = image[:, :height, :width].clamp(0, 1).permute(1, 2, 0)
    expected = image_loss(config, colours, target.permute(1, 2, 0), weight)
    (expected_gradient,) = torch.autograd.grad(expected, image)

    gradient = np.zeros((3, *padded), np.float32)
    loss, mse = kernels.photometric(
        image.detach().numpy(), target.numpy(), weight.numpy(), config.gradient_weight, np.array(shifts, np.int64),
        gradient,
    )  # fmt: skip

    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    errors = residual(colours.detach(), target.permute(1, 2, 0), weight)
    assert mse == pytest.approx(float(errors.square().mean()), rel=1e-5)
    torch.testing.assert_close(torch.from_numpy(gradient), expected_gradient, rtol=1e-5, atol=1e-7)


def test_one_weight_of_all_pixels_is_the_same_as_one_of_each() -> None:
    generator = torch.Generator().manual_seed(0)
    image, target = (torch.rand(3, *size, generator=generator).numpy() for size in ((16, 16), (9, 14)))
    found = []
    for weight in (np.ones((9, 14), np.float32), np.ones((1, 1), np.float32)):
        gradient = np.zeros((3, 16, 16), np.float32)
        losses = kernels.photometric(image, target, weight, 0.03, np.array([1, 2], np.int64), gradient)
        found.append((losses, gradient.tobytes()))
    assert found[0] == found[1]
