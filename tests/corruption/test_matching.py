"""Levels of equal IoU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointrad.corruption import corrupted_at, matching_level
from pointrad.corruption.matching import LEVEL_TOLERANCE
from pointrad.data.scene import Scene, Shot, View
from pointrad.masks.iou import mask_iou
from tests.corruption.models import MODELS, corruption
from tests.scenes import sphere_views

VIEWS = sphere_views(12, 64, 48)


def of(views: tuple[View, ...]) -> Scene:
    return Scene("tiny", views, (), (0.0, 0.0, 0.0))


SCENE = of(VIEWS)


@pytest.mark.parametrize("name", MODELS)
def test_below_the_level_the_iou_is_higher_and_above_it_lower(name: str) -> None:
    config = corruption(name, 0)
    level = matching_level(config, SCENE, 0.8)
    assert level is not None
    step = 2 * LEVEL_TOLERANCE
    below, above = (mask_iou(corrupted_at(config, SCENE, level + side), VIEWS) for side in (-step, step))
    assert above <= 0.8 <= below


def test_where_the_iou_is_known_so_is_the_level() -> None:
    level = matching_level(corruption("holes", 0), of(sphere_views(4, 128, 96)), 0.7)
    assert level == pytest.approx(0.3, abs=2e-3)  # to a pixel of a small object


def test_the_models_own_level_does_not_matter() -> None:
    low, high = (matching_level(corruption("boundary", level), SCENE, 0.7) for level in (0, 0.9))
    assert low == high


def test_of_a_later_instant_it_is_the_level_of_the_masks_that_flicker_then() -> None:
    flickering = corruption("holes", 0.5, in_time="flicker")
    later = replace(SCENE, shots={view.name: Shot(camera, 3) for camera, view in enumerate(VIEWS)})
    masks = [np.stack([view.mask for view in corrupted_at(flickering, scene, 0.5)]) for scene in (SCENE, later)]
    assert not np.array_equal(*masks)


def test_perfect_masks_are_those_of_level_0() -> None:
    assert matching_level(corruption("spurious", 0), SCENE, 1) == 0


def test_an_iou_that_no_level_reaches_has_none() -> None:
    assert matching_level(corruption("holes", 0, coverage=0.1), SCENE, 0.5) is None
