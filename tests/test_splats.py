"""Splats go out to a file and come back: they look the same, whichever model they come from and whatever the unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from launcher.splats import main
from pointrad import splats
from pointrad.artifacts.ply import write_splats
from pointrad.camera import Camera
from pointrad.config import SplatsConfig
from pointrad.errors import UserError
from pointrad.model.gaussians import Gaussians
from pointrad.run.run import run
from pointrad.splats import score
from tests.commands import called
from tests.runs import QUICK, REPOSITORY, config
from tests.scenes import look_at, write_tiny_scene

SHORT = [f"schedule.stages.{name}.epochs=2" for name in ("coarse", "half", "grow", "settle")]


def splats_config(file: Path, root: Path, *overrides: str) -> SplatsConfig:
    chosen = (f"splats='{file}'", "dataset=blender", f"dataset.root={root}", "dataset.downscale=1", "scene.name=tiny",
              "threads=1", "lpips=false")  # fmt: skip
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return SplatsConfig.parse(OmegaConf.to_container(compose("splats", [*chosen, *overrides]), resolve=True))


@pytest.mark.integration
@pytest.mark.parametrize("unit", [1, 1000])
def test_what_was_trained_scores_the_same_from_its_file(unit: int, tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path, unit=unit)
    bounds = f"init.bounds=[{-2 * unit},{2 * unit}]"
    result = run(config(*QUICK, f"dataset.root={root}", "schedule=gaussians_fast", *SHORT, bounds), tmp_path / "run")
    means = score(splats_config(tmp_path / "run" / "splats.ply", root, "turntable.frames=2"), tmp_path / "scored").means
    assert means.psnr_db == pytest.approx(result.psnr_db, abs=0.05)
    assert means.psnr_object_db == pytest.approx(result.psnr_object_db, abs=0.05)
    assert means.silhouette_iou == pytest.approx(result.silhouette_iou, abs=0.01)
    assert sorted(path.name for path in (tmp_path / "scored").iterdir()) == [
        "comparison.png", "evaluation.json", "turntable.mp4",
    ]  # fmt: skip


@pytest.mark.integration
def test_points_become_splats_that_look_alike(tmp_path: Path) -> None:
    """A disc has a sharp edge and a size of its own; the splat is a smooth ball."""
    root = write_tiny_scene(tmp_path)
    points = ("schedule=demo", *(f"schedule.stages.{name}.epochs=3" for name in ("base", "full", "refine")))
    result = run(config(*QUICK, f"dataset.root={root}", *points), tmp_path / "run")
    means = score(splats_config(tmp_path / "run" / "splats.ply", root), tmp_path / "scored").means
    assert means.psnr_db > result.psnr_db - 5


def test_paths_may_begin_with_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert splats_config(Path("~/trained.ply"), tmp_path).splats == tmp_path / "trained.ply"


@pytest.mark.parametrize("content", [b"", b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n"])
def test_a_file_without_splats_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.ply").write_bytes(content)
    with pytest.raises(UserError, match=r"other\.ply"):
        score(splats_config(tmp_path / "other.ply", write_tiny_scene(tmp_path)), tmp_path / "scored")


def test_the_turntable_looks_at_the_splats_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filmed = list[Camera]()
    monkeypatch.setattr(splats, "write_video", lambda path, render, cameras, fps: filmed.extend(cameras))
    write_splats(tmp_path / "aside.ply", Gaussians(0, 0.5, None).start(torch.full((3, 3), 0.7), torch.ones(3, 3), 0))
    score(splats_config(tmp_path / "aside.ply", write_tiny_scene(tmp_path), "turntable.frames=3"), tmp_path / "scored")
    assert len(filmed) == 3
    for camera in filmed:
        np.testing.assert_allclose(camera.camera_to_world, look_at(camera.position, np.full(3, 0.7)), atol=1e-6)


@pytest.mark.integration
def test_many_files_have_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_tiny_scene(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_splats(Path(f"{name}.ply"), Gaussians(0, 0.5, None).start(torch.zeros(3, 3), torch.ones(3, 3), seed=0))
    words = ("-m", "splats=a.ply,b.ply", "dataset=blender", f"dataset.root={root}", "dataset.downscale=1",
             "scene.name=tiny", "lpips=false")  # fmt: skip
    assert called(main, "splats.py", *words).code == 0
    assert sorted(map(str, Path().glob("outputs/splats/*/evaluation.json"))) == [
        "outputs/splats/0/evaluation.json", "outputs/splats/1/evaluation.json",
    ]  # fmt: skip
