"""Points to pixels and colours, for the renderers written in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pointrad import harmonics as sh
from pointrad.camera import Camera, Float64Array, Intrinsics, mean_focal, to_pixels, to_slopes
from pointrad.model.points import BASE, HARMONICS, POSITION


@dataclass(frozen=True)
class DeviceCamera:
    """A `Camera` whose pose lies on a device, so that it may change between two replays of a CUDA graph.

    camera_to_world: [4, 4] float32; world_to_image: [3, 4] float32.
    """

    camera_to_world: Tensor
    world_to_image: Tensor
    intrinsics: Intrinsics
    width: int
    height: int

    @property
    def focal(self) -> float:
        return mean_focal(self.intrinsics)

    @property
    def position(self) -> Tensor:
        """[3] float32, the camera centre in world units."""
        return self.camera_to_world[:3, 3]


AnyCamera = Camera | DeviceCamera


def project(positions: Tensor, camera: AnyCamera) -> tuple[Tensor, Tensor, Tensor]:
    """Pixel coordinates u, v and depth, each [N], of world positions [3, N]; depth <= 0 lies behind the camera.

    Term by term, in the order of the CPU kernel, so that both round alike and splats of almost equal depth sort alike.
    """
    px, py, pz = positions
    x, y, z = (a * px + b * py + c * pz + d for a, b, c, d in _numbers(camera.world_to_image))
    safe = torch.where(z > 0, z, torch.ones_like(z))
    return *to_pixels(x, y, safe, camera.intrinsics), z


def point_directions(positions: Tensor, camera: AnyCamera) -> Tensor:
    """[3, N] unit vectors from the camera to world positions [3, N]; constants, no gradient flows through them."""
    eye = _numbers(camera.position)
    return torch.nn.functional.normalize(
        torch.stack([p - e for p, e in zip(positions.detach(), eye, strict=True)]), dim=0
    )


def pixel_directions(camera: AnyCamera, device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """[3, H, W] unit world directions of the rays through the pixel centres."""
    u, v = (torch.arange(size, device=device, dtype=dtype) + 0.5 for size in (camera.width, camera.height))
    x, y = to_slopes(u, v, camera.intrinsics)
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    local = torch.stack([grid_x, -grid_y, -torch.ones_like(grid_x)])
    rotation = _constant(camera.camera_to_world[:3, :3], device, dtype)
    return torch.nn.functional.normalize(torch.einsum("ij,jhw->ihw", rotation, local), dim=0)


def features(
    parameters: Tensor, camera: AnyCamera, view_direction: Literal["point", "pixel"], harmonics: bool
) -> Tensor:
    """[C, N], what is composited of a cloud [33, N]: RGB towards the camera, or all 30 coefficients along pixels."""
    if not harmonics:
        return parameters[BASE]
    if view_direction == "pixel":
        return torch.cat([parameters[BASE], parameters[HARMONICS]])
    values = sh.basis(point_directions(parameters[POSITION], camera))
    coefficients = parameters[HARMONICS].view(sh.COUNT, 3, -1)
    return parameters[BASE] + torch.einsum("jn,jcn->cn", values, coefficients)


def _numbers(values: Float64Array | Tensor) -> Any:
    """Rows of numbers. Plain ones reach a device as arguments of its operations: nothing is uploaded at each step."""
    return values.tolist() if isinstance(values, np.ndarray) else values


def _constant(values: Float64Array | Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """`values` on the device, without waiting for what it computes (as a blocking copy would)."""
    return torch.as_tensor(values, dtype=dtype).to(device, non_blocking=True).contiguous()
