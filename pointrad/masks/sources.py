"""The sources of masks; each is registered here."""

from __future__ import annotations

from typing import Annotated

from pointrad.masks.alpha import AlphaMasksConfig
from pointrad.masks.auto import AutoMasksConfig
from pointrad.masks.config import MasksConfig
from pointrad.masks.folder import FolderMasksConfig
from pointrad.masks.none import NoMasksConfig
from pointrad.schema import OneOf

AnyMasksConfig = Annotated[
    AutoMasksConfig | AlphaMasksConfig | FolderMasksConfig | NoMasksConfig | MasksConfig, OneOf("name")
]
