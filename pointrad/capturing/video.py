"""Photographs out of a video: of every so many frames the sharpest."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from pointrad.capturing.photographs import Photograph, check_enough, write_jpeg
from pointrad.errors import UserError

_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".3gp")
_USUAL_COUNT = 80  # photographs of an object, for an error to suggest

Frame = NDArray[np.uint8]


def is_video(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.is_dir()


def write_frames(video: Path, every: int | None, folder: Path, jpeg_quality: int) -> tuple[Photograph, ...]:
    """Write the sharpest of every `every` frames to a new folder, upright, as `frame_NUMBER.jpg`; numbers count all
    frames from 1, as those that ffmpeg writes do.

    Raises UserError for a video that cannot be read or gives too few, and where `every` is not given.
    """
    from imageio_ffmpeg import count_frames_and_secs

    try:
        count, _ = count_frames_and_secs(str(video))
    except Exception as error:  # RuntimeError and others, with ffmpeg's output
        raise _unreadable(video, error) from None
    if every is None:
        raise UserError(
            f"every: not given; expected of how many frames one is taken; of the {count:,} of {video.name}, "
            f"every={max(1, count // _USUAL_COUNT)} takes {-(-count // max(1, count // _USUAL_COUNT))}"
        )
    check_enough(-(-count // every), video)
    folder.mkdir(parents=True)
    written = []
    for number, frame in tqdm(_sharpest(video, every), "frames", -(-count // every), leave=False, disable=None):
        to = folder / f"frame_{number:06}.jpg"
        write_jpeg(Image.fromarray(frame), to, jpeg_quality)
        written.append(Photograph(to, to.name, frame.shape[1], frame.shape[0]))
    check_enough(len(written), video)
    return tuple(written)


def _sharpest(video: Path, every: int) -> Iterator[tuple[int, Frame]]:
    """Number and pixels of one frame of each group."""
    best: tuple[float, int, Frame] | None = None
    for number, frame in enumerate(_frames(video), 1):
        sharp = sharpness(frame)
        if best is None or sharp > best[0]:
            best = sharp, number, frame
        if number % every == 0:
            yield best[1:]
            best = None
    if best is not None:
        yield best[1:]


def sharpness(frame: Frame) -> float:
    """The variance of the Laplacian, which blur takes away."""
    import cv2

    return float(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())


def _frames(video: Path) -> Iterator[Frame]:
    from imageio_ffmpeg import read_frames

    logging.getLogger("imageio_ffmpeg").setLevel(logging.ERROR)  # it warns of videos that a phone has turned
    try:
        reader = read_frames(str(video))
        width, height = next(reader)["size"]
        for pixels in reader:
            yield np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
    except (OSError, RuntimeError, StopIteration, ValueError) as error:
        raise _unreadable(video, error) from None


def _unreadable(video: Path, error: Exception) -> UserError:
    said = str(error).strip().splitlines()
    return UserError(f"{video}: found a video that cannot be read ({said[-1] if said else type(error).__name__}); "
                     "expected one that ffmpeg reads")  # fmt: skip
