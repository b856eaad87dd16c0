"""Pixels that a capture asks not to use, of weight 0, are unknown to every start: whatever is there changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pointrad.data.capture import Capture
from pointrad.data.scene import Split, View
from pointrad.errors import UserError
from pointrad.init.config import AdaptiveConfig, HullConfig
from pointrad.init.hull import hull_votes
from pointrad.init.placement import object_bounds
from pointrad.init.points import InitialPoints
from pointrad.init.start import TrainingViews, start
from pointrad.masks.auto import AutoMasksConfig
from pointrad.masks.iou import mask_iou
from tests.data import captures
from tests.scenes import sphere_views

BLACK = (0.0, 0.0, 0.0)
VIEWS = sphere_views(12, 40, 30)
HALF = len(VIEWS) // 2
COMMON = {
    "lattice": 32,
    "bounds": [-1, 1],
    "kept_share": 1.0,
    "jitter": 0.0,
    "outside_margin": None,
    "least_seen": None,
}
HULL = {"name": "hull", "consistency": 1.0}
ADAPTIVE = {"name": "adaptive", "source": "masks", "cut_pixels": "unknown"}

each_start = pytest.mark.parametrize(
    ("init", "outside"), [(HULL, "published"), (HULL, "abstain"), (ADAPTIVE, "published"), (ADAPTIVE, "abstain")]
)


def band(view: View) -> NDArray[np.bool_]:
    """Columns that much of the sphere is in, but not all."""
    pixels = np.zeros(view.mask.shape, bool)
    pixels[:, view.camera.width // 3 : view.camera.width // 2] = True
    return pixels


def hidden(
    views: tuple[View, ...], colour: float, mask: float, count: int = HALF, weight: float = 0
) -> tuple[View, ...]:
    """The views, the band of the first `count` being of this colour, mask and weight."""
    spoilt = (
        replace(
            view,
            image=np.where(band(view)[..., None], np.float32(colour), view.image),
            mask=np.where(band(view), np.float32(mask), view.mask),
        ).weighing(band(view), weight)
        for view in views[:count]
    )
    return (*spoilt, *views[count:])


def begun(views: tuple[View, ...], init: dict[str, object], outside: str, masks_alone: bool = False) -> InitialPoints:
    values = COMMON | init | {"outside": outside}
    config = (HullConfig if init is HULL else AdaptiveConfig).model_validate(values)
    return start(config, TrainingViews(views, views, BLACK, masks_alone), 0.01, 0, hull_votes).find_points()


def same(one: InitialPoints, other: InitialPoints) -> bool:
    pairs = [(one.positions, other.positions), (one.colours, other.colours), (one.votes, other.votes)]
    return all(np.array_equal(a, b) for a, b in pairs) and one.needed == other.needed


def overlap(one: InitialPoints, other: InitialPoints) -> float:
    """IoU of two sets of points of one lattice."""
    points, others = (set(map(tuple, found.positions.tolist())) for found in (one, other))
    return len(points & others) / len(points | others)


@each_start
def test_a_start_is_the_same_whatever_is_there(init: dict[str, object], outside: str) -> None:
    garbage, other, empty = (hidden(VIEWS, colour, mask) for colour, mask in ((1, 1), (0.3, 0), (0, 0)))
    found = begun(garbage, init, outside)
    assert same(found, begun(other, init, outside))
    assert same(found, begun(empty, init, outside))


@each_start
def test_a_start_is_nearly_that_of_views_of_which_all_may_be_used(init: dict[str, object], outside: str) -> None:
    whole = begun(VIEWS, init, outside)
    assert overlap(begun(hidden(VIEWS, 1, 0), init, outside), whole) > 0.9


def test_the_hull_is_smaller_where_they_are_used() -> None:
    whole = begun(VIEWS, HULL, "published")
    assert overlap(begun(hidden(VIEWS, 0, 0, weight=1), HULL, "published"), whole) < 0.7


@pytest.mark.parametrize("masks_alone", [False, True])
@pytest.mark.parametrize("pictures", ["cut", "surroundings"])
def test_nor_is_the_adaptive_start_misled_where_masks_are_asked(pictures: str, masks_alone: bool) -> None:
    views = with_surroundings(VIEWS) if pictures == "surroundings" else moved(VIEWS)
    found = begun(hidden(views, 1, 1), ADAPTIVE, "published", masks_alone)
    assert same(found, begun(hidden(views, 0, 0), ADAPTIVE, "published", masks_alone))
    assert overlap(found, begun(views, ADAPTIVE, "published", masks_alone)) > 0.7


def with_surroundings(views: tuple[View, ...]) -> tuple[View, ...]:
    noise = np.random.default_rng(0).uniform(0.2, 1, views[0].image.shape).astype(np.float32)
    return tuple(replace(view, image=np.where(view.mask[..., None] > 0, view.image, noise)) for view in views)


def moved(views: tuple[View, ...]) -> tuple[View, ...]:
    """Some masks a few pixels off, and pictures that they have cut."""
    wrong = tuple(replace(view, mask=np.roll(view.mask, 4 if n % 3 else 0, axis=n % 2)) for n, view in enumerate(views))
    return tuple(replace(view, image=view.image * view.mask[..., None]) for view in wrong)


def test_what_less_than_half_of_the_views_may_be_used_of_is_in_no_hull() -> None:
    def unseen(count: int) -> tuple[View, ...]:
        return (*(view.weighing(view.mask >= 0, 0) for view in VIEWS[:count]), *VIEWS[count:])

    assert begun(unseen(HALF), HULL, "abstain").hull_points > 0
    with pytest.raises(UserError, match="the hull is empty"):
        begun(unseen(HALF + 1), HULL, "abstain")


def test_colours_are_of_pixels_that_may_be_used() -> None:
    red = tuple(replace(view, image=np.full_like(view.image, (1, 0, 0))) for view in VIEWS)
    found = begun(hidden(red, 1, 1), HULL, "published")
    np.testing.assert_allclose(found.colours, np.broadcast_to((1, 0, 0), found.colours.shape), atol=1e-6)


def test_a_capture_starts_the_same_whatever_is_behind_its_mask_path(tmp_path: Path) -> None:
    def begun_from(name: str, colour: int, mask: int) -> InitialPoints:
        folder = captures.write_nerfstudio(tmp_path / name, {1: {"mask_path": "used.png"}})
        used = np.full((captures.HEIGHT, captures.WIDTH), 255, np.uint8)
        used[:, 9:16] = 0
        Image.fromarray(used).save(folder / "used.png")
        for kind, value in (("images", colour), ("masks", mask)):
            picture = np.array(Image.open(folder / kind / captures.name_of(1)))
            picture[used == 0] = value
            Image.fromarray(picture).save(folder / kind / captures.name_of(1))
        masks = AutoMasksConfig(name="auto", invert=False, threshold=None, reference=None)
        scene = Capture(captures.of("nerfstudio", folder, downscale=2), masks, name).load(Split.TEST)
        assert scene.train[0].weight is not None
        assert scene.train[0].weight[0].tolist() == [1] * 4 + [0] * 4 + [1] * 8  # a column that is used in part is not
        return begun(scene.train, ADAPTIVE, "abstain")

    assert same(begun_from("garbage", 255, 0), begun_from("other", 0, 255))


def test_how_wrong_masks_are_is_measured_where_pixels_may_be_used() -> None:
    assert mask_iou(hidden(VIEWS, 0, 1), VIEWS) == 1 > mask_iou(hidden(VIEWS, 0, 1, weight=1), VIEWS)


def test_so_are_the_bounds_that_cameras_and_masks_tell() -> None:
    bounds = object_bounds(hidden(VIEWS, 1, 1))
    assert bounds == object_bounds(hidden(VIEWS, 0, 0)) == object_bounds(VIEWS)
