"""Which step trains a cloud with a renderer."""

from __future__ import annotations

from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.render.cpu.points import CpuRenderer
from pointrad.render.custom import CustomRenderer
from pointrad.render.gaussian_settings import GaussianSettings
from pointrad.training.config import AdamConfig, StageConfig
from pointrad.training.steps.autograd import AutogradStep
from pointrad.training.steps.base import Step
from pointrad.training.steps.points import FusedStep


def build_step(cloud: Cloud, renderer: Renderer, stage: StageConfig, adam: AdamConfig) -> Step:
    """The step with kernels of its own where the renderer is ours, else autograd's."""
    if isinstance(renderer, CpuRenderer):
        return FusedStep(cloud, renderer.settings, stage, adam)
    if isinstance(renderer, CustomRenderer):
        return AutogradStep(cloud, renderer, stage, adam)
    if renderer.name == "gsplat":
        # Not above: runs of other models and on CPUs need neither this nor what follows.
        from pointrad.render.gsplat import GsplatRenderer
        from pointrad.training.steps.gsplat import GsplatStep

        assert isinstance(renderer, GsplatRenderer)
        return GsplatStep(cloud, renderer, stage, adam)
    if isinstance(renderer.settings, GaussianSettings):
        # Not above: runs of other models need not load its kernels.
        from pointrad.render.cpu.gaussians import GaussianCpuRenderer
        from pointrad.training.steps.gaussians import GaussianStep

        assert isinstance(renderer, GaussianCpuRenderer)
        return GaussianStep(cloud, renderer, stage, adam)
    if renderer.name == "triton":
        # Not above, since Triton is not everywhere.
        from pointrad.render.triton import TritonRenderer
        from pointrad.training.steps.graphed import CudaGraphs, GraphedStep
        from pointrad.training.steps.triton import TritonStep

        assert isinstance(renderer, TritonRenderer)
        if renderer.graphs:
            return GraphedStep(cloud, renderer, stage, adam, CudaGraphs(renderer.device))
        return TritonStep(cloud, renderer, stage, adam)
    return AutogradStep(cloud, renderer, stage, adam)
