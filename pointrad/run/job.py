"""A run whose start is known, and what leads to it from a loaded scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pointrad.camera import Camera
from pointrad.config import RunConfig
from pointrad.corruption import corrupt_views, cut_targets
from pointrad.data.capture import Capture
from pointrad.data.frame import SceneFrame
from pointrad.data.scene import Float32Array, Scene, SceneContent, View
from pointrad.errors import UserError
from pointrad.evaluation import Opacity, Render
from pointrad.init.config import HullConfig, RandomConfig, StartConfig
from pointrad.init.hull import hull_votes
from pointrad.init.start import Start, TrainingViews, start
from pointrad.init.votes import Votes
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.render.cpu.threads import torch_on_one_thread
from pointrad.render.opacity import opacities
from pointrad.repair.rounds import Rounds
from pointrad.run.cache import Cache
from pointrad.tracking.base import Tracker
from pointrad.tracking.jsonl import MetricsFile
from pointrad.training.checkpoint import Checkpoint
from pointrad.training.densify import with_opacities
from pointrad.training.trainer import initial_state

if TYPE_CHECKING:  # slow to import, and training would wait for it
    from pointrad.run.mask_repair import MaskRepair


@dataclass(frozen=True)
class Job:
    """A run whose start is known.

    captures: what it trains on, one for each instant. contents: of each, what its files contain. scene: of the first of
    them, in the scene frame. trained_on: the views that it starts from, in world units. masks: those of the capture,
    which its cloud puts right. rounds: of which it is one.
    """

    config: RunConfig
    identity: str
    captures: tuple[Capture, ...]
    contents: tuple[SceneContent, ...]
    cache: Cache
    scene: Scene
    frame: SceneFrame
    renderer: Renderer
    state: Checkpoint
    run_dir: Path
    metrics: MetricsFile
    tracker: Tracker
    trained_on: Callable[[], TrainingViews]
    masks: Callable[[], MaskRepair]
    rounds: Rounds


def with_wrong_masks(config: RunConfig, scene: Scene) -> TrainingViews:
    corrupted = corrupt_views(config.corruption, scene.train, scene.shots)
    cut = config.corruption.targets == "masked"
    targets = cut_targets(scene.train, corrupted, scene.background) if cut else scene.train
    return TrainingViews(corrupted, targets, scene.background)


def start_of(config: RunConfig, capture: Capture, views: TrainingViews, content: SceneContent, cache: Cache) -> Start:
    def votes(of: Sequence[View], init: HullConfig) -> Votes:
        return cache.votes(capture, content, config.corruption, init, of, hull_votes)

    return start(config.init, views, config.model.darkening, config.seed, votes)


def first_state(config: RunConfig, training_identity: str, begun: Start, frame: SceneFrame, iou: float) -> Checkpoint:
    """What training starts from: the initial cloud, and what is known of it. iou: of the masks."""
    points = begun.find_points()
    positions = torch.from_numpy(frame.from_world(points.positions))
    with torch_on_one_thread():
        cloud = config.model.build().start(positions, torch.from_numpy(points.colours), config.seed)
        if isinstance(config.init, RandomConfig) and "opacity" in cloud.model.rows:
            cloud = with_opacities(cloud, torch.full((len(cloud),), config.init.opacity))
    _check_cap(cloud, config.init)
    facts = {
        "mask_iou": iou,
        "hull_points": points.hull_points,
        "needed": points.needed,
        "known_share": begun.known_share(points),
    }
    return initial_state(cloud, training_identity, facts)


def target_bits(state: Checkpoint) -> int:
    """Of a value of the coarsest targets that it was trained on."""
    return int(state.facts.get("target_bits", 32))  # absent where an earlier version trained to the end


def _check_cap(start: Cloud, init: StartConfig) -> None:
    most = start.model.most
    key = next((f"init.{key}" for key in ("kept_share", "points") if hasattr(init, key)), "init")
    if most is not None and len(start) > most:
        raise UserError(
            f"{key}: the start has {len(start)} {start.model.name}, where model.max_points and model.max_mb "
            f"allow {most}; lower {key} or raise the cap"
        )


def render_function(renderer: Renderer, cloud: Cloud, harmonics: bool = True) -> Render:
    def render(cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        return (image.cpu().numpy() for image in renderer.render_views(cloud.parameters, cameras, harmonics))

    return render


def opacity_function(renderer: Renderer, cloud: Cloud) -> Opacity:
    def opacity(cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        return (share.cpu().numpy() for share in opacities(renderer, cloud, cameras))

    return opacity
