"""Which file a frame means, what is refused before it is opened, and what its pixels are."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pointrad.data.picture_files import check_headers, read_picture
from pointrad.data.scene import Scene, Split
from pointrad.errors import UserError
from tests.captures import blender

RGBA = np.random.default_rng(0).integers(0, 256, (24, 32, 4)).astype(np.uint8)


def load(root: Path) -> Scene:
    return blender(root).load(Split.TEST)


def rename_first(root: Path, file_path: str) -> None:
    path = root / "tiny" / "transforms_train.json"
    values = json.loads(path.read_text())
    values["frames"][0]["file_path"] = file_path
    path.write_text(json.dumps(values))


class TestFinding:
    @pytest.mark.parametrize("suffix", [".png", ".webp", ".PNG"])
    @pytest.mark.parametrize("pattern", ["./train/r_0{}", "train/r_0{}", "train\\r_0{}"])
    def test_a_path_may_have_its_suffix_and_lack_its_dot(
        self, pattern: str, suffix: str, tiny_scene_root: Path
    ) -> None:
        before = load(tiny_scene_root).train[0]
        picture = tiny_scene_root / "tiny" / "train" / "r_0.png"
        with Image.open(picture) as image:
            image.save(picture.with_suffix(".webp"), lossless=True)
        picture.rename(picture.with_suffix(".kept"))
        if suffix != ".webp":
            picture.with_suffix(".kept").rename(picture.with_suffix(suffix))
        rename_first(tiny_scene_root, pattern.format(suffix))
        view = load(tiny_scene_root).train[0]
        assert view.name == "train/r_0"
        np.testing.assert_array_equal(view.image, before.image)

    def test_a_path_without_suffix_may_mean_a_webp(self, tiny_scene_root: Path) -> None:
        picture = tiny_scene_root / "tiny" / "train" / "r_0.png"
        with Image.open(picture) as image:
            image.save(picture.with_suffix(".webp"), lossless=True)
        before = load(tiny_scene_root).train[0]
        picture.unlink()
        np.testing.assert_array_equal(load(tiny_scene_root).train[0].image, before.image)

    def test_a_jpeg_is_found_and_named_for_having_no_alpha(self, tiny_scene_root: Path) -> None:
        picture = tiny_scene_root / "tiny" / "train" / "r_0.png"
        with Image.open(picture) as image:
            image.convert("RGB").save(picture.with_suffix(".jpg"))
        picture.unlink()
        with pytest.raises(UserError, match=r"r_0\.jpg: found a RGB image without alpha; expected RGBA"):
            load(tiny_scene_root)


def png(width: int, height: int, rows: bytes) -> bytes:
    """An RGBA PNG whose header says width x height, whatever there is of rows."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def read_rgba(path: Path) -> NDArray[np.uint8]:
    picture = read_picture(path)
    assert picture.alpha is not None
    return np.dstack([picture.rgb, picture.alpha])


