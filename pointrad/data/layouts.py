"""The layouts that captures may have; each is registered here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.demo import DemoDatasetConfig

AnyDatasetConfig = Annotated[DemoDatasetConfig | BlenderDatasetConfig, Field(discriminator="name")]
