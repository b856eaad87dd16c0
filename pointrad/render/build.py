"""Which renderer draws a model: chosen by `renderer=`, the device, and what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

import torch

from pointrad.camera import Camera
from pointrad.errors import UserError
from pointrad.model.config import DRAWN_AS_GAUSSIANS, CustomModelConfig, GaussiansConfig, ModelConfig, PointsConfig
from pointrad.model.custom import CustomModel
from pointrad.progress import announce
from pointrad.render import gsplat_support, triton_support
from pointrad.render.base import Renderer, Settings, SplatSettings
from pointrad.render.config import RendererConfig
from pointrad.render.custom import CustomRenderer, CustomSettings
from pointrad.render.gaussian_settings import GaussianSettings


def build_settings(model: ModelConfig, background: tuple[float, float, float], cameras: Sequence[Camera]) -> Settings:
    """How `model`, trained on views of these cameras, is drawn on `background`."""
    match model:
        case PointsConfig():
            nearest, direction = model.points_per_pixel, model.view_direction
            return SplatSettings(model.radius, nearest, direction, background, _opening(cameras))
        case GaussiansConfig():
            return GaussianSettings(background, model.sh_degree)
        case CustomModelConfig():
            return CustomSettings(background, CustomModel(model))


def _opening(cameras: Sequence[Camera]) -> float | None:
    """The width over focal length of the middle one of `cameras`; None where they differ in their focal lengths alone,
    as when someone zooms: then discs are as large in each picture."""
    sizes, focals = {(camera.width, camera.height) for camera in cameras}, {camera.focal for camera in cameras}
    if len(sizes) == 1 < len(focals):
        return None
    return median_low(camera.width / camera.focal for camera in cameras)


def build_renderer(config: RendererConfig, settings: Settings) -> Renderer:
    """The renderer that `config` names, of the model that `settings` are of; `auto` is the fastest that can be had.

    Of points that is ours in Numba without CUDA, ours in Triton on CUDA, and PyTorch3D's where Triton cannot run; of
    Gaussians gsplat on CUDA, and ours in Numba without either. `RunConfig` lets a model name no other renderer.

    Raises UserError for a device that this machine or renderer does not have, and for CUDA graphs with another renderer
    than Triton's on CUDA.
    """
    match settings:
        case GaussianSettings():
            return _gaussians(config, settings)
        case CustomSettings():
            return CustomRenderer(settings, _gaussians(config, settings.gaussians))
        case SplatSettings():
            return _points(config, settings)
    raise TypeError(f"no renderer draws splats of {settings}")


def check_renderer(config: RendererConfig, model: ModelConfig) -> None:
    """Refuse what `build_renderer` would of Gaussians, and say why a GPU that there is does not draw them.

    For before data are loaded. Raises UserError.
    """
    if isinstance(model, DRAWN_AS_GAUSSIANS):
        _, problem = _device_of_gaussians(config)
        if problem:
            announce(f"Gaussians are rendered on the CPU, although there is a GPU: {problem}")


def _gaussians(config: RendererConfig, settings: GaussianSettings) -> Renderer:
    device, _ = _device_of_gaussians(config)
    if device.type == "cuda":
        return _gsplat(settings, device)
    from pointrad.render.cpu.gaussians import GaussianCpuRenderer

    return GaussianCpuRenderer(settings)


def _gsplat(settings: GaussianSettings, device: torch.device) -> Renderer:
    from pointrad.render.gsplat import GsplatRenderer

    return GsplatRenderer(settings, device)


def _device_of_gaussians(config: RendererConfig) -> tuple[torch.device, str | None]:
    """Where Gaussians are rendered, which also says by whom: gsplat on CUDA, else ours. And why not on the GPU that
    `auto` found."""
    device = _device(config)
    if config.name == "cpu":
        return _only_cpu(config, device), None
    if config.name == "auto" and device.type == "cpu":
        return device, None
    problem = gsplat_support.problem(device)
    if problem and config.name == config.device == "auto":
        return torch.device("cpu"), problem
    if problem:
        asked = f"name: found {config.name!r}" if config.name == "gsplat" else f"device: found {config.device!r}"
        raise UserError(f"renderer.{asked}, but {problem}; or use renderer=cpu")
    return device, None


def _points(config: RendererConfig, settings: SplatSettings) -> Renderer:
    device = _device(config)
    name = config.name if config.name != "auto" else _automatic(device)
    if config.graphs and (name != "triton" or device.type != "cuda"):
        raise UserError(
            f"renderer.graphs: found true, but this run gets renderer={name} on {device}, and CUDA graphs need "
            "renderer=triton on a CUDA device; set renderer.graphs=false"
        )
    match name:
        case "cpu":
            return _cpu(config, settings, device)
        case "triton":
            return _triton(config, settings, device)
        case _:
            return _pytorch3d(settings, device)


def _automatic(device: torch.device) -> str:
    if device.type == "cpu":
        return "cpu"
    return "pytorch3d" if triton_support.problem(device) else "triton"


def _cpu(config: RendererConfig, settings: SplatSettings, device: torch.device) -> Renderer:
    _only_cpu(config, device)
    from pointrad.render.cpu.points import CpuRenderer

    return CpuRenderer(settings)


def _only_cpu(config: RendererConfig, device: torch.device) -> torch.device:
    if device.type != "cpu":
        raise UserError(f"renderer.device: found {config.device!r}; renderer=cpu runs on cpu only")
    return device


def _triton(config: RendererConfig, settings: SplatSettings, device: torch.device) -> Renderer:
    if problem := triton_support.problem(device):
        instead = "cpu" if device.type == "cpu" else "pytorch3d"
        raise UserError(f"renderer.name: found 'triton', but {problem}; or use renderer={instead}")
    from pointrad.render.triton import TritonRenderer

    return TritonRenderer(settings, device, config.graphs)


def _pytorch3d(settings: SplatSettings, device: torch.device) -> Renderer:
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
            f"{_why_no_cuda()}"
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"renderer.device: found {config.device!r}; expected auto, cpu, cuda or cuda:N")
    return device


def _why_no_cuda() -> str:
    """What torch says of a driver that is missing or too old, in brackets; empty where it has no complaint."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:  # the latter: torch was built without CUDA
        return f" ({str(error).splitlines()[0]})"
    return ""
