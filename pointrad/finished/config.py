"""The keys of `runs.py render`, `evaluate` and `compare`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pointrad.data.scene import Split
from pointrad.schema import Config, Count, GivenPath

Runs = Annotated[tuple[GivenPath, ...], Field(min_length=1)]
Views = tuple[Annotated[int, Field(ge=0)], ...] | None
Layer = Literal["colour", "depth", "opacity"]


class MovedDataConfig(Config):
    """root: where the data lies now; None where it lay when the run was trained."""

    root: GivenPath | None


class ViewConfig(Config):
    """How runs are shown in a browser.

    host, port: where the server listens. size, moving_size: pixels along the longer side of a picture, at rest and
    while the camera moves. photographs: whether they are loaded, to be seen at their cameras.
    """

    runs: Runs
    host: str
    port: Annotated[int, Field(ge=0, le=65535)]
    size: Count
    moving_size: Count
    photographs: bool
    dataset: MovedDataConfig
    threads: Annotated[int, Field(ge=0)]

    def idle(self) -> dict[str, str]:
        return {} if self.photographs else {"dataset": "photographs=false"}


class RenderConfig(Config):
    """Which way the camera goes, and what is drawn of what it sees.

    frames, elevation_degrees: of paths that are no file. instant: the number of the frame that is seen, of a scene that
    moves; None: time goes on along the path, from the first to the last. images: each picture of a video becomes a file
    of its own besides.
    """

    runs: Runs
    path: Literal["turntable", "spiral"] | GivenPath
    frames: Count
    fps: Count
    elevation_degrees: Annotated[float, Field(gt=-90, lt=90)]
    instant: Annotated[int, Field(ge=0)] | None
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]
    images: bool
    threads: Annotated[int, Field(ge=0)]

    def idle(self) -> dict[str, str]:
        match self.path:
            case "turntable":
                return {}
            case "spiral":
                return {"elevation_degrees": "path=spiral"}
            case file:
                return dict.fromkeys(("frames", "elevation_degrees"), f"path={file}")


class EvaluatedSplitConfig(Config):
    split: Split
    lpips: bool


class EvaluateConfig(Config):
    """The split to score a run on. views: those drawn beside the truth, None for three."""

    runs: Runs
    eval: EvaluatedSplitConfig
    dataset: MovedDataConfig
    views: Views
    threads: Annotated[int, Field(ge=0)]


class CompareConfig(Config):
    """Runs of one scene beside each other, the first of which is the baseline.

    split: of the scores; None for that which the runs have been scored on. views: those drawn, None for three.
    """

    runs: Annotated[tuple[GivenPath, ...], Field(min_length=2)]
    split: Split | None
    dataset: MovedDataConfig
    views: Views
    threads: Annotated[int, Field(ge=0)]
