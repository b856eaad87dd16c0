"""Configurations and trainings for tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

import launcher  # noqa: F401, which registers what conf/ resolves
from pointrad.config import RunConfig
from pointrad.data.scene import SceneContent
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.training.checkpoint import FILE_NAME

REPOSITORY = Path(__file__).resolve().parents[1]


@cache
def groups() -> list[str]:
    """The groups that a run chooses from: those in the defaults of conf/train.yaml."""
    defaults = yaml.safe_load((REPOSITORY / "conf" / "train.yaml").read_text())["defaults"]
    names = [name for entry in defaults if isinstance(entry, dict) for name in entry]
    return sorted(name for name in names if (REPOSITORY / "conf" / name).is_dir())


BUNDLED = ("demo", "demo_moving")  # datasets that come with the repository, and have no root

# Of data that no test reads.
CONTENT = SceneContent("train", "evaluation")

# A run of the tiny scene that ends in a moment, whatever the schedule.
QUICK = (
    "scene=demo",
    "scene.name=tiny",
    "scene.kept_share=0.5",
    "scene.splat_radius=0.2",
    "dataset=blender",
    "dataset.downscale=1",
    "init.lattice=40",
    "eval.lpips=false",
    "eval.fps_seconds=0",
    "artifacts.views=[0]",
    "artifacts.curves=false",
    "artifacts.turntable.frames=0",
    "artifacts.repaired_masks=false",
    "tracker=none",
    "threads=1",  # others test at the same time
)

# After QUICK, for all that a run can leave.
ALL_ARTIFACTS = ("artifacts.curves=true", "artifacts.turntable.frames=4", "artifacts.repaired_masks=true")


def quick(*overrides: str) -> tuple[str, ...]:
    """QUICK and these overrides, which may choose a start that has no lattice."""
    words = (word for word in QUICK if "init=random" not in overrides or not word.startswith("init.lattice"))
    return (*words, *overrides)


def composed(*overrides: str) -> Any:
    """What Hydra makes of conf/ with these overrides, as plain values of the caller's own."""
    return deepcopy(_compose(overrides))


@cache
def _compose(overrides: tuple[str, ...]) -> Any:
    """In Hydra's two steps: many tests choose the same options of groups, and only composing these takes long."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [override for override in parsed if _is_a_value(override)]
    chosen = tuple(str(override.input_line) for override in parsed if not _is_a_value(override))
    composed = deepcopy(_choose(chosen))
    ConfigLoaderImpl._apply_overrides_to_config(values, composed)
    return OmegaConf.to_container(composed, resolve=True)


def _is_a_value(override: Override) -> bool:
    key = override.key_or_group
    chooses = key in groups() or "/" in key or key.startswith("hydra")
    return override.type is OverrideType.CHANGE and not override.is_sweep_override() and not chooses


@cache
def _choose(options: tuple[str, ...]) -> DictConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return compose("train", list(options))


def config(*overrides: str) -> RunConfig:
    return RunConfig.parse(composed(*overrides))


def one_epoch_each(schedule: str) -> list[str]:
    """Overrides that choose a schedule and cut each of its stages to one epoch."""
    stages = composed(f"schedule={schedule}")["schedule"]["stages"]
    return [f"schedule={schedule}", *(f"schedule.stages.{name}.epochs=1" for name in stages)]


def random_cloud(points: int = 60, seed: int = 0) -> Cloud:
    """Points in a ball as large as the tiny scene's sphere."""
    generator = torch.Generator().manual_seed(seed)
    positions = 0.35 * torch.randn(points, 3, generator=generator)
    return POINTS.start(positions, torch.rand(points, 3, generator=generator), seed)


def stopped_after(steps: int) -> Callable[[], None]:
    """In place of `pointrad.run.run.raise_if_told`: Ctrl-C, after so many steps."""
    left = iter(range(steps))

    def step() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return step


def copy(cloud: Cloud) -> Cloud:
    return Cloud(POINTS, cloud.parameters.clone())


def same_cloud(one: Path, other: Path) -> bool:
    """Whether the checkpoints of two run folders have the same parameters, bit for bit."""
    clouds = [torch.load(folder / FILE_NAME)["parameters"] for folder in (one, other)]
    return clouds[0].keys() == clouds[1].keys() and all(
        torch.equal(clouds[0][name], clouds[1][name]) for name in clouds[0]
    )


def digest_on_eight_threads(module: str) -> str:
    """What the module's `digest` returns in a process of eight threads, however many cores there are."""
    script = f"from {module} import digest, set_threads; set_threads(8); print(digest())"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "NUMBA_NUM_THREADS": "8"}, cwd=REPOSITORY,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()[-1]
