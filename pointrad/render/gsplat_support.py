"""Whether gsplat can render on a device; importable where gsplat is not."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch

from pointrad.camera import Camera
from pointrad.render import gaussians
from pointrad.render.gaussian_settings import GaussianSettings

INSTALL = "pip install -r requirements-gsplat.txt"


def is_installed() -> bool:
    return find_spec("gsplat") is not None


def problem(device: torch.device) -> str | None:
    """Why gsplat cannot render on `device`, and what to install; None if it can."""
    if device.type != "cuda":
        return (
            f"gsplat needs CUDA, and this run would be on {device}: on a machine with a GPU and its driver, {INSTALL}"
        )
    if not is_installed():
        return f"gsplat is not installed: {INSTALL}"
    try:
        _try_out(device)
    except Exception as error:  # no compiler, another CUDA than torch's, an old driver: each fails in a way of its own
        return (
            f"gsplat does not run on {device} ({type(error).__name__}: {error}); it compiles its kernels when first "
            f"used: install nvcc of CUDA {torch.version.cuda}, and a C++ compiler"
        )
    return None


def _try_out(device: torch.device) -> None:
    """Render a white Gaussian and its gradient; raises whatever goes wrong."""
    from pointrad.render.gsplat import GsplatRenderer

    renderer = GsplatRenderer(GaussianSettings((0.0, 0.0, 0.0), degree=0), device)
    camera = Camera.centred(np.eye(4), 8.0, 8, 8)
    parameters = torch.zeros(gaussians.rows(0), 1, device=device)
    parameters[2], parameters[gaussians.ROTATION.start], parameters[gaussians.BASE] = -3, 1, 1
    image = renderer.render(parameters.requires_grad_(), camera)
    (gradient,) = torch.autograd.grad(image.sum(), parameters)
    if not image.any() or not gradient.any():
        raise RuntimeError("a white Gaussian was rendered black")
