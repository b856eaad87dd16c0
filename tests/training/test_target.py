"""What a stage trains towards, at its resolution and in the memory there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pointrad.data.scene import View
from pointrad.training.target import Target, targets
from tests.scenes import sphere_views

CPU = torch.device("cpu")
VIEW = sphere_views(1, 8, 6)[0]


def random_view() -> View:
    rng = np.random.default_rng(0)
    return replace(VIEW, image=rng.uniform(0, 1, (6, 8, 3)).astype(np.float32))


def target(view: View, factor: int = 1, dtype: torch.dtype = torch.float32) -> Target:
    return targets([view], factor, CPU, dtype)[0]


def test_an_image_without_weights_counts_everywhere() -> None:
    found = target(VIEW)
    assert torch.equal(found.image, torch.from_numpy(VIEW.image).permute(2, 0, 1))
    assert torch.equal(found.weight, torch.ones(6, 8))


def test_all_such_images_share_their_weights() -> None:
    first, second = targets([VIEW, random_view()], 1, CPU, torch.float32)
    assert first.weight is second.weight


def test_kernels_read_weights_only_where_some_pixels_count_less() -> None:
    weight = np.ones((6, 8), np.float32)
    assert target(replace(VIEW, weight=weight)).kernel_weight.shape == (1, 1)
    weight[2, 4] = 0.5
    assert np.array_equal(target(replace(VIEW, weight=weight)).kernel_weight, weight)


@pytest.mark.parametrize("weighted", [False, True])
def test_at_a_lower_resolution_it_is_the_mean_of_blocks(weighted: bool) -> None:
    view = random_view()
    found = target(replace(view, weight=np.ones((6, 8), np.float32)) if weighted else view, 2)
    torch.testing.assert_close(found.image[:, 1, 2], torch.from_numpy(view.image[2:4, 4:6].mean(axis=(0, 1))))
    assert torch.equal(found.weight, torch.ones(3, 4))


def test_an_unknown_pixel_leaves_its_block_to_the_others() -> None:
    view = random_view()
    unknown = np.zeros((6, 8), bool)
    unknown[2, 4] = True
    found = target(view.weighing(unknown, 0), 2)
    known = view.image[2:4, 4:6].reshape(4, 3)[1:]
    torch.testing.assert_close(found.image[:, 1, 2], torch.from_numpy(known.mean(axis=0)))
    assert float(found.weight[1, 2]) == 0.75
    assert torch.equal(found.image[:, 0, 0], target(view, 2).image[:, 0, 0])


def test_a_block_without_weight_is_the_mean_of_what_it_shows() -> None:
    view = random_view()
    found = target(view.weighing(np.ones((6, 8), bool), 0), 2)
    assert torch.equal(found.image, target(view, 2).image)
    assert not found.weight.any()


def test_weights_of_other_pixels_stay() -> None:
    some, others = np.zeros((2, 6, 8), bool)
    some[0], others[1] = True, True
    weight = VIEW.weighing(some, 0.5).weighing(others, 0.25).weight
    assert weight is not None
    assert weight[:3, 0].tolist() == [0.5, 0.25, 1]


def test_8_bits_keep_a_files_values_and_move_others_by_half_a_step_at_most() -> None:
    values = (torch.arange(256) / 255).expand(3, 1, 256)
    torch.testing.assert_close(Target.known(values).packed(torch.uint8).unpacked().image, values, rtol=1e-6, atol=0)
    between = torch.rand(3, 10, 100, generator=torch.Generator().manual_seed(0))
    moved = Target.known(between).packed(torch.uint8).unpacked().image - between
    assert float(moved.abs().max()) <= 0.5 / 255 + 1e-6


def test_8_bits_keep_the_weights() -> None:
    view = random_view().weighing(VIEW.mask == 0, 0.0816)
    packed = target(view, dtype=torch.uint8)
    assert packed.image.dtype == torch.uint8
    assert torch.equal(packed.unpacked().weight, target(view).weight)


def test_float32_is_packed_as_it_is() -> None:
    values = Target.known(torch.rand(3, 2, 5))
    assert values.packed(torch.float32).unpacked() is values
