"""A turntable of the learned cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
from imageio_ffmpeg import count_frames_and_secs
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from pointrad.artifacts.config import TurntableConfig
from pointrad.camera import Camera, Float64Array
from pointrad.data.scene import Float32Array
from pointrad.evaluation import Render
from pointrad.files import replacing

_CENTRE = (0.0, 0.0, 0.0)


def turntable_cameras(
    cameras: Sequence[Camera], config: TurntableConfig, centre: tuple[float, float, float] = _CENTRE
) -> list[Camera]:
    """`config.frames` cameras on a circle about the world's z axis through `centre` (world units), looking at it.

    They have the size that most of `cameras` have and the focal length of the first of these, square pixels and the
    principal point in the middle, and the median distance of all of them to `centre`.
    """
    (width, height), _ = Counter((camera.width, camera.height) for camera in cameras).most_common(1)[0]
    focal = next(camera.focal for camera in cameras if (camera.width, camera.height) == (width, height))
    distance = float(np.median([np.linalg.norm(camera.position - centre) for camera in cameras]))
    elevation = np.radians(config.elevation_degrees)
    azimuths = np.linspace(0, 2 * np.pi, config.frames, endpoint=False)
    poses = [_orbit(centre, distance, elevation, azimuth) for azimuth in azimuths]
    return [Camera.centred(pose, focal, width, height) for pose in poses]


def write_turntable(path: Path, render: Render, cameras: Sequence[Camera], fps: int) -> None:
    """Write the render of each camera as a frame of an H.264 MP4 that every player opens, atomically.

    Sizes are made even by repeating the last row or column. Writes nothing if there are no cameras.
    """
    if not cameras:
        return
    console = Console(stderr=True)
    images = track(
        render(cameras), "turntable", len(cameras), console=console, transient=True, disable=not console.is_terminal
    )
    with replacing(path) as temporary:
        with imageio.get_writer(
            temporary,
            fps=fps,
            codec="libx264",
            pixelformat="yuv420p",
            macro_block_size=1,  # else imageio rescales to multiples of 16
            quality=None,
            ffmpeg_log_level="quiet",
            output_params=["-crf", "18", "-movflags", "+faststart"],
        ) as writer:
            for image in images:
                writer.append_data(_even_bytes(image))  # type: ignore[attr-defined]
        written, _ = count_frames_and_secs(str(temporary))  # imageio does not say that ffmpeg failed
        if written != len(cameras):
            raise OSError(f"ffmpeg wrote {written} of {len(cameras)} frames")


def _orbit(centre: tuple[float, float, float], distance: float, elevation: float, azimuth: float) -> Float64Array:
    backward = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )  # the camera looks down -z
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    pose = np.eye(4)
    pose[:3, :] = np.stack([right, np.cross(backward, right), backward, centre + distance * backward], axis=1)
    return pose


def _even_bytes(image: Float32Array) -> NDArray[np.uint8]:
    height, width, _ = image.shape
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.rint(255 * np.clip(padded, 0, 1)).astype(np.uint8)