class TestHeaders:
    """What they promise is checked before anything is decoded."""

    def refused(self, paths: list[Path]) -> str:
        tracemalloc.start()
        with pytest.raises(UserError) as error:
            check_headers(paths)
        assert tracemalloc.get_traced_memory()[1] < 2**24
        tracemalloc.stop()
        return str(error.value)

    @pytest.mark.parametrize("size", [9000, 12000, 60000])
    def test_a_header_that_promises_more_than_the_file_holds_is_named(self, size: int, tmp_path: Path) -> None:
        path = tmp_path / "r_0.png"
        path.write_bytes(png(size, size, RGBA.tobytes()))
        assert "r_0.png: found" in self.refused([path])

    def test_pictures_may_differ_in_size(self, tmp_path: Path) -> None:
        paths = [tmp_path / f"r_{n}.png" for n in range(3)]
        for n, path in enumerate(paths):
            Image.fromarray(RGBA[: 24 - n]).save(path)
        check_headers(paths)

    def test_whole_pictures_that_compress_well_pass(self, tmp_path: Path) -> None:
        Image.new("RGBA", (5000, 5000)).save(tmp_path / "r_0.png")
        check_headers([tmp_path / "r_0.png"])

    @pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
    def test_what_is_no_picture_is_named(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "r_0.png").write_bytes(content)
        assert "r_0.png: found an image that cannot be read" in self.refused([tmp_path / "r_0.png"])

    @pytest.mark.parametrize("name", ["r.png", "r.jpg"])
    def test_they_say_how_exif_turns_a_picture(self, name: str, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (32, 24)).save(tmp_path / name, exif=exif)
        (header,) = check_headers([tmp_path / name])
        assert (header.width, header.height, header.orientation, header.upright) == (32, 24, 6, (24, 32))

    def test_a_format_that_is_not_read_is_to_be_converted(self, tmp_path: Path) -> None:
        (tmp_path / "r.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
        assert "expected a whole picture (.png, .jpg, .jpeg, .webp; convert" in self.refused([tmp_path / "r.HEIC"])


class TestPixels:
    def test_a_truncated_image_is_named(self, tiny_scene_root: Path) -> None:
        path = tiny_scene_root / "tiny" / "train" / "r_3.png"
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(UserError, match=r"r_3\.png: found an image that cannot be read"):
            load(tiny_scene_root)

    def test_an_image_without_alpha_has_none(self, tmp_path: Path) -> None:
        Image.fromarray(RGBA[..., :3]).save(tmp_path / "r.png")
        picture = read_picture(tmp_path / "r.png")
        np.testing.assert_array_equal(picture.rgb, RGBA[..., :3])
        assert picture.alpha is None

    def test_grey_of_16_bits_is_not_cut_off_in_silence(self, tmp_path: Path) -> None:
        Image.fromarray(RGBA[..., 0].astype(np.uint16) * 257).save(tmp_path / "r.png", transparency=257)
        with pytest.raises(UserError, match=r"r\.png: found a grey picture of 16 bits or more \(I;16\)"):
            read_picture(tmp_path / "r.png")

    def test_grey_with_alpha_is_grey(self, tmp_path: Path) -> None:
        image = Image.fromarray(RGBA).convert("LA")
        image.save(tmp_path / "r.png")
        grey, alpha = np.moveaxis(np.asarray(image), -1, 0)
        np.testing.assert_array_equal(read_rgba(tmp_path / "r.png"), np.stack([grey, grey, grey, alpha], axis=-1))

    def test_a_palette_has_its_colours_alpha(self, tmp_path: Path) -> None:
        image = Image.fromarray(RGBA).quantize(256, method=Image.Quantize.FASTOCTREE)
        image.save(tmp_path / "r.png")
        np.testing.assert_array_equal(read_rgba(tmp_path / "r.png"), np.asarray(image.convert("RGBA")))

    def test_one_colour_of_an_rgb_png_may_be_transparent(self, tmp_path: Path) -> None:
        rgb = np.maximum(RGBA[..., :3], 1)
        rgb[:12] = 0
        Image.fromarray(rgb).save(tmp_path / "r.png", transparency=(0, 0, 0))
        alpha = read_rgba(tmp_path / "r.png")[..., 3]
        assert (alpha[:12] == 0).all()
        assert (alpha[12:] == 255).all()

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("suffix", [".png", ".webp"])
    def test_pictures_stand_upright(self, suffix: str, orientation: int, tmp_path: Path) -> None:
        """Orientation 6, for one: a phone held upright stores the picture turned left."""
        stored_as = {
            1: lambda pixels: pixels,
            2: lambda pixels: pixels[:, ::-1],
            3: lambda pixels: pixels[::-1, ::-1],
            4: lambda pixels: pixels[::-1],
            5: lambda pixels: pixels.transpose(1, 0, 2),
            6: lambda pixels: np.rot90(pixels),
            7: lambda pixels: np.rot90(pixels.transpose(1, 0, 2), 2),
            8: lambda pixels: np.rot90(pixels, -1),
        }
        upright = RGBA | np.array([0, 0, 0, 1], np.uint8)  # WebP forgets colour under alpha 0
        exif = Image.Exif()
        exif[0x0112] = orientation
        options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
        stored = np.ascontiguousarray(stored_as[orientation](upright))
        Image.fromarray(stored).save(tmp_path / f"r{suffix}", exif=exif, **options)
        np.testing.assert_array_equal(read_rgba(tmp_path / f"r{suffix}"), upright)
