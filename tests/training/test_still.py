"""What stands still: pixels, splats, and splats that are held while others train."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pointrad.camera import Camera
from pointrad.data.scene import View
from pointrad.model.base import Cloud
from pointrad.render.base import SplatSettings
from pointrad.render.build import build_renderer
from pointrad.render.config import RendererConfig
from pointrad.training.config import StillConfig
from pointrad.training.lineage import BEGUN, ORIGIN, STILL, TOGETHER, Bonds, lasting
from pointrad.training.still import changed_pixels, changed_shares, paired
from tests.runs import random_cloud
from tests.scenes import sphere_views

BLACK = np.zeros((24, 32, 3), np.float32)


def lit(rows: slice, columns: slice) -> np.ndarray:
    image = BLACK.copy()
    image[rows, columns] = 0.5
    return image


@pytest.mark.parametrize(("around", "expected"), [(0, 25), (1, 49), (2, 81)])
def test_pixels_around_what_changed_changed_too(around: int, expected: int) -> None:
    """A square of 3x3 and what its mean over 3x3 reaches."""
    changed = changed_pixels(BLACK, lit(slice(10, 13), slice(10, 13)), 0.04, around)
    assert changed.sum() == expected


def test_noise_has_not_changed() -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, BLACK.shape).astype(np.float32)
    assert changed_pixels(BLACK, noise, 0.04, 2).mean() < 0.01


def test_views_are_paired_by_their_cameras() -> None:
    first, second, third = sphere_views(3)
    renamed = replace(second, name="train/r_9")
    assert paired([first, second], [renamed, third]) == [(second, renamed), (None, third)]


def test_of_splats_that_show_what_changed_a_share_changed() -> None:
    """The left half of the picture darkens, and nothing of what splats of the right half show."""
    view, cloud = sphere_views(3)[0], within_the_sphere()
    shares = changed_shares(cloud, STILL_CONFIG, [view], [darkened(view)], RENDERER)
    columns = columns_of(cloud, view.camera)
    assert (shares[columns > 20] == 0).all()
    assert (shares[columns < 12] > 0.1).any()


def test_of_splats_that_show_where_nothing_is_all_changed() -> None:
    """The object has left, and the picture stays as empty as it was."""
    view, cloud = sphere_views(3)[0], within_the_sphere()
    empty = replace(view, image=np.zeros_like(view.image))
    shown = columns_of(cloud, view.camera) > 0
    assert (changed_shares(cloud, STILL_CONFIG, [view], [view], RENDERER) == 0).all()
    assert torch.isinf(changed_shares(cloud, STILL_CONFIG, [empty], [empty], RENDERER)[shown]).any()


STILL_CONFIG = StillConfig(change=0.04, around=0, share=0.1, together=0.5)
RENDERER = build_renderer(
    RendererConfig(name="cpu", device="auto", graphs=False), SplatSettings(0.1, 15, "point", (0.0, 0.0, 0.0))
)


def within_the_sphere() -> Cloud:
    cloud = random_cloud(200)
    return cloud.changed(position=0.4 * cloud["position"])


def columns_of(cloud: Cloud, camera: Camera) -> torch.Tensor:
    positions = np.concatenate([cloud["position"].numpy(), np.ones((1, len(cloud)))])
    across, _, depth = camera.world_to_image @ positions
    return torch.from_numpy(camera.fx * across / depth + camera.cx)


def darkened(view: View) -> View:
    image = view.image.copy()
    image[:, :16] *= 0.5
    return replace(view, image=image)


def test_what_is_held_is_put_back() -> None:
    cloud = random_cloud(10)
    before = cloud.parameters.clone()
    still = torch.arange(10) < 4
    bonds = Bonds.of(replace(cloud, state={STILL: still}))
    cloud.parameters.add_(1)
    bonds.put_back(cloud)
    assert torch.equal(cloud.parameters[:, :4], before[:, :4])
    assert torch.equal(cloud.parameters[:, 4:], before[:, 4:] + 1)


def test_a_cloud_of_a_static_scene_holds_nothing() -> None:
    cloud = random_cloud(10)
    assert not len(Bonds.of(cloud).held)


def trembling_cloud(together: torch.Tensor) -> tuple[Cloud, torch.Tensor]:
    """It has moved by 0.1 along x, and each splat besides by some hundredths; and where it was."""
    cloud = random_cloud(300)
    begun = cloud["position"].clone()
    noise = 0.03 * torch.randn(begun.shape, generator=torch.Generator().manual_seed(0))
    moved = cloud.changed(position=begun + torch.tensor([[0.1], [0.0], [0.0]]) + noise)
    return replace(moved, state={TOGETHER: together, BEGUN: begun}), begun


def test_splats_that_move_together_follow_the_motion_and_not_its_noise() -> None:
    cloud, begun = trembling_cloud(torch.ones(300, dtype=torch.bool))
    Bonds.of(cloud).move_together(cloud)
    ways = cloud["position"] - begun
    assert ways.mean(dim=1) == pytest.approx([0.1, 0, 0], abs=0.005)
    assert ways.std(dim=1).max() < 0.012


def test_other_splats_move_on_their_own() -> None:
    """And splats beside them follow these, too."""
    together = torch.arange(300) < 100
    cloud, _ = trembling_cloud(together)
    before = cloud.parameters.clone()
    Bonds.of(cloud).move_together(cloud)
    assert torch.equal((cloud.parameters != before).any(dim=0), together)


def test_a_cloud_of_fewer_splats_than_neighbours_moves_as_one() -> None:
    cloud, _ = trembling_cloud(torch.ones(300, dtype=torch.bool))
    few = cloud.select(torch.arange(5))
    Bonds.of(few).move_together(few)
    ways = few["position"] - few.state[BEGUN]
    assert ways.std(dim=1).max() < 1e-6


def test_splats_of_a_static_scene_move_on_their_own() -> None:
    cloud = random_cloud(10)
    before = cloud.parameters.clone()
    Bonds.of(cloud).move_together(cloud)
    assert torch.equal(cloud.parameters, before)


def test_neighbours_are_those_of_the_frame_before_however_splats_move_meanwhile() -> None:
    """So that they are looked up once, and not after every epoch."""
    cloud, _ = trembling_cloud(torch.ones(300, dtype=torch.bool))
    again = replace(cloud, parameters=cloud.parameters.clone())
    bonds = Bonds.of(cloud)
    for one in (cloud, again):
        one["position"].add_(torch.randn(3, 300, generator=torch.Generator().manual_seed(1)))
    bonds.move_together(cloud)
    Bonds.of(again).move_together(again)
    assert torch.equal(cloud.parameters, again.parameters)


def test_how_splats_move_alone_outlasts_a_stage() -> None:
    kept = {name: torch.zeros(1) for name in (ORIGIN, STILL, TOGETHER, BEGUN)}
    assert lasting(kept | {"exp_avg": torch.zeros(1)}) == kept
