"""Which photographs a capture is made of, and that their copies are upright."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from pointrad.capturing.photographs import photographs_in, write_upright
from pointrad.errors import UserError
from tests.capturing.making import write_photographs


def test_an_upright_photograph_keeps_its_bytes(tmp_path: Path) -> None:
    photos = photographs_in(write_photographs(tmp_path / "photos"))
    write_upright(photos, tmp_path / "images", 95)
    assert (tmp_path / "images" / "p0.jpg").read_bytes() == photos[0].read_bytes()


def test_a_photograph_that_exif_turns_is_turned_and_its_tag_dropped(tmp_path: Path) -> None:
    photos = photographs_in(write_photographs(tmp_path / "photos", orientation=6, of_film=26))
    written = write_upright(photos, tmp_path / "images", 95)
    assert (written[0].width, written[0].height, written[0].orientation) == (40, 60, 6)
    with Image.open(tmp_path / "images" / "p0.jpg") as copy:
        assert ExifTags.Base.Orientation not in copy.getexif()
        assert copy.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] == 26
        red = np.asarray(copy)[..., 0] > 128
    assert red[:20, 20:].all()  # 6: turned clockwise, so that upper left comes to upper right
    assert not red[25:].any()


def test_exif_tells_the_focal_length(tmp_path: Path) -> None:
    photos = photographs_in(write_photographs(tmp_path / "photos", of_film=36))
    assert [one.focal for one in write_upright(photos, tmp_path / "images", 95)] == [60.0] * 3


def test_alpha_is_left_out_of_copies_and_webp_becomes_png(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.webp"):
        Image.new("RGBA", (8, 8), (9, 9, 9, 128)).save(folder / name, lossless=True)
    written = write_upright(sorted(folder.iterdir()), tmp_path / "images", 95)
    assert [one.name for one in written] == ["a.png", "b.png"]
    with Image.open(tmp_path / "images" / "b.png") as copy:
        assert (copy.format, copy.mode) == ("PNG", "RGB")


def test_every_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photos")
    for name in ("p1.jpg", "p2.jpg"):
        (folder / name).write_bytes((folder / name).read_bytes()[:300])
    with pytest.raises(UserError, match=r"(?s)p1\.jpg: found an image that cannot be read.*p2\.jpg: found an image"):
        write_upright(photographs_in(folder), tmp_path / "images", 95)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("IMG_1.HEIC", r"found IMG_1\.HEIC in .*; expected \.png, \.jpg, \.jpeg, \.webp alone \(convert"),
        ("scan.tiff", r"found scan\.tiff in"),
        ("p0.png", r"found p0\.jpg, p0\.png in .*; expected names that differ before the suffix"),
    ],
)
def test_a_file_that_would_be_left_out_in_silence_is_refused(name: str, message: str, tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photos")
    (folder / name).touch()
    with pytest.raises(UserError, match=message):
        photographs_in(folder)


def test_two_photographs_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found 2 photographs in .*; expected 3 at least"):
        photographs_in(write_photographs(tmp_path / "photos", count=2))


def test_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"photos: found .*gone; expected a folder of photographs"):
        photographs_in(tmp_path / "gone")
