"""Whether the Triton renderer can run on a device; importable where Triton is not."""

from __future__ import annotations

import numpy as np
import torch

from pointrad.camera import Camera
from pointrad.model.points import ROWS
from pointrad.render.base import SplatSettings

LEAST_CAPABILITY = (8, 0)  # of the GPUs that Triton supports


def problem(device: torch.device) -> str | None:
    """Why the Triton renderer cannot run on `device`, and what helps; None if it can."""
    try:
        from triton import knobs
    except ImportError as error:
        return f"Triton cannot be imported here ({error}); install torch's CUDA wheel, which brings it"
    if device.type == "cpu":
        if knobs.runtime.interpret:
            return None
        return f"it runs on CUDA, and on {device} only interpreted: set TRITON_INTERPRET=1 for that (slow, for tests)"
    capability = torch.cuda.get_device_capability(device)
    if capability < LEAST_CAPABILITY:
        name = torch.cuda.get_device_name(device)
        return f"{name} has compute capability {_dotted(capability)}; Triton needs {_dotted(LEAST_CAPABILITY)} or newer"
    try:
        _try_out(device)
    except Exception as error:  # an old driver, no C compiler, an unknown GPU: each fails in a way of its own
        return f"its kernels do not run on {device} ({type(error).__name__}: {error}); a newer NVIDIA driver may help"
    return None


def _try_out(device: torch.device) -> None:
    """Render a white point and its gradient; raises whatever goes wrong."""
    from pointrad.render.triton import TritonRenderer

    renderer = TritonRenderer(SplatSettings(0.5, 1, "point", (0.0, 0.0, 0.0)), device)
    camera = Camera.centred(np.eye(4), 8.0, 8, 8)
    parameters = torch.zeros(ROWS, 1, device=device)
    parameters[2], parameters[3:6] = -1, 1
    image = renderer.render(parameters.requires_grad_(), camera, harmonics=False)
    image.sum().backward()  # type: ignore[no-untyped-call]
    if not image.any():
        raise RuntimeError("a white point was rendered black")


def _dotted(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))
