"""The sources of masks; each is registered here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pointrad.masks.alpha import AlphaMasksConfig
from pointrad.masks.auto import AutoMasksConfig
from pointrad.masks.folder import FolderMasksConfig
from pointrad.masks.none import NoMasksConfig

AnyMasksConfig = Annotated[
    AutoMasksConfig | AlphaMasksConfig | FolderMasksConfig | NoMasksConfig, Field(discriminator="name")
]
