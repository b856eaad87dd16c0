"""Splats stay that enough masks hold to be the object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pointrad.data.scene import View
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.render.base import SplatSettings
from pointrad.render.cpu.points import CpuRenderer
from pointrad.repair.votes import voted_for
from tests.scenes import sphere_views
from tests.training.test_contributions import at, shell

VIEWS = sphere_views(10, 64, 48)
RENDERER = CpuRenderer(SplatSettings(0.1, 15, "point", (0.0, 0.0, 0.0)))
BESIDE = at((0.0, 0.0, -0.9))
CLOUD = Cloud(POINTS, torch.cat([shell(0.5).parameters, BESIDE.parameters], dim=1))


def seen(views: tuple[View, ...], mask: float, count: int) -> list[View]:
    """The views, the first of which have masks of one value."""
    return [replace(view, mask=np.full_like(view.mask, mask)) if n < count else view for n, view in enumerate(views)]


def cut(view: View) -> View:
    mask = view.mask.copy()
    mask[:, : mask.shape[1] // 2] = 0
    return replace(view, mask=mask)


def test_what_lies_beside_the_masks_goes() -> None:
    assert torch.equal(voted_for(CLOUD, VIEWS, RENDERER).cloud.parameters, CLOUD.parameters[:, :600])


def test_what_some_masks_lack_stays() -> None:
    """But what hardly another view sees."""
    some = [cut(view) if n < 3 else view for n, view in enumerate(VIEWS)]
    kept = voted_for(CLOUD, some, RENDERER).cloud
    assert 580 < len(kept) <= 600
    assert kept["position"][2].min() > -0.6


def test_masks_that_say_nothing_do_not_vote() -> None:
    for mask in (0.0, 1.0):
        assert len(voted_for(CLOUD, seen(VIEWS, mask, 8), RENDERER).cloud) == 600


def test_a_cloud_that_no_mask_holds_stays_whole() -> None:
    assert len(voted_for(BESIDE, VIEWS, RENDERER).cloud) == 1


def test_shares_say_how_much_of_a_splat_lies_in_masks() -> None:
    right = voted_for(CLOUD, VIEWS, RENDERER).shares
    wrong = voted_for(CLOUD, [cut(view) if n < 3 else view for n, view in enumerate(VIEWS)], RENDERER).shares
    assert right.min() > 0.95
    assert 0.4 <= wrong.min() < 0.7
    assert wrong.max() == pytest.approx(1)
