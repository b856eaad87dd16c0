"""Photographs to make captures of, and the configuration of `capture.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import ExifTags, Image

from pointrad.capturing.config import CapturingConfig
from tests.runs import REPOSITORY


def capturing(*overrides: str) -> CapturingConfig:
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return CapturingConfig.parse(OmegaConf.to_container(compose("capture", [*overrides]), resolve=True))


def write_photographs(folder: Path, count: int = 3, orientation: int = 1, of_film: int | None = None) -> Path:
    """JPEGs of 60x40 pixels as they are stored: red in their upper left corner, blue elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 60, 3), (0, 0, 255), np.uint8)
    pixels[:20, :20] = (255, 0, 0)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    if of_film is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = of_film
    for number in range(count):
        Image.fromarray(pixels).save(folder / f"p{number}.jpg", exif=exif, quality=95)
    return folder
