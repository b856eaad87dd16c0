"""Renderers: one interface, chosen by `renderer=`."""

from __future__ import annotations

import torch

from pointrad.config import RendererConfig
from pointrad.errors import UserError
from pointrad.render.base import Renderer, SplatSettings

__all__ = ["Renderer", "SplatSettings", "build_renderer"]


def build_renderer(config: RendererConfig, settings: SplatSettings) -> Renderer:
    """The renderer that `config` names; `auto` is ours on a machine without CUDA, else PyTorch3D's.

    Raises UserError for a device that this machine or renderer does not have.
    """
    device = _device(config)
    name = config.name if config.name != "auto" else ("cpu" if device.type == "cpu" else "pytorch3d")
    if name == "cpu":
        if device.type != "cpu":
            raise UserError(f"renderer.device: found {config.device!r}; renderer=cpu runs on cpu only")
        from pointrad.render.cpu import CpuRenderer

        return CpuRenderer(settings)
    try:
        from pointrad.render.pytorch3d import Pytorch3dRenderer
    except ImportError as error:
        raise UserError(f"renderer.name: found 'pytorch3d', which cannot be imported here ({error})") from None
    return Pytorch3dRenderer(settings, device)


def _device(config: RendererConfig) -> torch.device:
    if config.device == "auto":
        return torch.device("cuda" if config.name != "cpu" and torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
    except RuntimeError:
        raise UserError(f"renderer.device: found {config.device!r}; expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count()):
        raise UserError(
            f"renderer.device: found {config.device!r}; this machine has {torch.cuda.device_count()} CUDA devices"
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"renderer.device: found {config.device!r}; expected auto, cpu, cuda or cuda:N")
    return device
