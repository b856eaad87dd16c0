"""Videos and pictures of a run along a path of cameras."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pointrad.artifacts.camera_file import read_cameras
from pointrad.artifacts.config import TurntableConfig
from pointrad.artifacts.paths import spiral_cameras, turntable_cameras
from pointrad.artifacts.pictures import as_bytes
from pointrad.artifacts.video import write_video
from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.finished.config import RenderConfig
from pointrad.finished.layers import Layer, coloured_depth
from pointrad.finished.load import FinishedRun

_MOST = 2**16 - 1  # of a picture of 16 bits
Shown = list[tuple[FinishedRun, list[Camera]]]  # one after another: frames of a run, and the cameras that see each


def render(run: FinishedRun, config: RenderConfig, folder: Path) -> None:
    """Write LAYER.mp4 into `folder`, and its pictures as LAYER/0000.png and on if `images`.

    Colour and opacity are pictures of 8 bits. Depth is coloured in the video, near to far red to blue; as pictures it
    has 16 bits, each a number of `depth_unit.txt` world units, and 0 where there is nothing.
    Raises UserError for a file that holds no cameras, and for an instant that there is not.
    """
    cameras = _cameras(run, config)
    shown = _shown(run, config.instant, cameras)
    for layer in config.layers:
        pictures = folder / layer
        shutil.rmtree(pictures, ignore_errors=True)  # of a longer path, some would stay
        frames = partial(_frames, shown, layer, pictures, config.images)
        write_video(folder / f"{layer}.mp4", frames, cameras, config.fps)


def _cameras(run: FinishedRun, config: RenderConfig) -> list[Camera]:
    x, y, z = run.frame.centre
    match config.path:
        case "turntable":
            circle = TurntableConfig(frames=config.frames, fps=config.fps, elevation_degrees=config.elevation_degrees)
            return turntable_cameras(run.training_cameras, circle, (x, y, z))
        case "spiral":
            return spiral_cameras(run.training_cameras, config.frames, (x, y, z))
        case file:
            return read_cameras(Path(file), run.training_cameras[0])


def _shown(run: FinishedRun, instant: int | None, cameras: Sequence[Camera]) -> Shown:
    if instant is not None and instant >= run.frames:
        raise UserError(f"instant: found {instant}; {run.folder} has {run.frames}, expected 0 to {run.frames - 1}")
    first, end = (0, run.frames) if instant is None else (instant, instant + 1)
    numbers = np.linspace(first, end, len(cameras), endpoint=False).astype(int).tolist()
    together = zip(numbers, cameras, strict=True)
    return [
        (run.at_frame(number), [camera for _, camera in group])
        for number, group in groupby(together, key=lambda pair: pair[0])
    ]


def _frames(
    shown: Shown, layer: Layer, pictures: Path, images: bool, cameras: Sequence[Camera]
) -> Iterator[Float32Array]:
    """What is drawn of a layer for all `cameras`, which are those of `shown`; it becomes a picture on its way, if
    `images`."""
    match layer:
        case "colour":
            return _kept(chain.from_iterable(run.render(of_run) for run, of_run in shown), as_bytes, pictures, images)
        case "opacity":
            seen = chain.from_iterable(run.opacity(of_run) for run, of_run in shown)
            return (np.repeat(share[..., None], 3, axis=2) for share in _kept(seen, as_bytes, pictures, images))
        case "depth":
            near, far = _range(shown)
            unit = far / _MOST
            if images:
                with replacing(pictures / "depth_unit.txt") as path:
                    path.write_text(f"{unit!r}\n")
            seen = chain.from_iterable(run.depth(of_run) for run, of_run in shown)
            depths = _kept(seen, lambda depth: _counts(depth, unit), pictures, images)
            return (coloured_depth(depth, near, far) for depth in depths)


def _kept(
    frames: Iterable[Float32Array], to_picture: Callable[[Float32Array], NDArray[np.generic]], folder: Path, keep: bool
) -> Iterator[Float32Array]:
    for number, frame in enumerate(frames):
        if keep:
            with replacing(folder / f"{number:04}.png") as path:
                Image.fromarray(to_picture(frame)).save(path)
        yield frame


def _counts(depth: Float32Array, unit: float) -> NDArray[np.uint16]:
    counts: NDArray[np.uint16] = np.rint(np.nan_to_num(depth / unit).clip(0, _MOST)).astype(np.uint16)
    return counts


def _range(shown: Shown) -> tuple[float, float]:
    """The least and the greatest depth (world units) of all but the outermost splats."""
    nearest, farthest = [], []
    for run, cameras in shown:
        positions = run.frame.to_world(run.cloud["position"].T.double().numpy())
        rows = np.stack([camera.world_to_image[2] for camera in cameras])
        depths = positions @ rows[:, :3].T + rows[:, 3]
        nearest.append(np.percentile(depths, 1, axis=0).min())
        farthest.append(np.percentile(depths, 99, axis=0).max())
    return float(max(min(nearest), 0)), float(max(*farthest, 1e-12))
