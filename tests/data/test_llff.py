"""poses_bounds.npy of LLFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointrad.camera import Float64Array
from pointrad.data.layout import FolderLayout
from pointrad.data.photo import Listing
from pointrad.data.scene import Split
from pointrad.errors import UserError
from tests.data.captures import HEIGHT, WIDTH, llff_rows, name_of, of, real_capture, views, write_llff


def listing(folder: Path, split: Split = Split.TRAIN) -> Listing:
    return of("llff", folder).listing("tiny", split)


def test_size_and_focal_length_may_be_those_of_larger_photographs(tmp_path: Path) -> None:
    lens = listing(write_llff(tmp_path, llff_rows(factor=8))).photos[0].lens(WIDTH, HEIGHT)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx(views()[0].camera.intrinsics)


def test_hidden_files_and_others_are_no_photographs(tmp_path: Path) -> None:
    write_llff(tmp_path)
    for name in ("._r_00.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "images" / name).touch()
    assert len(listing(tmp_path).photos) == 6


def test_there_must_be_as_many_rows_as_photographs(tmp_path: Path) -> None:
    write_llff(tmp_path)
    (tmp_path / "images" / name_of(3)).unlink()
    with pytest.raises(
        UserError, match=r"poses_bounds\.npy: found 9 poses; expected one for each of the 8 photographs \("
    ):
        listing(tmp_path)


def changed(row: int, column: int, value: float) -> Float64Array:
    rows = llff_rows()
    rows[row, column] = value
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (llff_rows()[:, :14], r"found \[9, 14\]; expected \[N, 17\], a row for each photograph"),
        (llff_rows()[0], r"found \[17\]; expected \[N, 17\]"),
        (llff_rows()[:0], r"found \[0, 17\]; expected \[N, 17\]"),
        (np.full((9, 17), "east"), r"found values of type <U4; expected numbers"),
        (changed(2, 0, 1.5), r"row 2: found columns that are not orthonormal"),
        (changed(2, 3, np.nan), r"row 2: found a value that is not finite"),
        (changed(2, 4, 0), r"row 2: found \[0\.0, 32\.0, .*\]; expected height, width and focal length in pixels"),
        (changed(2, 14, -5), r"row 2: found \[24\.0, 32\.0, -5\.0\]; expected height, width and focal length"),
        (changed(2, 14, np.inf), r"row 2: found \[24\.0, 32\.0, inf\]; expected height, width and focal length"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(rows: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"poses_bounds\.npy: {message}"):
        listing(write_llff(tmp_path, rows))


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\1\0"])
def test_a_file_that_is_no_array_is_refused(content: bytes, tmp_path: Path) -> None:
    (write_llff(tmp_path) / "poses_bounds.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"poses_bounds\.npy: cannot be read \(.*\); expected an array of NumPy"):
        listing(tmp_path)


def test_an_archive_of_several_arrays_is_refused(tmp_path: Path) -> None:
    write_llff(tmp_path)
    with (tmp_path / "poses_bounds.npy").open("wb") as file:
        np.savez(file, poses=llff_rows())
    with pytest.raises(UserError, match=r"poses_bounds\.npy: found several arrays; expected \[N, 17\]"):
        listing(tmp_path)


def test_the_mary_rose_has_the_cameras_that_colmap_found_up_to_a_similarity() -> None:
    """The figures are those of the capture's README: two reconstructions, of two persons, by different programs."""
    folder = real_capture("mary_rose")
    llff, colmap = (_poses(of(layout, folder)) for layout in ("llff", "colmap"))
    moved, turn = _aligned(llff, colmap)
    extent = np.ptp(colmap[:, :3, 3], axis=0).max()
    misses = np.linalg.norm(moved - colmap[:, :3, 3], axis=1) / extent
    assert np.sqrt((misses**2).mean()) < 0.0015
    assert misses.max() < 0.005
    relative = np.einsum("vji,vjk->vik", colmap[:, :3, :3], turn @ llff[:, :3, :3])
    degrees = np.degrees(np.arccos(np.clip((np.trace(relative, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    assert degrees.mean() < 0.1
    assert degrees.max() < 0.3


def _poses(dataset: FolderLayout) -> Float64Array:
    """[V, 4, 4], sorted by name."""
    photos = [photo for split in (Split.TRAIN, Split.TEST) for photo in dataset.listing("mary_rose", split).photos]
    assert len(photos) == 69
    return np.stack([photo.camera_to_world for photo in sorted(photos, key=lambda photo: photo.name)])


def _aligned(poses: Float64Array, to: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Camera centres [V, 3] of `poses` after the similarity that brings them nearest to those of `to` (Umeyama), and
    its rotation."""
    here, there = poses[:, :3, 3], to[:, :3, 3]
    from_here, from_there = here - here.mean(axis=0), there - there.mean(axis=0)
    u, sizes, vt = np.linalg.svd(from_there.T @ from_here)
    mirror = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = u * mirror @ vt
    scale = (sizes * mirror).sum() / (from_here**2).sum()
    return scale * from_here @ turn.T + there.mean(axis=0), turn
