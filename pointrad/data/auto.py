"""Captures in any layout: what the folder holds says which one it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pointrad.data.blender import BlenderDatasetConfig
from pointrad.data.colmap import ColmapDatasetConfig
from pointrad.data.idr import IdrDatasetConfig
from pointrad.data.layout import CaptureLayout, FolderLayout
from pointrad.data.llff import LlffDatasetConfig
from pointrad.data.moving import STILL, MovingLayout, chosen
from pointrad.data.nerfstudio import NerfstudioDatasetConfig
from pointrad.data.panoptic import PanopticDatasetConfig
from pointrad.data.photo import Listing
from pointrad.data.scene import Split

# Of those that a folder is in, the first is taken: files that say more come before those that may be left from making
# them.
_LAYOUTS: tuple[tuple[str, type[FolderLayout]], ...] = (
    ("blender", BlenderDatasetConfig),
    ("nerfstudio", NerfstudioDatasetConfig),
    ("colmap", ColmapDatasetConfig),
    ("idr", IdrDatasetConfig),
    ("llff", LlffDatasetConfig),
    ("panoptic", PanopticDatasetConfig),
)


class AutoDatasetConfig(CaptureLayout, MovingLayout):
    """Captures in the first layout that fits."""

    name: Literal["auto"]

    @property
    def signs(self) -> str:
        return "; ".join(f"{layout.signs} (dataset={name})" for name, layout in self._layouts().items())

    def is_in(self, folder: Path) -> bool:
        return any(layout.is_in(folder) for layout in self._layouts().values())

    def times(self, scene_name: str) -> tuple[float, ...]:
        layout, *_ = self.fitting(scene_name)
        return layout.times(scene_name) if isinstance(layout, MovingLayout) else STILL

    def listing(self, scene_name: str, split: Split) -> Listing:
        layout, *others = self.fitting(scene_name)
        listed = layout.listing(scene_name, split)
        also = "".join(f"; dataset={other.name} would fit as well" for other in others)
        said = f"took the folder for dataset={layout.name}, as it holds {layout.signs}{also}"
        if not isinstance(layout, MovingLayout):
            chosen(self.frames, STILL)
        holds_out = isinstance(layout, CaptureLayout)
        unused = () if holds_out else (f"dataset={layout.name} has splits of its own; dataset.holdout has no effect",)
        return replace(listed, remarks=(said, *unused, *listed.remarks))

    def fitting(self, scene_name: str) -> list[FolderLayout]:
        """The layouts that the scene's folder is in, the one that is taken first. Raises UserError if there is none."""
        folder = self.found(scene_name)
        return [layout for layout in self._layouts().values() if layout.is_in(folder)]

    def _layouts(self) -> dict[str, FolderLayout]:
        """Each layout by its name. Keys of its own are null: what the layout has them for."""
        given = self.model_dump()
        return {
            name: layout.model_validate({key: given.get(key) for key in layout.model_fields} | {"name": name})
            for name, layout in _LAYOUTS
        }
