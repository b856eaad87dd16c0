"""Of every so many frames of a video, the sharpest is a photograph."""

from __future__ import annotations

from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pointrad.capturing.video import is_video, write_frames
from pointrad.errors import UserError

SHARP = (1, 6, 8)  # of frames 0 to 11; one in each four


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """12 frames of 64x48 pixels, all but three blurred."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(float)
    path = tmp_path / "clip.mp4"
    with imageio.get_writer(path, fps=10, codec="libx264", macro_block_size=1, ffmpeg_log_level="quiet") as writer:
        for number in range(12):
            grey = gaussian_filter(noise, 0.7 if number in SHARP else 3)
            writer.append_data(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8))  # type: ignore[attr-defined]
    return path


def test_the_sharpest_of_each_group_is_taken_and_numbered_as_ffmpeg_does(clip: Path, tmp_path: Path) -> None:
    written = write_frames(clip, 4, tmp_path / "images", 95)
    assert [one.name for one in written] == [f"frame_{number + 1:06}.jpg" for number in SHARP]
    assert all((one.width, one.height) == (64, 48) and one.path.is_file() for one in written)


def test_without_every_a_number_is_suggested(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"every: not given; .* of the 12 of clip\.mp4, every=1 takes 12"):
        write_frames(clip, None, tmp_path / "images", 95)


def test_too_few_photographs_are_refused_before_any_is_written(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found 2 photographs"):
        write_frames(clip, 6, tmp_path / "images", 95)
    assert not (tmp_path / "images").exists()


def test_a_broken_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert is_video(tmp_path / "broken.mp4")
    with pytest.raises(UserError, match=r"broken\.mp4: found a video that cannot be read"):
        write_frames(tmp_path / "broken.mp4", 4, tmp_path / "images", 95)
