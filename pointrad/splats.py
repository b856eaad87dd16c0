"""Splats that any program trained, rendered and scored on the views of a scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pointrad.artifacts.paths import turntable_cameras
from pointrad.artifacts.pictures import check_views, drawn_views, write_comparison
from pointrad.artifacts.ply import read_splats
from pointrad.artifacts.video import write_video
from pointrad.camera import Camera
from pointrad.config import SplatsConfig
from pointrad.data.capture import load_scene
from pointrad.data.frame import LONGEST_SIDE, SceneFrame
from pointrad.data.poses import refuse_world_to_camera
from pointrad.data.scene import Float32Array, View
from pointrad.errors import UserError
from pointrad.evaluation import Evaluation, check_scored_views, evaluate
from pointrad.files import write_json
from pointrad.model.base import Cloud
from pointrad.render.cpu.gaussians import GaussianCpuRenderer
from pointrad.render.cpu.points import set_threads
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.render.opacity import opacities


def score(config: SplatsConfig, folder: Path) -> Evaluation:
    """The scores of the file's splats on a split; `folder` gets them, pictures, and a video if frames are asked for.

    Raises UserError for a file that holds no splats, and for views that the split does not have.
    """
    set_threads(config.threads)
    cloud, degree = read_splats(config.splats)
    if len(cloud) == 0:
        raise UserError(f"{config.splats}: holds no splats")
    scene = load_scene(config.capture, config.split)
    views = scene.evaluation
    refuse_world_to_camera([view.camera for view in views])
    check_scored_views(views)
    check_views("views", config.views, scene, config.split)
    drawn = drawn_views(config.views, len(views))
    frame = _frame(cloud, views)
    renderer = GaussianCpuRenderer(GaussianSettings(scene.background, degree))
    placed = cloud.model.to_world(cloud, frame.inverted())

    def in_frame(cameras: Sequence[Camera]) -> list[Camera]:
        return [frame.camera(camera) for camera in cameras]

    def render(cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        return (image.numpy() for image in renderer.render_views(placed.parameters, in_frame(cameras)))

    def opacity(cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        return (share.numpy() for share in opacities(renderer, placed, in_frame(cameras)))

    evaluation = evaluate(render, opacity, views, config.lpips)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "evaluation.json", evaluation.by_view())
    write_comparison(folder / "comparison.png", render, [views[index] for index in drawn], config.splats.name)
    x, y, z = frame.centre
    cameras = turntable_cameras([view.camera for view in views], config.turntable, (x, y, z))
    write_video(folder / "turntable.mp4", render, cameras, config.turntable.fps)
    return evaluation


def _frame(cloud: Cloud, views: Sequence[View]) -> SceneFrame:
    """One centred on the splats' middle, in which the object is about as large as in training, whatever the file's
    unit: near planes are lengths.
    """
    centre = cloud["position"].double().median(dim=1).values.numpy()
    distance = float(np.median([np.linalg.norm(view.camera.position - centre) for view in views]))
    return SceneFrame(centre, max(distance, 1e-12) / LONGEST_SIDE)
