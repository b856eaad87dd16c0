"""Where masks come from: which file is whose, what its pixels mean, and what is said of those that are missing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrad.data.capture import load_scene
from pointrad.data.photo import Lens, Photo
from pointrad.data.scene import Scene, Split
from pointrad.errors import UserError
from pointrad.masks.auto import AutoMasksConfig
from pointrad.masks.config import MasksConfig
from pointrad.masks.files import find_masks, read_mask
from pointrad.masks.folder import FolderMasksConfig
from pointrad.masks.none import NoMasksConfig
from tests.captures import blender

AUTO = AutoMasksConfig(name="auto", invert=False, threshold=None, reference=None)


def folder(name: str = "masks", invert: bool = False, reference: str | None = None) -> FolderMasksConfig:
    return FolderMasksConfig(name="folder", folder=name, invert=invert, threshold=None, reference=reference)


def load(root: Path, masks: MasksConfig) -> Scene:
    return blender(root, masks=masks).load(Split.TEST)


def split_masks_off(
    root: Path, named: Callable[[Path], str], masks: str = "masks", keep_alpha: bool = False
) -> Path:  # fmt: skip
    """The tiny scene with photographs that have no alpha, and their masks in a folder of its own."""
    scene = root / "tiny"
    for path in sorted(scene.glob("*/r_*.png")):
        rgba = np.asarray(Image.open(path))
        to = scene / masks / path.parent.name / named(path)
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgba[..., 3]).save(to)
        if not keep_alpha:
            Image.fromarray(np.ascontiguousarray(rgba[..., :3])).save(path)
    return root


def same_masks(a: Scene, b: Scene) -> bool:
    both = zip((*a.train, *a.evaluation), (*b.train, *b.evaluation), strict=True)
    return all(np.array_equal(one.mask, other.mask) for one, other in both)


@pytest.mark.parametrize(
    ("named", "convention"),
    [
        (lambda path: f"{path.name}.png", "NAME.jpg.png"),
        (lambda path: path.name, "NAME.png"),
        (lambda path: f"{path.stem}_mask.png", "NAME_mask.png"),
        (lambda path: f"{path.stem}.mask.png", "NAME.mask.png"),
        (lambda path: f"mask_{path.stem}.tif", "mask_NAME.tif"),
        (lambda path: f"{path.stem}-removebg-preview.png", "NAME-removebg-preview.png"),
        (lambda path: f"cup.{path.stem}_sam.0.png", "cup.NAME_sam.0.png"),
    ],
)
def test_whatever_tools_call_them_masks_of_a_folder_are_found_and_told(
    named: Callable[[Path], str], convention: str, tiny_scene_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load(tiny_scene_root, AUTO)
    split_masks_off(tiny_scene_root, named)
    assert same_masks(before, load(tiny_scene_root, folder()))
    assert f"masks: masks/{convention}" in capsys.readouterr().err


def numbered(folder: Path, *names: str) -> list[Photo]:
    return [Photo(name, folder / "image" / f"{name}.png", Lens, np.eye(4)) for name in names]


def test_masks_may_go_by_the_photographs_numbers(tmp_path: Path) -> None:
    (tmp_path / "mask").mkdir()
    for number in range(12):
        (tmp_path / "mask" / f"{number:03}.png").touch()
    photos = numbered(tmp_path, "000002", "000011")
    found = find_masks("masks.folder", "mask", photos, tmp_path)
    assert [found.file(photo).name for photo in photos] == ["002.png", "011.png"]


def test_what_stands_around_names_is_no_part_of_a_longer_name(tmp_path: Path) -> None:
    (tmp_path / "mask").mkdir()
    for number in range(1, 13):
        (tmp_path / "mask" / f"{number}-cut-2.png").touch()
    photos = numbered(tmp_path, *map(str, range(1, 13)))
    found = find_masks("masks.folder", "mask", photos, tmp_path)
    assert [found.file(photo).name for photo in photos] == [f"{number}-cut-2.png" for number in range(1, 13)]
    assert found.said == "mask/NAME-cut-2.png"


def test_hidden_files_are_no_masks(tmp_path: Path) -> None:
    (tmp_path / "mask").mkdir()
    for name in ("002.png", "._002.png"):
        (tmp_path / "mask" / name).touch()
    assert find_masks("masks.folder", "mask", numbered(tmp_path, "000002"), tmp_path).said.startswith("mask/012.png")


def test_numbers_that_two_masks_have_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "mask").mkdir()
    for name in ("1", "01"):
        (tmp_path / "mask" / f"{name}.png").touch()
    with pytest.raises(UserError, match="found masks of 0 of 1"):
        find_masks("masks.folder", "mask", numbered(tmp_path, "000001"), tmp_path)


def test_masks_beside_the_pictures_are_found_without_being_told(tiny_scene_root: Path) -> None:
    before = load(tiny_scene_root, AUTO)
    split_masks_off(tiny_scene_root, lambda path: path.name, "mask")
    assert same_masks(before, load(tiny_scene_root, AUTO))


def test_photographs_are_composited_by_the_masks_of_the_folder(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: path.name)
    for path in (tiny_scene_root / "tiny" / "train").glob("*.png"):
        Image.fromarray(np.full((24, 32, 3), 255, np.uint8)).save(path)
    view = load(tiny_scene_root, folder()).train[0]
    assert 0 < view.mask.mean() < 1
    np.testing.assert_allclose(view.image, np.repeat(view.mask[..., None], 3, axis=2), atol=1e-6)


def test_a_view_without_its_mask_is_named_with_what_was_looked_for(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: path.name)
    (tiny_scene_root / "tiny" / "masks" / "train" / "r_4.png").unlink()
    with pytest.raises(UserError) as error:
        load(tiny_scene_root, folder())
    assert "masks.folder: found masks of 8 of 9 photographs" in str(error.value)
    assert "none is there of r_4.png (looked for NAME.jpg.png, NAME.png, " in str(error.value)


def test_a_folder_of_other_masks_is_refused_whole(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: f"frame{path.stem}x.png")
    with pytest.raises(UserError, match=r"masks\.folder: found masks of 0 of 9 photographs in .*; expected one of"):
        load(tiny_scene_root, folder())


def test_a_folder_that_is_nowhere_is_named(tiny_scene_root: Path) -> None:
    with pytest.raises(UserError, match=r"masks\.folder: found mine; expected a folder, .* neither .*tiny/mine"):
        load(tiny_scene_root, folder("mine"))


def test_photographs_without_any_masks_are_told_what_there_is(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: path.name, "masks_segmenter")
    with pytest.raises(UserError, match=r"masks=auto: .* none of the folders masks, .* masks\.folder=masks_segmenter,"):
        load(tiny_scene_root, AUTO)


def test_without_masks_whole_photographs_are_views(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: path.name)
    path = tiny_scene_root / "tiny" / "train" / "r_0.png"
    scene = load(tiny_scene_root, NoMasksConfig(name="none", threshold=None, reference=None))
    np.testing.assert_allclose(scene.train[0].image, np.asarray(Image.open(path), np.float32) / 255, atol=1e-6)
    assert (scene.train[0].mask == 1).all()


def test_without_masks_views_are_evaluated_with_the_reference_which_is_hard_in_the_end(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: path.name)
    for path in (tiny_scene_root / "tiny" / "masks").rglob("*.png"):
        Image.fromarray(np.maximum(np.asarray(Image.open(path)), 40)).save(path)  # soft all over
    capture = blender(tiny_scene_root, masks=NoMasksConfig(name="none", threshold=None, reference="masks"))
    scene = load_scene(capture, Split.TEST)
    assert all((view.mask == 1).all() for view in scene.train)
    assert 0 < scene.evaluation[0].mask.mean() < 0.9
    assert set(np.unique(scene.evaluation[0].mask)) == {0, 1}


def test_black_may_be_the_object(tiny_scene_root: Path) -> None:
    before = load(tiny_scene_root, AUTO)
    split_masks_off(tiny_scene_root, lambda path: path.name)
    for path in (tiny_scene_root / "tiny" / "masks").rglob("*.png"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    assert same_masks(before, load(tiny_scene_root, folder(invert=True)))


def test_alpha_is_not_inverted_in_silence(tiny_scene_root: Path) -> None:
    inverted = AutoMasksConfig(name="auto", invert=True, threshold=None, reference=None)
    with pytest.raises(UserError, match=r"masks\.invert: found true, but the masks are the alpha"):
        load(tiny_scene_root, inverted)


def test_masks_of_another_size_are_resized_with_their_photograph(tiny_scene_root: Path) -> None:
    before = load(tiny_scene_root, AUTO)
    split_masks_off(tiny_scene_root, lambda path: path.name)
    for path in (tiny_scene_root / "tiny" / "masks").rglob("*.png"):
        Image.open(path).resize((128, 96), Image.Resampling.NEAREST).save(path)
    assert same_masks(before, load(tiny_scene_root, folder()))


def test_a_mask_of_another_shape_is_refused(tiny_scene_root: Path) -> None:
    split_masks_off(tiny_scene_root, lambda path: path.name)
    path = tiny_scene_root / "tiny" / "masks" / "train" / "r_2.png"
    Image.open(path).resize((96, 128)).save(path)
    message = r"r_2\.png: found 96x128 pixels; expected the 32x24 of r_2\.png, or others of .*; EXIF turns one of them"
    with pytest.raises(UserError, match=message):
        load(tiny_scene_root, folder())


class TestReference:
    """Masks that are known to be right, beside those that are given."""

    @pytest.fixture
    def wrong(self, tiny_scene_root: Path) -> Path:
        """The tiny scene, with masks that are a column too wide beside its alpha."""
        split_masks_off(tiny_scene_root, lambda path: path.name, "right", keep_alpha=True)
        shutil.copytree(tiny_scene_root / "tiny" / "right", tiny_scene_root / "tiny" / "wrong")
        for path in (tiny_scene_root / "tiny" / "wrong").rglob("*.png"):
            mask = np.asarray(Image.open(path))
            Image.fromarray(np.maximum(mask, np.roll(mask, 1, axis=1))).save(path)
        return tiny_scene_root

    @pytest.mark.parametrize("reference", [None, "right"])
    def test_it_is_the_alpha_or_the_folder_that_is_named(self, reference: str | None, wrong: Path) -> None:
        right, scene = load(wrong, AUTO), load(wrong, folder("wrong", reference=reference))
        for view, true in zip(scene.train, right.train, strict=True):
            assert view.reference is not None
            assert np.array_equal(view.reference, true.mask)
            assert (view.mask > true.mask).any()

    def test_views_for_evaluation_are_composited_by_it_and_training_views_are_not(self, wrong: Path) -> None:
        for path in (wrong / "tiny").glob("*/r_*.png"):
            if path.parent.name in ("train", "test"):
                rgba = np.asarray(Image.open(path)).copy()
                rgba[..., :3] = 255
                Image.fromarray(rgba).save(path)
        scene = load(wrong, folder("wrong"))
        for view in (*scene.train, *scene.evaluation):
            np.testing.assert_allclose(view.image[..., 0], view.mask, atol=1e-6)
        right = load(wrong, AUTO)
        assert np.array_equal(scene.evaluation[0].mask, right.evaluation[0].mask)
        assert not np.array_equal(scene.train[0].mask, right.train[0].mask)


class TestPixels:
    """A mask's pixels, whatever its file is like."""

    MASK = np.zeros((6, 8), bool)
    MASK[2:4, 3:7] = True

    @pytest.mark.parametrize(
        "image",
        [
            Image.fromarray(MASK),
            Image.fromarray(MASK.astype(np.uint8)),
            Image.fromarray(255 * MASK.astype(np.uint8)),
            Image.fromarray(65535 * MASK.astype(np.uint16)),
            Image.fromarray(np.dstack([255 * MASK.astype(np.uint8)] * 3)),
            Image.fromarray(np.dstack([np.full((6, 8, 3), 90, np.uint8), 255 * MASK.astype(np.uint8)])),
        ],
        ids=["1 bit", "0 and 1", "0 and 255", "16 bits", "RGB", "a cutout's alpha"],
    )
    def test_the_object_is_255(self, image: Image.Image, tmp_path: Path) -> None:
        image.save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png"), np.where(self.MASK, 255, 0))

    def test_a_label_of_a_coloured_palette_is_the_object(self, tmp_path: Path) -> None:
        image = Image.fromarray(self.MASK.astype(np.uint8)).convert("P")
        image.putpalette([0, 0, 0, 128, 0, 0])
        image.save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png"), np.where(self.MASK, 255, 0))

    def test_soft_masks_stay_soft(self, tmp_path: Path) -> None:
        soft = np.arange(48, dtype=np.uint8).reshape(6, 8)
        Image.fromarray(soft).save(tmp_path / "mask.png")
        assert np.array_equal(read_mask(tmp_path / "mask.png"), soft)

    def test_a_broken_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "mask.png").write_bytes(b"no picture")
        with pytest.raises(UserError, match=r"mask\.png: found a mask that cannot be read"):
            read_mask(tmp_path / "mask.png")
