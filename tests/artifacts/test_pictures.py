"""Pictures: what their pixels show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image

from pointrad.artifacts.curves import write_curves
from pointrad.artifacts.pictures import (
    drawn_views,
    read_comparison,
    read_mask_comparison,
    write_comparison,
    write_mask_comparison,
)
from pointrad.masks.iou import mask_iou
from pointrad.training.record import EpochRecord
from tests.scenes import ring, sphere_view, sphere_views, turned_and_sized

LOST, ADDED = (213, 94, 0), (0, 114, 178)


def colours_of(path: Path) -> set[tuple[int, int, int]]:
    return {colour for _, colour in Image.open(path).convert("RGB").getcolors(1 << 24)}  # type: ignore[union-attr, misc]


def test_a_comparison_holds_render_and_truth_pixel_for_pixel(tmp_path: Path) -> None:
    views = sphere_views(2, 200, 200)
    write_comparison(tmp_path / "p" / "1_base.png", lambda cameras: [views[0].image for _ in cameras], views, "base")
    sheet = imageio.imread(tmp_path / "p" / "1_base.png").astype(int)
    truth = np.rint(255 * views[1].image).astype(int)
    rendered = np.rint(255 * views[0].image).astype(int)
    top, left, right = sheet.shape[0] - 10 - 200, 10, 220
    np.testing.assert_array_equal(sheet[top : top + 200, left : left + 200], rendered)
    np.testing.assert_array_equal(sheet[top : top + 200, right : right + 200], truth)


def test_a_comparison_is_read_back_as_it_was_drawn(tmp_path: Path) -> None:
    views = sphere_views(3, 200, 120)
    write_comparison(tmp_path / "x.png", lambda cameras: [views[0].image for _ in cameras], views, "base")
    read = read_comparison(tmp_path / "x.png", 3)
    assert len(read) == 3
    for (render, truth), view in zip(read, views, strict=True):
        np.testing.assert_array_equal(np.asarray(render), np.rint(255 * views[0].image))
        np.testing.assert_array_equal(np.asarray(truth), np.rint(255 * view.image))


def test_views_of_several_sizes_stand_on_one_sheet(tmp_path: Path) -> None:
    views = [sphere_view(turned_and_sized(n, pose)) for n, pose in enumerate(ring(3))]
    write_comparison(tmp_path / "x.png", lambda _: [view.image for view in views], views, "base")
    for (render, truth), view, factor in zip(read_comparison(tmp_path / "x.png", 3), views, (6, 8, 3), strict=True):
        expected = np.rint(255 * view.image).repeat(factor, axis=0).repeat(factor, axis=1)
        np.testing.assert_array_equal(np.asarray(render), expected)
        np.testing.assert_array_equal(np.asarray(truth), expected)


def test_a_sheet_that_says_nothing_of_sizes_is_read_as_earlier_versions_drew_it(tmp_path: Path) -> None:
    views = sphere_views(2, 200, 120)
    write_comparison(tmp_path / "x.png", lambda cameras: [views[0].image for _ in cameras], views, "base")
    with Image.open(tmp_path / "x.png") as sheet:
        Image.fromarray(np.asarray(sheet)).save(tmp_path / "bare.png")
    bare, said = (read_comparison(tmp_path / name, 2) for name in ("bare.png", "x.png"))
    assert [tile.tobytes() for pair in bare for tile in pair] == [tile.tobytes() for pair in said for tile in pair]


def test_masks_of_several_sizes_are_compared_column_by_column(tmp_path: Path) -> None:
    views = [sphere_view(turned_and_sized(n, pose)) for n, pose in enumerate(ring(3))]
    write_mask_comparison(tmp_path / "masks.png", views, views, "none 0")
    assert Image.open(tmp_path / "masks.png").size == (3 * 202 + 10, 66 + 3 * (256 + 36))


def test_differences_of_masks_are_read_back(tmp_path: Path) -> None:
    clean = [sphere_view(turned_and_sized(n, pose)) for n, pose in enumerate(ring(3))]
    wrong = [replace(view, mask=np.roll(view.mask, 4, axis=1)) for view in clean]
    write_mask_comparison(tmp_path / "masks.png", clean, wrong, "affine 0.2")
    found = read_mask_comparison(tmp_path / "masks.png")
    assert [mask.view for mask in found] == [view.name for view in clean]
    assert [mask.iou for mask in found] == pytest.approx(
        [mask_iou([bad], [good]) for bad, good in zip(wrong, clean, strict=True)], abs=1e-4
    )
    for mask, view in zip(found, clean, strict=True):
        assert mask.picture.width % view.mask.shape[1] == 0
        assert {colour for _, colour in mask.picture.getcolors() or []} == {
            (255, 255, 255),
            (200, 200, 200),
            LOST,
            ADDED,
        }


def test_a_sheet_that_does_not_say_which_masks_it_shows_is_refused(tmp_path: Path) -> None:
    write_mask_comparison(tmp_path / "masks.png", sphere_views(1), sphere_views(1), "none 0")
    with Image.open(tmp_path / "masks.png") as sheet:
        Image.fromarray(np.asarray(sheet)).save(tmp_path / "bare.png")
    with pytest.raises(ValueError, match="does not say which masks"):
        read_mask_comparison(tmp_path / "bare.png")


def test_a_picture_of_another_make_is_no_comparison(tmp_path: Path) -> None:
    views = sphere_views(2)
    write_comparison(tmp_path / "x.png", lambda cameras: [views[0].image for _ in cameras], views, "base")
    with pytest.raises(ValueError, match="no sheet of 7 views"):
        read_comparison(tmp_path / "x.png", 7)


def test_small_views_are_enlarged(tmp_path: Path) -> None:
    views = sphere_views(1)
    write_comparison(tmp_path / "x.png", lambda cameras: [views[0].image for _ in cameras], views, "init")
    assert Image.open(tmp_path / "x.png").width == 2 * 192 + 3 * 10


def test_corrupted_masks_show_what_was_lost_and_added(tmp_path: Path) -> None:
    clean = sphere_views(3, 200, 200)
    corrupted = tuple(replace(view, mask=np.roll(view.mask, 20, axis=1)) for view in clean)
    write_mask_comparison(tmp_path / "masks.png", clean, corrupted, "affine 0.2")
    assert {LOST, ADDED} <= colours_of(tmp_path / "masks.png")


def test_untouched_masks_differ_nowhere(tmp_path: Path) -> None:
    clean = sphere_views(20, 200, 200)
    write_mask_comparison(tmp_path / "masks.png", clean, clean, "none 0")
    image = imageio.imread(tmp_path / "masks.png")
    below_the_legend = image[-200:].reshape(-1, 3)
    assert not {LOST, ADDED} & {tuple(map(int, colour)) for colour in np.unique(below_the_legend, axis=0)}
    assert image.shape[1] == 8 * 210 + 10


def test_curves_are_drawn_for_any_number_of_epochs(tmp_path: Path) -> None:
    records = [
        EpochRecord(n, "base" if n < 3 else "full", n, 0.1 / n, 20.0 + n, 100, {}, float(n)) for n in range(1, 6)
    ]
    for count in (0, 1, 5):
        write_curves(tmp_path / f"{count}.png", records[:count])
        assert imageio.imread(tmp_path / f"{count}.png").std() > 0


@pytest.mark.parametrize(
    ("chosen", "count", "drawn"),
    [(None, 20, (0, 6, 13)), (None, 2, (0, 1)), (None, 1, (0,)), ((3, 1), 20, (3, 1)), ((), 20, ())],
)
def test_views_are_those_chosen_or_three_spread_over_all(
    chosen: tuple[int, ...] | None, count: int, drawn: tuple[int, ...]
) -> None:
    assert drawn_views(chosen, count) == drawn
