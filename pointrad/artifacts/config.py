"""The keys of `artifacts`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pointrad.schema import Config, Count


class TurntableConfig(Config):
    frames: Annotated[int, Field(ge=0)]
    fps: Count
    elevation_degrees: Annotated[float, Field(gt=-90, lt=90)]

    def idle(self) -> dict[str, str]:
        return dict.fromkeys(("fps", "elevation_degrees"), "frames=0") if self.frames == 0 else {}


class SequenceArtifactsConfig(Config):
    """Of a moving scene: frames per second of the video beside the truth, and whether each frame is a PLY file, too."""

    fps: Count
    ply: bool


class ArtifactsConfig(Config):
    """Which evaluation views are drawn after initialisation and after each stage (None: a few), whether the clouds at
    these times are kept and the training curves drawn, the turntable, and whether masks are put right."""

    views: tuple[Annotated[int, Field(ge=0)], ...] | None
    stages: bool
    curves: bool
    turntable: TurntableConfig
    sequence: SequenceArtifactsConfig
    repaired_masks: bool
