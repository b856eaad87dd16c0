"""A user's own model: splats with what parameters it likes, each of which is drawn as a Gaussian."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.errors import UserError
from pointrad.model.base import Cloud, Model, Vertices, directions
from pointrad.model.gaussians import Gaussians

if TYPE_CHECKING:
    from pointrad.model.config import CustomModelConfig

_SHAPE = {"scale": 3, "rotation": 4, "opacity": 1}  # of a Gaussian


class CustomModel(Model):
    """Splats as a user's configuration has them."""

    def __init__(self, config: CustomModelConfig) -> None:
        self.config, self.name, self.groups = config, config.name, config.groups
        self.degree = math.isqrt(next(group.width for group in self.groups if group.name == "harmonics") // 3)

    def start(self, positions: Tensor, colours: Tensor, seed: int) -> Cloud:
        fresh = Gaussians(0, self.config.opacity, None).start(positions, colours, seed)
        gaussians = fresh.model.split(fresh.parameters)
        given = self.config.start(gaussians)
        widths = {group.name: group.width for group in self.groups}
        self._check(given, widths, len(fresh), "start")
        alike = {name: values for name, values in gaussians.items() if widths.get(name) == len(values)}
        return Cloud(self, torch.zeros(self.width, len(fresh))).changed(**{**alike, **given})

    def colours(self, cloud: Cloud, camera: Camera) -> Tensor:
        # As of every model, the directions are constants when positions are differentiated.
        towards = directions(cloud["position"].detach(), camera)
        colours = self.config.colour(self._by_group(cloud), towards)
        self._check({"colour": colours}, {"colour": 3}, len(cloud), "colour")
        return colours

    def gaussians(self, cloud: Cloud, colours: Tensor) -> Tensor:
        """[14, N] Gaussians of these colours [3, N] that are drawn, without harmonics."""
        splats = self._by_group(cloud)
        shape = {name: splats[name] for name in _SHAPE if name in splats} | dict(self.config.shape(splats))
        self._check(shape, _SHAPE, len(cloud), "shape")
        if missing := [name for name in _SHAPE if name not in shape]:
            raise UserError(f"model={self.name}: shape returned no {missing[0]}, which its splats do not have either")
        return torch.cat([splats["position"], *(shape[name] for name in _SHAPE), colours])

    def _by_group(self, cloud: Cloud) -> dict[str, Tensor]:
        """Views, which torch differentiates."""
        return {group.name: cloud[group.name] for group in self.groups}

    def _check(self, given: Mapping[str, Tensor], widths: Mapping[str, int], count: int, of: str) -> None:
        """Raises UserError for what the user's method returned and is no such values."""
        for name, values in given.items():
            if name not in widths or values.shape != (widths[name], count):
                raise UserError(
                    f"model={self.name}: {of} returned {name} of shape {tuple(values.shape)} for {count} splats; "
                    f"expected of {', '.join(f'{key} [{width}, N]' for key, width in widths.items())}"
                )

    def to_vertices(self, cloud: Cloud) -> Vertices:
        """A column for each value: `x`, `y`, `z`, and of other groups their names, numbered from 0."""
        return dict(zip(self._columns(), cloud.parameters.cpu().numpy(), strict=True))

    def from_vertices(self, vertices: Vertices) -> Cloud:
        columns = [vertices[name].astype(np.float32) for name in self._columns()]
        return Cloud(self, torch.from_numpy(np.stack(columns)))

    def _columns(self) -> list[str]:
        names = {"position": list("xyz")}
        for group in self.groups:
            names.setdefault(group.name, [f"{group.name}_{index}" for index in range(group.width)])
        return [name for group in self.groups for name in names[group.name]]
