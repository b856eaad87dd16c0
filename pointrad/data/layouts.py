"""The layouts that captures may have; each is registered here."""

from __future__ import annotations

from typing import Annotated

from pointrad.data.auto import AutoDatasetConfig
from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.colmap import ColmapDatasetConfig
from pointrad.data.demo import DemoDatasetConfig, DemoMovingDatasetConfig
from pointrad.data.idr import IdrDatasetConfig
from pointrad.data.layout import Layout
from pointrad.data.llff import LlffDatasetConfig
from pointrad.data.nerfstudio import NerfstudioDatasetConfig
from pointrad.data.panoptic import PanopticDatasetConfig
from pointrad.schema import OneOf

AnyDatasetConfig = Annotated[
    DemoDatasetConfig
    | DemoMovingDatasetConfig
    | AutoDatasetConfig
    | BlenderDatasetConfig
    | NerfstudioDatasetConfig
    | ColmapDatasetConfig
    | IdrDatasetConfig
    | LlffDatasetConfig
    | PanopticDatasetConfig
    | Layout,
    OneOf("name"),
]
