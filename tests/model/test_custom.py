"""A user's own model: what its methods say is what is drawn and trained, and what they may not say is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from pointrad.artifacts.ply import read_ply, write_points
from pointrad.errors import UserError
from pointrad.model import groups
from pointrad.model.base import Cloud
from pointrad.model.config import CustomModelConfig
from pointrad.model.groups import Group
from pointrad.render.build import build_renderer, build_settings
from pointrad.render.config import RendererConfig
from pointrad.render.cpu.gaussians import GaussianCpuRenderer
from pointrad.render.custom import CustomRenderer, CustomSettings
from pointrad.render.gaussian_settings import GaussianSettings
from tests.render.clouds import front_camera
from tests.render.gaussian_clouds import GREY, cloud

CAMERA = front_camera(20, 16, 26.0)
CPU = RendererConfig(name="cpu", device="auto", graphs=False)
KEYS: dict[str, Any] = {"opacity": 0.5, "darkening": 0.01}


class Same(CustomModelConfig):
    """Gaussians, told in the words of a user."""

    name: Literal["same"]

    @property
    def groups(self) -> tuple[Group, ...]:
        return groups.gaussians(2)

    def start(self, gaussians: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {}

    def shape(self, splats: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {}


class Exposed(Same):
    """With an exposure each."""

    @property
    def groups(self) -> tuple[Group, ...]:
        return (*groups.gaussians(2), Group("exposure", 1, "exposure", "log of what colours are multiplied by"))

    def colour(self, splats: Mapping[str, Tensor], directions: Tensor) -> Tensor:
        return splats["exposure"].exp() * super().colour(splats, directions)


def renderer_of(config: CustomModelConfig) -> CustomRenderer:
    renderer = build_renderer(CPU, build_settings(config, GREY, [CAMERA]))
    assert isinstance(renderer, CustomRenderer)
    return renderer


def image_and_gradient(renderer: Any, values: Tensor, harmonics: bool = True) -> tuple[Tensor, Tensor]:
    parameters = values.clone().requires_grad_()
    image = renderer.render(parameters, CAMERA, harmonics)
    (gradient,) = torch.autograd.grad(image.square().sum(), parameters)
    return image.detach(), gradient


@pytest.mark.parametrize("harmonics", [True, False])
def test_gaussians_told_by_a_user_are_drawn_and_differentiated_as_ours(harmonics: bool) -> None:
    values = cloud(CAMERA, 30, degree=2, seed=1)
    ours = image_and_gradient(GaussianCpuRenderer(GaussianSettings(GREY, 2)), values, harmonics)
    theirs = image_and_gradient(renderer_of(Same(name="same", **KEYS)), values, harmonics)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


def test_its_colours_are_what_is_seen_and_splats_ply_holds_them() -> None:
    config = Exposed(name="same", **KEYS)
    renderer, ours = renderer_of(config), GaussianCpuRenderer(GaussianSettings(GREY, 2))
    values = cloud(CAMERA, 30, degree=2, seed=1)
    bright = values.clone()
    bright[11:] *= 2
    exposed = torch.cat([values, torch.full((1, 30), 2.0).log()])
    seen = renderer.render(exposed, CAMERA)
    torch.testing.assert_close(seen, ours.render(bright, CAMERA), rtol=1e-4, atol=1e-5)
    stored = renderer.settings.as_gaussians(Cloud(config.build(), exposed), [CAMERA])
    torch.testing.assert_close(ours.render(stored.parameters, CAMERA), seen, rtol=1e-4, atol=1e-5)


def test_fresh_splats_have_what_fresh_gaussians_have_and_else_0() -> None:
    positions = torch.tensor([[0.0, 0, 0], [0.1, 0, 0]])
    fresh = Exposed(name="same", opacity=0.25, darkening=0.01).build().start(positions, torch.full((2, 3), 0.5), seed=0)
    torch.testing.assert_close(fresh["scale"].exp(), torch.full((3, 2), 0.1))
    torch.testing.assert_close(fresh["opacity"].sigmoid(), torch.full((1, 2), 0.25))
    assert torch.equal(fresh["base"], torch.full((3, 2), 0.5))
    assert not fresh["exposure"].any()


def test_its_ply_file_holds_every_parameter(tmp_path: Any) -> None:
    model = Exposed(name="same", **KEYS).build()
    before = Cloud(model, torch.randn(model.width, 4, generator=torch.Generator().manual_seed(0)))
    write_points(tmp_path / "cloud.ply", before, torch.zeros(3, 4))
    assert torch.equal(read_ply(tmp_path / "cloud.ply", model).parameters, before.parameters)


def test_a_shape_that_lacks_something_is_told() -> None:
    class Round(Same):
        @property
        def groups(self) -> tuple[Group, ...]:
            return tuple(group for group in groups.gaussians(2) if group.name != "scale")

    model = Round(name="same", **KEYS).build()
    with pytest.raises(UserError, match="model=same: shape returned no scale, which its splats do not have either"):
        CustomSettings(GREY, model).drawn(torch.zeros(model.width, 5), CAMERA, harmonics=True)  # type: ignore[arg-type]


def test_what_is_no_shape_is_told() -> None:
    class Flat(Same):
        def shape(self, splats: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return {"scale": splats["scale"][:2]}

    settings = CustomSettings(GREY, Flat(name="same", **KEYS).build())  # type: ignore[arg-type]
    with pytest.raises(
        UserError, match=r"model=same: shape returned scale of shape \(2, 5\) for 5 splats; expected of"
    ):
        settings.drawn(cloud(CAMERA, 5, degree=2, seed=0), CAMERA, harmonics=True)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ([Group("base", 3, "base", "")], "expected each name once"),
        ([Group("base", 1, "base", "")], "found base of width 1; expected 3, as every model has"),
        ([Group("harmonics", 5, "base", "")], "found harmonics of width 5; expected 0 or 9 or 24 or 45"),
        ([Group("far", 1, "position", "")], "expected groups of one rate beside each other"),
    ],
)
def test_groups_that_no_model_can_have_are_told(changed: list[Group], told: str) -> None:
    own = [Group("position", 3, "position", ""), Group("base", 3, "base", ""), Group("harmonics", 9, "base", "")]
    kept = own if told.startswith("expected") else [group for group in own if group.name != changed[0].name]
    assert told in str(groups.problem([*kept, *changed]))
    assert groups.problem(own) is None
