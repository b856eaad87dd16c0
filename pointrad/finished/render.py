"""Videos and pictures of a run along a path of cameras."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from pointrad.evaluation import Render
from pointrad.files import replacing
from pointrad.finished.config import RenderConfig
from pointrad.finished.layers import Layer, coloured_depth
from pointrad.finished.load import FinishedRun

_MOST = 2**16 - 1  # of a picture of 16 bits


def render(run: FinishedRun, config: RenderConfig, folder: Path) -> None:
    """Write LAYER.mp4 into `folder`, and the frames as LAYER/0000.png and on if `images`.

    Colour and opacity are pictures of 8 bits. Depth is coloured in the video, near to far red to blue; as pictures it
    has 16 bits, each a number of `depth_unit.txt` world units, and 0 where there is nothing.
    Raises UserError for a file that holds no cameras.
    """
    cameras = _cameras(run, config)
    for layer in config.layers:
        pictures = folder / layer
        shutil.rmtree(pictures, ignore_errors=True)  # of a longer path, some would stay
        write_video(folder / f"{layer}.mp4", _frames(run, layer, cameras, pictures, config.images), cameras, config.fps)


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


def _frames(run: FinishedRun, layer: Layer, cameras: Sequence[Camera], pictures: Path, images: bool) -> Render:
    """What is drawn of a layer; each frame becomes a picture on its way, if `images`."""

    def frames(cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        match layer:
            case "colour":
                return _kept(run.render(cameras), as_bytes, pictures, images)
            case "opacity":
                shares = _kept(run.opacity(cameras), as_bytes, pictures, images)
                return (np.repeat(share[..., None], 3, axis=2) for share in shares)
            case "depth":
                near, far = _range(run, cameras)
                unit = far / _MOST
                if images:
                    with replacing(pictures / "depth_unit.txt") as path:
                        path.write_text(f"{unit!r}\n")
                depths = _kept(run.depth(cameras), lambda depth: _counts(depth, unit), pictures, images)
                return (coloured_depth(depth, near, far) for depth in depths)

    return frames


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


def _range(run: FinishedRun, cameras: Sequence[Camera]) -> tuple[float, float]:
    """The least and the greatest depth (world units) of all but the outermost splats."""
    positions = run.frame.to_world(run.cloud["position"].T.double().numpy())
    rows = np.stack([camera.world_to_image[2] for camera in cameras])
    depths = positions @ rows[:, :3].T + rows[:, 3]
    near, far = np.percentile(depths, 1, axis=0).min(), np.percentile(depths, 99, axis=0).max()
    return float(max(near, 0)), float(max(far, 1e-12))
