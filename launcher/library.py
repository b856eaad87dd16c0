"""Configurations without a command line, for programs that import pointrad."""

from __future__ import annotations

from pathlib import Path

from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from launcher.composition import plain_values
from launcher.mistakes import config_loader, explained
from pointrad.config import RunConfig
from pointrad.errors import UserError


def compose(*overrides: str, config_dir: str | Path | None = None) -> RunConfig:
    """The configuration that `train.py` has with these words on its command line, such as "schedule=paper".

    config_dir: a folder of YAML files that precede those of conf/, as --config-dir has it. Raises UserError naming the
    key or option that is wrong, and what would be valid.
    """
    loader = config_loader(None if config_dir is None else str(config_dir))
    try:
        return RunConfig.parse(plain_values(loader.load_configuration("train", list(overrides), RunMode.RUN)))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explained(error, loader, "train", overrides)) from None
