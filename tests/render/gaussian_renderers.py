"""The renderers of Gaussians that tests compare, and where each of them can run."""

from __future__ import annotations

import pytest
import torch

from pointrad.render import gsplat_support
from pointrad.render.base import Renderer
from pointrad.render.cpu.gaussians import GaussianCpuRenderer
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.render.gsplat import GsplatRenderer
from tests.device import DEVICE
from tests.render.gaussian_clouds import Case
from tests.render.gsplat_in_torch import rasterization

needs_gsplat = pytest.mark.skipif(
    DEVICE.type != "cuda" or not gsplat_support.is_installed(),
    reason=f"needs gsplat on a GPU: {gsplat_support.INSTALL}, and set POINTRAD_DEVICE=cuda",
)
# "gsplat in torch" proves what the renderer hands over to gsplat; what gsplat's kernels do with it, only "gsplat" does.
RENDERERS = ("cpu", "gsplat in torch", pytest.param("gsplat", marks=needs_gsplat))


def build(name: str, settings: GaussianSettings) -> Renderer:
    match name:
        case "cpu":
            return GaussianCpuRenderer(settings)
        case "gsplat in torch":
            return GsplatRenderer(settings, torch.device("cpu"), rasterization)
        case _:
            return GsplatRenderer(settings, DEVICE)


def renderer_of(name: str, case: Case) -> Renderer:
    """The renderer that draws this case."""
    return build(name, GaussianSettings(case.background, case.degree))


def with_gsplats_limits(name: str) -> bool:
    """Whether alpha and transmittance are cut where gsplat cuts them, not where `gaussians` says."""
    return name != "cpu"
