"""What every model is: named groups of parameters, and the clouds of splats that have them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pointrad.camera import Camera
from pointrad.data.frame import SceneFrame
from pointrad.model import groups
from pointrad.model.groups import Group

Vertices = Mapping[str, NDArray[np.generic]]  # the columns of a PLY file by their names, each [N]


class Model(ABC):
    """What the parameters of a splat are. All else asks for them by name.

    Every model has the groups `position`, `base` (RGB) and `harmonics` (what is added to it per direction of view).
    """

    name: str
    groups: tuple[Group, ...]
    most: int | None = None  # splats that a cloud may have

    @abstractmethod
    def start(self, positions: Tensor, colours: Tensor, seed: int) -> Cloud:
        """A fresh cloud from [N, 3] positions and RGB; what it draws at random comes from `seed`."""

    @abstractmethod
    def colours(self, cloud: Cloud, camera: Camera) -> Tensor:
        """[3, N] RGB of each splat as the camera sees it, not clamped."""

    @abstractmethod
    def to_vertices(self, cloud: Cloud) -> Vertices:
        """The cloud as the columns of a PLY file, which hold every parameter."""

    @abstractmethod
    def from_vertices(self, vertices: Vertices) -> Cloud:
        """The cloud that `to_vertices` was given. Raises KeyError or ValueError where columns are missing or others."""

    def to_world(self, cloud: Cloud, frame: SceneFrame) -> Cloud:
        """The cloud in world units; what is a length besides the position, a model moves itself."""
        position = frame.to_world(cloud["position"].T.cpu().double().numpy()).T
        return cloud.changed(position=torch.from_numpy(position))

    @cached_property
    def rows(self) -> Mapping[str, slice]:
        """The rows of `Cloud.parameters` that each group has."""
        rows, start = {}, 0
        for group in self.groups:
            rows[group.name] = slice(start, start + group.width)
            start += group.width
        return rows

    @property
    def width(self) -> int:
        """Values per splat."""
        return sum(group.width for group in self.groups)

    @property
    def rates(self) -> tuple[str, ...]:
        return groups.rates(self.groups)

    def rows_at_rate(self, rate: str, harmonics: bool) -> slice:
        """The rows that train at the rate of this name; without harmonics where they are not rendered."""
        trained = [group for group in self.groups if group.rate == rate and (harmonics or group.name != "harmonics")]
        if not trained:
            return slice(0, 0)
        return slice(self.rows[trained[0].name].start, self.rows[trained[-1].name].stop)

    def split(self, values: Tensor) -> dict[str, Tensor]:
        """[D, N], a row per value of a splat, as a copy by group: [width, N] each."""
        return {name: values[rows].clone() for name, rows in self.rows.items()}

    def join(self, by_group: Mapping[str, Tensor]) -> Tensor:
        """[D, N], what `split` was given."""
        return torch.cat([by_group[group.name] for group in self.groups])


@dataclass(frozen=True)
class Cloud:
    """N splats of one model as one tensor.

    parameters: [D, N] float32, contiguous, the model's groups one after another. A row per parameter rather than a row
        per splat, so that kernels and the optimiser stream along the splats.
    state: what training keeps of each splat besides, [..., N] each (Adam's moments, statistics), by name; it stays
        with its splat. Between stages it is empty but for a moving scene's (`training.lineage`).
    """

    model: Model
    parameters: Tensor
    state: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.parameters.shape[1]

    def __getitem__(self, group: str) -> Tensor:
        """[width, N] view of a group."""
        return self.parameters[self.model.rows[group]]

    @property
    def megabytes(self) -> float:
        """Size of the parameters in units of 2^20 bytes, the published "model size"."""
        return self.parameters.numel() * self.parameters.element_size() / 2**20

    def select(self, index: Tensor) -> Cloud:
        """The splats at [M] int64 or [N] bool `index`, in that order, as a new cloud; one may come several times."""
        state = {name: values[..., index].contiguous() for name, values in self.state.items()}
        return Cloud(self.model, self.parameters[:, index].contiguous(), state)

    def to(self, device: torch.device) -> Cloud:
        state = {name: values.to(device) for name, values in self.state.items()}
        return Cloud(self.model, self.parameters.to(device), state)

    def with_parameters(self, parameters: Tensor) -> Cloud:
        return replace(self, parameters=parameters)

    def changed(self, **by_group: Tensor | float) -> Cloud:
        """A copy with other values of some groups, a row or all of them."""
        copy = self.with_parameters(self.parameters.clone())
        for group, values in by_group.items():
            copy[group][:] = values
        return copy


def directions(positions: Tensor, camera: Camera) -> Tensor:
    """[3, N] unit vectors from the camera to positions [3, N]."""
    eye = torch.as_tensor(camera.position, dtype=positions.dtype, device=positions.device)
    return torch.nn.functional.normalize(positions - eye[:, None], dim=0)
