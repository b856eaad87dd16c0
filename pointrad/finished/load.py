"""A run that is done, read back from its folder to be looked at: its cloud, cameras and configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pointrad.artifacts.camera_file import CAMERAS_FILE, read_splits
from pointrad.camera import Camera
from pointrad.config import RunConfig
from pointrad.data.capture import Capture
from pointrad.data.frame import SceneFrame
from pointrad.data.scene import BACKGROUNDS, Float32Array, SceneContent, Split
from pointrad.errors import UserError
from pointrad.method import METHOD_VERSION
from pointrad.model.base import Cloud
from pointrad.plugins import classes
from pointrad.progress import warn
from pointrad.render.base import Renderer
from pointrad.render.build import build_renderer, build_settings
from pointrad.render.config import RendererConfig
from pointrad.render.opacity import depths, opacities
from pointrad.run.provenance import Placement
from pointrad.run.recorded import provenance_of, recorded_values, versions
from pointrad.run.status import CONFIG_FILE, read_summary
from pointrad.run.stored import StoredSequence
from pointrad.schema import Bounds
from pointrad.tracking.history import STAGES_FOLDER, round_folder
from pointrad.training.checkpoint import Checkpoint

_ANY = RendererConfig(name="auto", device="auto", graphs=False)  # all renderers of a model compute the same image


@dataclass(frozen=True)
class FinishedRun:
    """A trained cloud as its run left it; of a moving scene, that of its first frame.

    summary: what `summary.json` says. cloud: in the scene frame. cameras: of its views, world units, by split. bounds:
    of the object, world units, as the run had them.
    """

    folder: Path
    config: RunConfig
    summary: dict[str, Any]
    cloud: Cloud
    cameras: dict[str, list[Camera]]
    bounds: Bounds
    frame: SceneFrame
    renderer: Renderer

    @property
    def training_cameras(self) -> list[Camera]:
        return self.cameras[Split.TRAIN]

    @cached_property
    def stages(self) -> dict[str, Path]:
        """The files of the clouds that it had at the end of each stage, `init` first; none unless it was told to keep
        them (`artifacts.stages`)."""
        folder = _trained_in(self.folder, self.summary) / STAGES_FOLDER
        return {path.stem.partition("_")[2]: path for path in sorted(folder.glob("*.pt"))}

    def at(self, stage: str) -> FinishedRun:
        """The run as it was at the end of a stage. Raises KeyError for one whose cloud was not kept."""
        if stage not in self._at:
            model = self.cloud.model
            parameters = torch.load(self.stages[stage], map_location="cpu", weights_only=True)
            self._at[stage] = replace(self, cloud=Cloud(model, model.join(parameters)))
        return self._at[stage]

    @cached_property
    def _at(self) -> dict[str, FinishedRun]:
        return {}

    @cached_property
    def frames(self) -> int:
        """How many frames a moving scene has; 1 where nothing moves."""
        return max(1, len(self._sequence))

    def at_frame(self, number: int) -> FinishedRun:
        """The run with the cloud of a frame, of which all clouds up to it are then kept: each is stored as differences
        from the one before. Raises UserError for a damaged file, KeyError for a frame that there is not."""
        if number not in range(self.frames):
            raise KeyError(number)
        if not len(self._sequence):
            return self
        while len(self._clouds) <= number:
            self._clouds.append(self._sequence.read(len(self._clouds), self._clouds[-1] if self._clouds else None))
        return replace(self, cloud=self._clouds[number])

    @cached_property
    def _sequence(self) -> StoredSequence:
        return StoredSequence.of(self.folder, self.cloud.model)

    @cached_property
    def _clouds(self) -> list[Cloud]:
        return []

    @property
    def content(self) -> SceneContent | None:
        """What its data contained; None where that is not recorded."""
        try:
            return SceneContent(**provenance_of(self.folder)["content"])
        except (KeyError, TypeError):
            return None

    def captures(self, root: Path | None) -> tuple[Capture, ...]:
        """What it was trained on: the scene, or each frame of one that moves. root: where its data lies now, None for
        where it lay."""
        if root is None:
            return self.config.captures()
        dataset = self.config.dataset
        if "root" not in type(dataset).model_fields:
            raise UserError(f"dataset.root: found {root}, but {self.folder} is of dataset={dataset.name}, without one")
        moved = dataset.model_copy(update={"root": root})
        return self.config.model_copy(update={"dataset": moved}).captures()

    def capture(self, root: Path | None) -> Capture:
        """What its cloud was trained on, of `captures`: the first frame of a scene that moves."""
        return self.captures(root)[0]

    def render(self, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        """What each camera (world units) sees: [H, W, 3] float32 RGB in [0, 1]."""
        views = self.renderer.render_views(self._cloud.parameters, self._in_frame(cameras))
        return (image.cpu().numpy() for image in views)

    def opacity(self, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        """How much of each pixel the cloud covers: [H, W] float32 in [0, 1]."""
        return (share.cpu().numpy() for share in opacities(self.renderer, self._cloud, self._in_frame(cameras)))

    def depth(self, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        """How far away along the camera's axis what a pixel shows is: [H, W] float32, world units, the mean of splats
        by their weights; NaN where they cover less than half of the pixel."""
        unit = np.float32(self.frame.unit)
        return (unit * depth.cpu().numpy() for depth in depths(self.renderer, self._cloud, self._in_frame(cameras)))

    @cached_property
    def _cloud(self) -> Cloud:
        return self.cloud.with_parameters(self.cloud.parameters.to(self.renderer.device))

    def _in_frame(self, cameras: Sequence[Camera]) -> list[Camera]:
        return [self.frame.camera(camera) for camera in cameras]


def load_runs(folders: Sequence[Path]) -> list[FinishedRun]:
    """The runs in these folders, which are of one scene. Raises UserError as `load_run` does, and if they are not."""
    runs = [load_run(folder) for folder in folders]
    scenes = {run.config.scene.name for run in runs}
    if len(scenes) > 1:
        raise UserError(f"runs: found runs of {', '.join(sorted(scenes))}; expected runs of one scene")
    return runs


def load_run(folder: Path | str) -> FinishedRun:
    """The run in this folder. Its data is not needed.

    Raises UserError if the folder holds no run that is done, or one of a version that kept less of it.
    """
    folder = Path(folder)
    config, summary = _config(folder), _summary(folder)
    placed = _placement(folder, config)
    if placed is None or not (folder / CAMERAS_FILE).is_file():
        raise UserError(
            f"{folder}: a run of an earlier version, which kept no {CAMERAS_FILE}; expected one of this version "
            f"(python runs.py rerun {folder} trains it again)"
        )
    if (method := provenance_of(folder).get("method")) != METHOD_VERSION:
        warn(f"{folder}: trained by version {method} of the method, and rendered by version {METHOD_VERSION}")
    return _load(folder, config, summary, placed)


def _load(folder: Path, config: RunConfig, summary: dict[str, Any], placed: Placement) -> FinishedRun:
    trained_in = _trained_in(folder, summary)
    checkpoint = Checkpoint.load(trained_in)
    if checkpoint is None:
        raise UserError(
            f"{trained_in}: found no checkpoint.pt, which holds its cloud; expected a run folder as it was left"
        )
    model = placed.model.build()
    cloud = Cloud(model, model.join(checkpoint.parameters))
    cameras = read_splits(folder / CAMERAS_FILE)
    settings = build_settings(placed.model, BACKGROUNDS[config.dataset.background], cameras[Split.TRAIN])
    renderer, frame = build_renderer(_ANY, settings), SceneFrame.of(placed.bounds)
    return FinishedRun(folder, config, summary, cloud, cameras, placed.bounds, frame, renderer)


def _trained_in(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Where the round that counts was trained."""
    return round_folder(folder, summary.get("round", 1))  # absent from runs of an earlier version, which had one


def _config(folder: Path) -> RunConfig:
    values = recorded_values(folder)
    try:
        return RunConfig.parse(values)
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {versions(folder)}, which does not read it:\n{error}") from None


def _placement(folder: Path, config: RunConfig) -> Placement | None:
    """What the run left to its views; None where that is not recorded."""
    try:
        return Placement.parse(provenance_of(folder)["placement"], classes(config.plugins))
    except (KeyError, UserError):
        return None


def _summary(folder: Path) -> dict[str, Any]:
    try:
        summary = read_summary(folder)
    except FileNotFoundError:
        raise UserError(f"{folder}: found no summary.json; expected a run that is done") from None
    except ValueError as error:
        raise UserError(str(error)) from None
    return summary
