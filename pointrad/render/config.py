"""The keys of `renderer=`."""

from __future__ import annotations

from typing import Literal

from pointrad.schema import Config


class RendererConfig(Config):
    """graphs: whether training steps are replayed as CUDA graphs, which renderer=triton can on CUDA."""

    name: Literal["auto", "cpu", "triton", "pytorch3d", "gsplat"]
    device: str
    graphs: bool
