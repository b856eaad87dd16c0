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
from pointrad.training.lineage import ORIGIN, STILL, Held, lasting
from pointrad.training.still import changed_pixels, paired, still_splats
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


def test_splats_that_show_what_changed_are_not_still() -> None:
    """The left half of the picture darkens; splats of the right half are still."""
    view, cloud = sphere_views(3)[0], within_the_sphere()
    still = still_splats(cloud, STILL_CONFIG, [view], [darkened(view)], RENDERER)
    columns = columns_of(cloud, view.camera)
    assert still[columns > 20].all()
    assert not still[columns < 12].all()


def test_splats_that_show_where_nothing_is_are_not_still() -> None:
    """The object has left, and the picture stays as empty as it was."""
    view, cloud = sphere_views(3)[0], within_the_sphere()
    empty = replace(view, image=np.zeros_like(view.image))
    shown = columns_of(cloud, view.camera) > 0
    assert still_splats(cloud, STILL_CONFIG, [view], [view], RENDERER).all()
    assert not still_splats(cloud, STILL_CONFIG, [empty], [empty], RENDERER)[shown].all()


STILL_CONFIG = StillConfig(change=0.04, around=0, share=0.1)
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
    held = Held.of(replace(cloud, state={STILL: still}))
    cloud.parameters.add_(1)
    held.put_back(cloud)
    assert torch.equal(cloud.parameters[:, :4], before[:, :4])
    assert torch.equal(cloud.parameters[:, 4:], before[:, 4:] + 1)


def test_a_cloud_of_a_static_scene_holds_nothing() -> None:
    cloud = random_cloud(10)
    assert not len(Held.of(cloud).places)


def test_origin_and_stillness_alone_outlast_a_stage() -> None:
    state = {ORIGIN: torch.zeros(1), STILL: torch.zeros(1), "exp_avg": torch.zeros(1)}
    assert set(lasting(state)) == {ORIGIN, STILL}
