"""Anisotropic 3D Gaussians with opacity (Kerbl et al. 2023); `render.gaussians` says how they are seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pointrad import harmonics
from pointrad.camera import Camera
from pointrad.data.frame import SceneFrame
from pointrad.model import groups
from pointrad.model.base import Cloud, Model, Vertices, directions

_NEIGHBOURS = 3  # whose mean distance is a fresh Gaussian's standard deviation, as in 3D Gaussian Splatting
_LEAST_SCALE = 1e-4  # scene units: of points that lie at one place


class Gaussians(Model):
    """Splats that end up as at most `most` Gaussians with harmonics up to `degree`."""

    name = "gaussians"

    def __init__(self, degree: int, opacity: float, most: int | None) -> None:
        """opacity: of a fresh Gaussian."""
        self.groups = groups.gaussians(degree)
        self.degree, self.opacity, self.most = degree, opacity, most

    def start(self, positions: Tensor, colours: Tensor, seed: int) -> Cloud:
        """Balls as large as their neighbours are far, half transparent or as `opacity` says; harmonics are 0."""
        count = len(positions)
        cloud = Cloud(self, torch.zeros(self.width, count))
        spacing = torch.from_numpy(_spacing(positions.double().numpy()))
        return cloud.changed(
            position=positions.T, scale=spacing.log(), rotation=_UPRIGHT, opacity=_logit(self.opacity), base=colours.T
        )

    def to_world(self, cloud: Cloud, frame: SceneFrame) -> Cloud:
        moved = super().to_world(cloud, frame)
        return moved.changed(scale=moved["scale"] + math.log(frame.unit))

    def colours(self, cloud: Cloud, camera: Camera) -> Tensor:
        return colours_towards(cloud["base"], cloud["harmonics"], directions(cloud["position"], camera)).clamp(min=0)

    def to_vertices(self, cloud: Cloud) -> Vertices:
        """The columns of 3D Gaussian Splatting, which splat viewers open; it has harmonics channel by channel."""
        count = (self.degree + 1) ** 2 - 1
        by_channel = cloud["harmonics"].view(count, 3, len(cloud)).transpose(0, 1).reshape(3 * count, len(cloud))
        rows = [
            *zip("xyz", cloud["position"], strict=True),
            *((name, torch.zeros_like(cloud["position"][0])) for name in ("nx", "ny", "nz")),
            *((f"f_dc_{channel}", values) for channel, values in enumerate((cloud["base"] - 0.5) / harmonics.Y0)),
            *((f"f_rest_{index}", values) for index, values in enumerate(by_channel)),
            ("opacity", cloud["opacity"][0]),
            *((f"scale_{axis}", values) for axis, values in enumerate(cloud["scale"])),
            *((f"rot_{part}", values) for part, values in enumerate(cloud["rotation"])),
        ]
        return {name: values.cpu().numpy().astype(np.float32) for name, values in rows}

    def from_vertices(self, vertices: Vertices) -> Cloud:
        width = self.width - self.rows["harmonics"].start
        found = sum(name.startswith("f_rest_") for name in vertices)
        if found != width:
            raise ValueError(f"{found} values of harmonics, where model.sh_degree={self.degree} has {width}")
        rest = _read(vertices, [f"f_rest_{index}" for index in range(width)])
        cloud = Cloud(self, torch.zeros(self.width, len(vertices["x"])))
        return cloud.changed(
            position=_read(vertices, "xyz"),
            scale=_read(vertices, [f"scale_{axis}" for axis in range(3)]),
            rotation=_read(vertices, [f"rot_{part}" for part in range(4)]),
            opacity=_read(vertices, ["opacity"]),
            base=0.5 + harmonics.Y0 * _read(vertices, [f"f_dc_{channel}" for channel in range(3)]),
            harmonics=rest.view(3, width // 3, len(cloud)).transpose(0, 1).reshape(width, len(cloud)),
        )


_UPRIGHT = torch.tensor([[1.0], [0.0], [0.0], [0.0]])


def colours_towards(base: Tensor, coefficients: Tensor, towards: Tensor) -> Tensor:
    """[3, N] RGB as cameras see it from which the splats lie at unit directions `towards` [3, N].

    coefficients: of the harmonics from degree 1 on, coefficient by coefficient, each RGB.
    """
    count = len(coefficients) // 3
    values = harmonics.basis(towards, math.isqrt(count))[1:]
    return base + torch.einsum("jn,jcn->cn", values, coefficients.view(count, 3, -1))


def degree_of(vertices: Vertices) -> int:
    """Of the harmonics that a file's columns hold. Raises ValueError for a number that no degree has."""
    found = sum(name.startswith("f_rest_") for name in vertices)
    degrees = {3 * ((degree + 1) ** 2 - 1): degree for degree in range(4)}
    if found not in degrees:
        raise ValueError(f"{found} values of harmonics; expected one of {list(degrees)}")
    return degrees[found]


def rotations(quaternions: Tensor) -> Tensor:
    """[N, 3, 3] matrices, whose columns are the splats' own axes, of quaternions [4, N] (w x y z, of any length)."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=0)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows).T.reshape(-1, 3, 3)


def _read(vertices: Vertices, names: Sequence[str]) -> Tensor:
    if not names:
        return torch.zeros(0, len(vertices["x"]))
    return torch.from_numpy(np.stack([vertices[name].astype(np.float32) for name in names]))


def _spacing(positions: np.ndarray) -> np.ndarray:
    """[N] the mean distance of points [N, 3] to their nearest neighbours; of a lone one 1/100 of a scene unit."""
    neighbours = min(_NEIGHBOURS, len(positions) - 1)
    if neighbours < 1:
        return np.full(len(positions), 0.01)
    from scipy.spatial import KDTree  # not above: slow to import, and runs of points would wait for it

    distances = KDTree(positions).query(positions, k=neighbours + 1, workers=-1)[0][:, 1:]
    spacing: np.ndarray = distances.mean(axis=1).clip(min=_LEAST_SCALE)
    return spacing


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
