"""Where runs are computed: Hydra's side of studies, and clusters."""

from __future__ import annotations

from pathlib import Path

from omegaconf import OmegaConf


def _folder_name(folder: object) -> str:
    """What a scene is called that nobody has named; where no folder is given, the dataset says so later."""
    return Path(str(folder)).expanduser().resolve().name if folder else "capture"


def _stem(path: object) -> str:
    """A file's name without its suffix."""
    return Path(str(path)).stem


OmegaConf.register_new_resolver("stem", _stem, replace=True)
OmegaConf.register_new_resolver("folder_name", _folder_name, replace=True)
