"""`capture.py`: what it refuses, what it leaves, and that the cameras of a real capture are found."""

from __future__ import annotations

import json
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from launcher.capture import in_full
from pointrad.capturing import make, structure
from pointrad.capturing.config import CameraModel
from pointrad.capturing.make import Made, make_capture
from pointrad.capturing.photographs import Photograph
from pointrad.capturing.structure import Structure
from pointrad.data import colmap_model
from pointrad.data.colmap_model import model_files, read_model
from pointrad.data.picture_files import resized
from pointrad.errors import UserError
from pointrad.masks.files import read_mask
from tests.capturing.making import capturing, write_photographs
from tests.data.captures import real_capture

needs_pycolmap = pytest.mark.skipif(
    find_spec("pycolmap") is None, reason="pycolmap is not installed: requirements-capture.txt"
)


@pytest.fixture
def without_colmap(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the reconstruction itself."""

    def stand_in(config: object, photographs: object, images: Path, masks: object, work: Path, to: Path) -> Structure:
        work.mkdir(exist_ok=True)
        to.mkdir(parents=True)
        return Structure({"p0.jpg": 60.0, "p1.jpg": 60.0, "p2.jpg": 60.0}, (), 5000, 0.5, 3, 0)

    monkeypatch.setattr(make, "require_pycolmap", lambda: None)
    monkeypatch.setattr(make, "reconstruct", stand_in)
    monkeypatch.setattr(make, "_record", lambda config, made: {"photographs": len(made.photographs)})


def make_of(tmp_path: Path, *overrides: str) -> Made:
    return make_capture(
        capturing(f"photos={tmp_path / 'photos'}", f"folder={tmp_path / 'cup'}", "masks.source=none", *overrides)
    )


def test_the_command_says_how_to_get_pycolmap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(structure, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"found no package pycolmap.*pip install .*requirements-capture\.txt"):
        make_of(tmp_path)


def test_short_keys_stand_for_those_of_masks() -> None:
    words = ["photos=a", "masks=b=c", "box=[0,0,1,1]", "masks.invert=true", "--help"]
    assert in_full(words) == ["photos=a", "masks.source=b=c", "masks.box=[0,0,1,1]", "masks.invert=true", "--help"]


def test_camera_models_are_those_that_captures_are_read_with() -> None:
    assert set(get_args(CameraModel)) == set(colmap_model._PARAMETERS)


@pytest.mark.usefixtures("without_colmap")
class TestTheFolder:
    def test_holds_images_model_and_a_record_and_nothing_else(self, tmp_path: Path) -> None:
        write_photographs(tmp_path / "photos")
        made = make_of(tmp_path)
        assert sorted(path.name for path in made.folder.iterdir()) == ["capture.json", "images", "sparse"]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["cup", "photos"]

    def test_does_not_appear_if_photographs_cannot_be_read(self, tmp_path: Path) -> None:
        (write_photographs(tmp_path / "photos") / "p1.jpg").write_bytes(b"no picture")
        with pytest.raises(UserError, match=r"p1\.jpg"):
            make_of(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["photos"]

    def test_is_not_overwritten_unasked(self, tmp_path: Path) -> None:
        write_photographs(tmp_path / "photos")
        make_of(tmp_path)
        with pytest.raises(UserError, match=r"folder: found .*cup, which is there already; .* overwrite=true"):
            make_of(tmp_path)
        write_photographs(tmp_path / "photos", count=4)
        make_of(tmp_path, "overwrite=true")
        assert json.loads((tmp_path / "cup" / "capture.json").read_text())["photographs"] == 4

    def test_of_something_else_is_never_overwritten(self, tmp_path: Path) -> None:
        write_photographs(tmp_path / "photos")
        (tmp_path / "cup").mkdir()
        with pytest.raises(UserError, match=r"no capture\.json, so that it is no capture made by this command"):
            make_of(tmp_path, "overwrite=true")

    def test_of_the_photographs_is_never_overwritten(self, tmp_path: Path) -> None:
        write_photographs(tmp_path / "photos")
        with pytest.raises(UserError, match=r"folder: found .*, which holds photos="):
            make_of(tmp_path, f"folder={tmp_path}", "overwrite=true")

    def test_does_not_appear_if_all_masks_are_empty(self, tmp_path: Path) -> None:
        write_photographs(tmp_path / "photos")
        (tmp_path / "masks").mkdir()
        for number in range(3):
            Image.new("L", (60, 40)).save(tmp_path / "masks" / f"p{number}.png")
        with pytest.raises(UserError, match="masks: found 3 masks, all of them empty or full"):
            make_of(tmp_path, f"masks.source={tmp_path / 'masks'}")
        assert not (tmp_path / "cup").exists()


def residuals(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances [N] of points [N, 3] from true ones after the best similarity (Umeyama)."""
    a, b = found - found.mean(0), true - true.mean(0)
    u, scales, vt = np.linalg.svd(b.T @ a)
    signs = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (scales * np.diag(signs)).sum() / (a**2).sum()
    distances: NDArray[np.float64] = np.linalg.norm(scale * a @ (u @ signs @ vt).T - b, axis=1)
    return distances


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/, masks/, and still/: photographs with a textured background that does not turn with the object."""
    real, folder = real_capture("mary_rose"), tmp_path_factory.mktemp("mary_rose")
    for name in ("photos", "masks", "still"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    backdrop = resized(rng.integers(0, 256, (64, 64, 3), np.uint8), 512, 512)
    for path in sorted((real / "images").glob("*.jpg"))[:20]:
        rgb = resized(np.asarray(Image.open(path).convert("RGB")), 512, 512)
        mask = resized(read_mask(real / "masks" / f"{path.name}.png"), 512, 512)
        Image.fromarray(rgb).save(folder / "photos" / path.name, quality=95)
        Image.fromarray(mask).save(folder / "masks" / f"{path.name}.png")
        still = np.where(mask[..., None] > 127, rgb, backdrop)
        Image.fromarray(still).save(folder / "still" / path.name, quality=95)
    return folder


@needs_pycolmap
def test_features_are_sought_within_masks_alone(tmp_path: Path) -> None:
    names = ["p0.jpg", "p1.jpg", "p2.jpg"]
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    left = np.zeros((200, 200), np.uint8)
    left[:, :100] = 255
    for seed, name in enumerate(names):
        noise = np.random.default_rng(seed).integers(0, 256, (50, 50, 3), np.uint8)
        Image.fromarray(resized(noise, 200, 200)).save(tmp_path / "images" / name)
        Image.fromarray(left).save(tmp_path / "masks" / f"{name}.png")
    photographs = [Photograph(tmp_path / "images" / name, name, 200, 200) for name in names]
    folders = tmp_path / "images", tmp_path / "masks", tmp_path / "work", tmp_path / "model"
    with pytest.raises(UserError, match="found no cameras that fit: of 3 photographs, 0 pairs show the same features"):
        structure.reconstruct(capturing("photos=any", "masks.source=any"), photographs, *folders)
    import pycolmap

    with closing(pycolmap.Database.open(tmp_path / "work" / "database.db")) as database:
        features = np.concatenate([database.read_keypoints(image.image_id) for image in database.read_all_images()])
    assert len(features) > 30
    assert features[:, 0].max() <= 100


@pytest.mark.slow
@needs_pycolmap
class TestMaryRose:
    """Twenty photographs of a turntable, of 512 pixels."""

    def test_cameras_are_those_of_its_own_model_up_to_a_similarity(self, photos: Path, tmp_path: Path) -> None:
        made = make_capture(
            capturing(f"photos={photos / 'photos'}", f"masks.source={photos / 'masks'}", f"folder={tmp_path / 'cup'}")
        )
        assert (len(made.structure.focals), made.findings) == (20, ())
        models = [model_files(folder / "sparse" / "0") for folder in (made.folder, real_capture("mary_rose"))]
        found, true = ({one.name: one for one in read_model(files)} for files in models if files is not None)
        centres = [np.array([model[name].camera_to_world[:3, 3] for name in found]) for model in (found, true)]
        extent = np.linalg.norm(np.ptp(centres[1], axis=0))
        assert np.sqrt((residuals(*centres) ** 2).mean()) < 0.01 * extent
        name = next(iter(found))
        assert found[name].lens.fx == pytest.approx(true[name].lens.fx / 2, rel=0.03)

    def test_a_background_that_stands_still_is_found_out(self, photos: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"no cameras that fit: .* most features do not move"):
            make_capture(capturing(f"photos={photos / 'still'}", "masks.source=none", f"folder={tmp_path / 'cup'}"))
        assert not (tmp_path / "cup").exists()
