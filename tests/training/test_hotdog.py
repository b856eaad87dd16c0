"""The published scene, where it is at hand: both renderers train alike on it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from pointrad.cloud import Cloud
from pointrad.config import RunConfig
from pointrad.hull import initialise
from pointrad.render import SplatSettings, build_renderer
from pointrad.scene.loading import load_scene
from pointrad.training.step import build_step

CONF = Path(__file__).parents[2] / "conf"


def hotdog(root: Path, renderer: str) -> RunConfig:
    choices = ["dataset=blender", f"dataset.root={root}", "dataset.downscale=1", "scene=hotdog", "schedule=paper"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("train", [*choices, f"renderer={renderer}", "renderer.device=cpu", "eval.split=paper"])
    return RunConfig.parse(OmegaConf.to_container(composed, resolve=True))


@pytest.mark.slow
def test_the_first_losses_on_hotdog_are_those_of_pytorch3d(real_data_root: Path) -> None:
    losses = {}
    for name in ("cpu", "pytorch3d"):
        config = hotdog(real_data_root, name)
        scene = load_scene(config.dataset, "hotdog", config.eval.split)
        points = initialise(scene.train, config.init, config.seed)
        cloud = Cloud.from_points(torch.from_numpy(points.positions), torch.from_numpy(points.colours), config.seed)
        settings = SplatSettings(config.model.splat_radius, config.model.points_per_pixel, "point", scene.background)
        stage = config.schedule.stages["full"]
        step = build_step(cloud, build_renderer(config.renderer, settings), stage, config.schedule.adam)
        losses[name] = [
            step(view.camera, torch.from_numpy(view.image).permute(2, 0, 1).contiguous(), 1.0)[0]
            for view in scene.train[:4]
        ]
    assert losses["cpu"] == pytest.approx(losses["pytorch3d"], rel=1e-4)
