"""Videos of the learned cloud."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
from imageio_ffmpeg import count_frames_and_secs
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from pointrad.artifacts.pictures import as_bytes
from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.evaluation import Render
from pointrad.files import replacing


def write_video(path: Path, render: Render, cameras: Sequence[Camera], fps: int) -> None:
    """Write the render of each camera as a frame of an H.264 MP4 that every player opens, atomically.

    Sizes are made even by repeating the last row or column. Writes nothing if there are no cameras.
    """
    if not cameras:
        return
    console = Console(stderr=True)
    images = track(
        render(cameras), path.stem, len(cameras), console=console, transient=True, disable=not console.is_terminal
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


def _even_bytes(image: Float32Array) -> NDArray[np.uint8]:
    height, width, _ = image.shape
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return as_bytes(padded)
