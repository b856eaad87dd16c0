"""How soft masks become hard, and what becomes of views whose mask is no mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pointrad.data.scene import BACKGROUNDS, Float32Array, Scene, View
from pointrad.errors import UserError
from pointrad.masks.hard import with_hard_masks
from tests.scenes import sphere_views

Edit = Callable[[Float32Array], NDArray[np.float32]]
VIEWS = sphere_views(6)


def scene(*edits: tuple[int, Edit]) -> Scene:
    """The sphere's six views, also to evaluate on, some training masks edited."""
    views = list(VIEWS)
    for index, edit in edits:
        views[index] = replace(views[index], mask=edit(views[index].mask))
    return Scene("tiny", tuple(views), VIEWS[:2], BACKGROUNDS["black"])


def names(views: tuple[View, ...]) -> list[str]:
    return [view.name for view in views]


def inverted(mask: Float32Array) -> Float32Array:
    return 1 - mask


@pytest.mark.parametrize(("threshold", "object_from"), [(0.0, 1), (0.5, 128), (0.9, 230)])
def test_a_mask_is_1_above_the_threshold_and_0_elsewhere(threshold: float, object_from: int) -> None:
    alpha = np.resize(np.arange(256, dtype=np.float32) / np.float32(255), (24, 32))
    view = with_hard_masks(scene((0, lambda mask: alpha)), threshold).train[0]
    np.testing.assert_array_equal(view.mask, np.resize(np.arange(256) >= object_from, (24, 32)).astype(np.float32))
    assert view.mask.dtype == np.float32


def test_haze_all_over_a_background_is_no_object() -> None:
    def hazy(mask: Float32Array) -> Float32Array:
        return np.maximum(mask, np.float32(3 / 255))

    found = with_hard_masks(scene(*((index, hazy) for index in range(6))), 0.5)
    for view, clean in zip(found.train, VIEWS, strict=True):
        np.testing.assert_array_equal(view.mask, clean.mask)


def test_views_whose_masks_are_right_all_stay_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    found = with_hard_masks(scene(), 0.5)
    assert names(found.train) == names(VIEWS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("edit", "kind"),
    [(np.zeros_like, "being empty"), (np.ones_like, "being full"), (inverted, "being inverted by the looks of it")],
)
def test_a_view_without_a_usable_mask_is_left_out_and_named(
    edit: Edit, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = with_hard_masks(scene((4, edit)), 0.5)
    assert names(found.train) == [view.name for view in VIEWS if view.name != "train/r_4"]
    warning = " ".join(capsys.readouterr().err.split())
    assert f"1 of 6 training views are left out, their masks {kind} (at masks.threshold 0.5): train/r_4" in warning


def test_half_of_the_views_may_be_left_out() -> None:
    assert len(with_hard_masks(scene((0, np.zeros_like), (1, np.ones_like), (2, np.zeros_like)), 0.5).train) == 3


def test_if_more_are_unusable_the_scene_is_refused() -> None:
    edits = [(0, np.zeros_like), (1, np.ones_like), (2, np.zeros_like), (3, np.zeros_like)]
    with pytest.raises(
        UserError,
        match=r"masks\.threshold: found 3 empty \(train/r_0, train/r_2, train/r_3\) and 1 full \(train/r_1\) of 6",
    ):
        with_hard_masks(scene(*edits), 0.5)


def test_that_refusal_says_which_thresholds_would_do() -> None:
    faint = [(index, lambda mask: np.float32(0.3) * mask) for index in range(6)]
    with pytest.raises(UserError, match=r"6 empty .* at 0\.5; .*alpha goes from 0 to 0\.3\)"):
        with_hard_masks(scene(*faint), 0.5)


def test_if_most_look_inverted_they_stay_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    found = with_hard_masks(scene(*((index, inverted) for index in range(6))), 0.5)
    assert names(found.train) == names(VIEWS)
    assert "Warning: 6 of 6 training masks look inverted" in capsys.readouterr().err


def test_a_close_view_of_the_object_is_not_inverted(capsys: pytest.CaptureFixture[str]) -> None:
    def close(mask: Float32Array) -> Float32Array:
        near = np.ones_like(mask)
        near[:6, :8] = 0
        return near

    def ring(mask: Float32Array) -> Float32Array:
        near = np.ones_like(mask)
        near[11:13, 15:17] = 0
        return near

    assert len(with_hard_masks(scene((0, close), (1, ring)), 0.5).train) == 6
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("edit", "kind"), [(np.zeros_like, "are empty"), (inverted, "look inverted")])
def test_evaluation_views_stay_and_those_without_an_object_are_named(
    edit: Edit, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = scene()
    lost = replace(given.evaluation[0], mask=edit(given.evaluation[0].mask))
    found = with_hard_masks(replace(given, evaluation=(lost, given.evaluation[1])), 0.5)
    assert len(found.evaluation) == 2
    assert f"Warning: 1 of 2 evaluation masks {kind}" in capsys.readouterr().err


def test_where_training_views_are_evaluated_it_is_those_that_train() -> None:
    given = scene((4, np.zeros_like))
    found = with_hard_masks(replace(given, evaluation=given.train), 0.5)
    assert found.evaluation is found.train
