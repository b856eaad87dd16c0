"""Runs that are done, in a browser: rendered from wherever one looks, several of them side by side.

The browser says where its camera is, and gets a picture as its background; all rendering is done here. Scenes are shown
in the frame of the first run, in which objects have one size whatever the unit of a capture.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import get_args

import numpy as np
import viser
from PIL import Image
from scipy.spatial.transform import Rotation
from skimage.segmentation import find_boundaries

from pointrad.artifacts.pictures import as_bytes
from pointrad.camera import Camera, Float64Array
from pointrad.data.frame import SceneFrame
from pointrad.data.poses import OPENCV_TO_OPENGL, upward
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.finished.beginning import Beginning, beginning, views_at_start
from pointrad.finished.config import ViewConfig
from pointrad.finished.evaluate import load_views
from pointrad.finished.layers import Layer, Picture, drawn
from pointrad.finished.load import FinishedRun, load_runs
from pointrad.finished.masks import ByView, given_masks, repaired_masks
from pointrad.finished.overlay import Overlay
from pointrad.progress import warn

_PAUSE = 0.15  # seconds without a movement, after which a picture is rendered in full
_SMALL = 200  # pixels along the longer side of photographs at their cameras
_FRUSTUM, _LINE = 0.2, 0.004  # scene units
_FURTHER = 1.5
_FRUSTUM_COLOUR = (150, 150, 150)
_OF_GIVEN, _OF_REPAIRED = (255, 60, 0), (0, 140, 255)
_GIVEN, _REPAIRED, _BOTH = "given", "repaired", "both"
_QUALITY = 90  # of JPEG
_LAST = "final"
_OF_FIRST = " (of the first frame)"

# Of each training camera, small; by the masks whose outlines are drawn.
Photographs = Mapping[str, Sequence[Picture | None]]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Eye:
    """A camera as viser has it, in the scene frame of the first run.

    rotation: [3, 3] float64, camera to scene, OpenCV axes. position: [3] float64. opening: from top to bottom, radians.
    aspect: width over height.
    """

    rotation: Float64Array
    position: Float64Array
    opening: float
    aspect: float

    def camera(self, frame: SceneFrame, size: int, columns: int) -> Camera:
        """In world units, for one of so many columns of a picture whose longer side has `size` pixels."""
        height = size if self.aspect < 1 else max(1, round(size / self.aspect))
        width = max(1, round(height * self.aspect / columns))
        pose = np.eye(4)
        pose[:3, :3] = self.rotation @ OPENCV_TO_OPENGL[:3, :3]
        pose[:3, 3] = frame.to_world(self.position)
        return Camera.centred(pose, 0.5 * height / np.tan(0.5 * self.opening), width, height)


def opening(camera: Camera, aspect: float) -> float:
    """From top to bottom, radians: of pictures of that width over height that show all that the camera sees."""
    return 2 * float(np.arctan(max(0.5 * camera.height / camera.fy, 0.5 * camera.width / camera.fx / aspect)))


def picture(runs: Sequence[FinishedRun], eye: Eye, size: int, layer: Layer) -> Picture:
    """What the runs show of a layer from there, side by side, with a white line between them."""
    camera = eye.camera(runs[0].frame, size, len(runs))
    columns = [drawn(run, camera, layer) for run in runs]
    for column in columns[1:]:
        column[:, :1] = 255
    return np.concatenate(columns, axis=1)


@contextmanager
def shown(config: ViewConfig) -> Iterator[Viewer]:
    """The runs of `config`, served until the block ends.

    Raises UserError for a folder without a run that is done, and for runs of different scenes.
    """
    runs = load_runs(config.runs)
    viewer = Viewer(runs, _photographs(runs[0], config), config)
    try:
        yield viewer
    finally:
        viewer.server.stop()


def _photographs(run: FinishedRun, config: ViewConfig) -> Photographs:
    """None where they are not wanted or not here."""
    if not config.photographs:
        return {}
    root = config.dataset.root
    try:
        scene = load_views(run, root, run.config.eval.split)
        views = scene.train
        given, repaired = given_masks(run, scene), repaired_masks(run, views, root)
    except UserError as error:
        warn(f"no photographs at their cameras, since the data cannot be loaded: {error}")
        return {}
    if len(views) != len(run.training_cameras):  # others are usable by now
        return {}
    outlines: dict[str, tuple[tuple[ByView, Colour], ...]] = {_GIVEN: ((given, _OF_GIVEN),)}
    if repaired:
        outlines |= {_REPAIRED: ((repaired, _OF_REPAIRED),), _BOTH: ((given, _OF_GIVEN), (repaired, _OF_REPAIRED))}
    return {masks: [_outlined(view, drawn) for view in views] for masks, drawn in outlines.items()}


class Viewer:
    """A server that shows runs of one scene until it is stopped.

    photographs: those of the training views; none where the data is not here.
    """

    def __init__(self, runs: Sequence[FinishedRun], photographs: Photographs, config: ViewConfig) -> None:
        self.runs, self.config = list(runs), config
        self.rendering = threading.Lock()  # kernels of several threads would share theirs
        self.cameras = [runs[0].frame.camera(camera) for camera in runs[0].training_cameras]
        self.up = upward(self.cameras)
        logging.getLogger("websockets").setLevel(logging.WARNING)
        with redirect_stdout(StringIO()):  # who calls this says where to look
            self.server = viser.ViserServer(host=config.host, port=config.port, label="pointrad", verbose=False)
        self.server.scene.set_up_direction(self.up)
        self.server.gui.configure_theme(control_layout="floating", show_logo=False)
        self.stages = _common_stages(runs)
        self.frames = min(run.frames for run in runs)
        self.photographs = photographs
        self._beginnings: dict[int, Beginning] = {}
        self._finding = threading.Lock()
        self.server.on_client_connect(self._show)

    def beginning(self, frame: int) -> Beginning:
        """What a frame of the first run started from; seconds when it is first asked for. Raises UserError where the
        data is not here."""
        with self._finding:
            if frame not in self._beginnings:
                views = views_at_start(self.runs[0], frame, self.config.dataset.root)
                with self.rendering:
                    self._beginnings[frame] = beginning(self.runs[0], frame, views)
            return self._beginnings[frame]

    def add_frusta(self, client: viser.ClientHandle, masks: str) -> list[viser.CameraFrustumHandle]:
        """The training cameras, with their photographs where these are here, and the outlines of these masks."""
        photographs = self.photographs.get(masks, [None] * len(self.cameras))
        return [
            client.scene.add_camera_frustum(
                f"/cameras/{number}",
                fov=2 * float(np.arctan(0.5 * camera.height / camera.fy)),
                aspect=camera.width / camera.height,
                scale=_FRUSTUM,
                thickness=_LINE,
                color=_FRUSTUM_COLOUR,
                image=photograph,
                wxyz=_quaternion(camera),
                position=camera.position,
                visible=False,
            )
            for number, (camera, photograph) in enumerate(zip(self.cameras, photographs, strict=True))
        ]

    def _show(self, client: viser.ClientHandle) -> None:
        _Screen(self, client).show()


class _Screen:
    """One browser: its controls, and the pictures that it gets."""

    def __init__(self, viewer: Viewer, client: viser.ClientHandle) -> None:
        self._viewer, self._client = viewer, client
        self._moved, self._gone = threading.Event(), threading.Event()
        gui = client.gui
        gui.add_markdown("  \n".join(f"{n}. `{run.folder}`" for n, run in enumerate(viewer.runs, 1)))
        self._layer = gui.add_dropdown("layer", get_args(Layer))
        self._stage = gui.add_slider("stage", 0, len(viewer.stages) - 1, 1, len(viewer.stages) - 1,
                                     visible=len(viewer.stages) > 1)  # fmt: skip
        self._frame = gui.add_slider("frame", 0, max(1, viewer.frames - 1), 1, 0, visible=viewer.frames > 1)
        self._named = gui.add_markdown("", visible=len(viewer.stages) > 1)
        self._view = gui.add_slider("go to view", 0, len(viewer.cameras) - 1, 1, 0)
        # The browser draws what follows over the whole picture, so it would stand beside the objects of several runs.
        alone = len(viewer.runs) == 1
        self._cameras = gui.add_checkbox("cameras", False, visible=alone)
        shown = tuple(viewer.photographs) or (_GIVEN,)
        self._masks = gui.add_dropdown("masks", shown, visible=False)
        self._frusta: list[viser.CameraFrustumHandle] = []
        self._overlay = Overlay(client, viewer.runs[0].frame, viewer.beginning) if alone else None

    def show(self) -> None:
        """Pictures until the browser leaves."""
        self._layer.on_update(lambda _: self._moved.set())
        self._stage.on_update(lambda _: self._moved.set())
        self._frame.on_update(lambda _: self._go_to_frame())
        self._view.on_update(lambda _: self._go_to_view())
        self._cameras.on_update(lambda _: self._show_cameras())
        self._masks.on_update(lambda _: self._outline())
        self._client.camera.on_update(lambda _: self._moved.set())
        self._viewer.server.on_client_disconnect(self._leave)
        self._go_to_view()
        threading.Thread(target=self._draw, daemon=True).start()
        if self._overlay:
            self._overlay.follow(lambda: self._frame.value, self._gone)

    def _leave(self, client: viser.ClientHandle) -> None:
        if client is self._client:
            self._gone.set()

    def _draw(self) -> None:
        """Coarse while the camera moves, in full once it rests."""
        config = self._viewer.config
        while not self._gone.is_set():
            if not self._moved.wait(timeout=1):
                continue
            self._moved.clear()
            self._send(min(config.moving_size, config.size))
            if not self._moved.wait(timeout=_PAUSE):
                self._send(config.size)

    def _send(self, size: int) -> None:
        camera = self._client.camera
        rotation = Rotation.from_quat(camera.wxyz, scalar_first=True).as_matrix()
        eye = Eye(rotation, np.asarray(camera.position, np.float64), camera.fov, camera.aspect)
        stage = self._viewer.stages[self._stage.value]
        self._named.content = f"stage: {stage}{'' if stage == _LAST else _OF_FIRST * (self._viewer.frames > 1)}"
        with self._viewer.rendering:
            runs = [run.at_frame(self._frame.value) if stage == _LAST else run.at(stage) for run in self._viewer.runs]
            shown = picture(runs, eye, size, self._layer.value)
        self._client.scene.set_background_image(shown, format="jpeg", jpeg_quality=_QUALITY)

    def _go_to_frame(self) -> None:
        self._moved.set()
        if self._overlay:
            self._overlay.asked.set()

    def _go_to_view(self) -> None:
        """Where its camera stood, with all that it saw within the window, or within the column of each run."""
        camera, eye = self._viewer.cameras[self._view.value], self._client.camera
        with self._client.atomic():
            eye.up_direction = self._viewer.up
            eye.position = camera.position
            eye.look_at = np.zeros(3)
            eye.fov = opening(camera, eye.aspect / len(self._viewer.runs))
        self._moved.set()

    def _step_back(self) -> None:
        """Out of a camera, whose photograph hides all else."""
        eye = self._client.camera
        if min(np.linalg.norm(eye.position - camera.position) for camera in self._viewer.cameras) < _FRUSTUM:
            eye.position = _FURTHER * np.asarray(eye.position)

    def _show_cameras(self) -> None:
        if self._cameras.value:
            self._step_back()
        if not self._frusta:
            self._frusta = self._viewer.add_frusta(self._client, self._masks.value)
        for frustum in self._frusta:
            frustum.visible = self._cameras.value
        self._masks.visible = self._cameras.value and len(self._viewer.photographs) > 1

    def _outline(self) -> None:
        """The masks that are chosen."""
        with self._client.atomic():
            for frustum, photograph in zip(self._frusta, self._viewer.photographs[self._masks.value], strict=True):
                frustum.image = photograph


def _quaternion(camera: Camera) -> Float64Array:
    """[4] float64 w x y z, camera to scene, OpenCV axes."""
    rotation = camera.camera_to_world[:3, :3] @ OPENCV_TO_OPENGL[:3, :3]
    quaternion: Float64Array = Rotation.from_matrix(rotation).as_quat(scalar_first=True)
    return quaternion


def _common_stages(runs: Sequence[FinishedRun]) -> tuple[str, ...]:
    """The stages whose clouds all runs have kept, and the end."""
    kept = [name for name in runs[0].stages if all(name in run.stages for run in runs)]
    return (*kept, _LAST)


def _outlined(view: View, outlines: Sequence[tuple[ByView, Colour]]) -> Picture:
    """The view's photograph, small, with the outlines of its masks."""
    height, width = view.mask.shape
    share = min(1.0, _SMALL / max(height, width))
    size = max(1, round(width * share)), max(1, round(height * share))
    small = np.asarray(Image.fromarray(as_bytes(view.image)).resize(size)).copy()
    for masks, colour in outlines:
        if view.name in masks:
            mask = np.asarray(Image.fromarray(masks[view.name]).resize(size)) >= 0.5
            small[find_boundaries(mask)] = colour  # type: ignore[no-untyped-call]
    return small
