"""Bounds that hold the object, bounds that do not, and what is suggested instead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pointrad.data.frame import SceneFrame
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.init.placement import check_placement, suggested_bounds
from pointrad.init.votes import Lattice, Votes, count_votes
from pointrad.schema import Bounds
from tests.scenes import cube, sphere_views

VIEWS = sphere_views(12, 64, 48, radius=0.6)
MILLIMETRES = SceneFrame(np.zeros(3), 0.001)  # a scene unit is a thousandth of the world's


def votes(views: tuple[View, ...], bounds: Bounds) -> Votes:
    return count_votes(views, Lattice(32, bounds), 0.05, len(views))


def test_bounds_that_hold_the_object_are_not_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    check_placement(votes(VIEWS, cube(-1, 1)), VIEWS)
    assert capsys.readouterr().err == ""


def test_bounds_inside_the_object_are_refused_with_bounds_that_hold_it() -> None:
    views = MILLIMETRES.views(VIEWS)
    with pytest.raises(UserError, match=r"init\.bounds: found \[-2,2\], and the hull fills all of it.*suggest"):
        check_placement(votes(views, cube(-2, 2)), views)
    suggested = suggested_bounds(views)
    assert suggested is not None
    check_placement(votes(views, suggested), views)


def test_bounds_that_cut_the_object_off_are_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    check_placement(votes(VIEWS, ((-1, 1), (-1, 0.2), (-1, 1))), VIEWS)
    assert "[[-1,1],[-1,0.2],[-1,1]], and the hull touches their faces" in capsys.readouterr().err


def test_bounds_much_larger_than_the_object_are_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    check_placement(votes(VIEWS, cube(-10, 10)), VIEWS)
    assert "points only; the cameras and masks suggest init.bounds=" in capsys.readouterr().err


def test_of_views_that_tell_no_other_bounds_none_are_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    views = sphere_views(40)[:2]
    bounds = suggested_bounds(views)
    assert bounds is not None
    check_placement(votes(views, bounds), views)
    told = " ".join(capsys.readouterr().err.split())
    assert "touches their faces, so part of the object may lie outside; the cameras and masks tell no others" in told


@pytest.mark.parametrize("unit", [0.001, 1.0, 40.0])
def test_suggested_bounds_hold_the_sphere_and_little_more_wherever_it_lies(unit: float) -> None:
    centre = np.array([30.0, -700.0, 5.0])
    suggested = suggested_bounds(SceneFrame(-centre / unit, 1 / unit).views(VIEWS))  # the sphere's radius is 0.6 units
    assert suggested is not None
    for middle, (low, high) in zip(centre, suggested, strict=True):
        assert low < middle - 0.6 * unit
        assert high > middle + 0.6 * unit
        assert high - low < 3 * unit


def test_one_wrong_mask_does_not_spoil_the_suggestion() -> None:
    nothing = replace(VIEWS[0], mask=np.zeros_like(VIEWS[0].mask))
    assert suggested_bounds((nothing, *VIEWS[1:])) == pytest.approx(np.array(suggested_bounds(VIEWS)), abs=0.2)


def test_without_masks_that_agree_the_cameras_say_where_the_object_is() -> None:
    nothing = tuple(replace(view, mask=np.zeros_like(view.mask)) for view in VIEWS)
    suggested = suggested_bounds(nothing)  # the cameras are 3 away from the origin
    assert suggested == pytest.approx(np.array(cube(-1.5, 1.5)), abs=0.1)


def test_cameras_that_look_apart_suggest_nothing() -> None:
    turned = []
    for view in VIEWS:
        pose = view.camera.camera_to_world @ np.diag([1.0, -1.0, -1.0, 1.0])  # the axes of OpenCV
        turned.append(replace(view, camera=replace(view.camera, camera_to_world=pose)))
    assert suggested_bounds(turned) is None
