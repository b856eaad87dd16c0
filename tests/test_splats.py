"""Splats go out to a file and come back: they look the same, whichever model they come from and whatever the unit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pointrad.config import SplatsConfig
from pointrad.errors import UserError
from pointrad.run import run
from pointrad.splats import score
from tests.runs import QUICK, REPOSITORY, config
from tests.scenes import write_tiny_scene

SHORT = [f"schedule.stages.{name}.epochs=2" for name in ("coarse", "half", "grow", "settle")]


def splats_config(splats: Path, root: Path, *overrides: str) -> SplatsConfig:
    chosen = (f"splats='{splats}'", "dataset=blender", f"dataset.root={root}", "dataset.downscale=1", "scene.name=tiny",
              f"folder='{splats.parent}/scored'", "threads=1", "lpips=false")  # fmt: skip
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return SplatsConfig.parse(OmegaConf.to_container(compose("splats", [*chosen, *overrides]), resolve=True))


@pytest.mark.parametrize("unit", [1, 1000])
def test_what_was_trained_scores_the_same_from_its_file(unit: int, tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path, unit=unit)
    bounds = f"init.bounds=[{-2 * unit},{2 * unit}]"
    result = run(config(*QUICK, f"dataset.root={root}", "schedule=gaussians_fast", *SHORT, bounds), tmp_path / "run")
    evaluation = score(splats_config(tmp_path / "run" / "splats.ply", root, "turntable.frames=2"))
    assert evaluation.psnr_db == pytest.approx(result.psnr_db, abs=0.05)
    assert sorted(path.name for path in (tmp_path / "run" / "scored").iterdir()) == [
        "comparison.png", "evaluation.json", "turntable.mp4",
    ]  # fmt: skip


def test_points_become_splats_that_look_alike(tmp_path: Path) -> None:
    """A disc has a sharp edge and a size of its own; the splat is a smooth ball."""
    root = write_tiny_scene(tmp_path)
    points = ("schedule=demo", *(f"schedule.stages.{name}.epochs=3" for name in ("base", "full", "refine")))
    result = run(config(*QUICK, f"dataset.root={root}", *points), tmp_path / "run")
    assert score(splats_config(tmp_path / "run" / "splats.ply", root)).psnr_db > result.psnr_db - 5


def test_paths_may_begin_with_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    chosen = splats_config(Path("~/trained.ply"), tmp_path)
    assert (chosen.splats, chosen.folder) == (tmp_path / "trained.ply", tmp_path / "scored")


@pytest.mark.parametrize("content", [b"", b"ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nend_header\n"])
def test_a_file_without_splats_is_an_error_that_names_it(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.ply").write_bytes(content)
    with pytest.raises(UserError, match=r"other\.ply"):
        score(splats_config(tmp_path / "other.ply", write_tiny_scene(tmp_path)))
