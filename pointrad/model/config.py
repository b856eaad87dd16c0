"""The keys of `model=`. Free of torch, so that a configuration is checked in a moment."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from pointrad.model import groups
from pointrad.model.groups import Group
from pointrad.schema import Config, Count, OneOf, Positive, PositiveShare

if TYPE_CHECKING:
    from torch import Tensor

    from pointrad.model.base import Model


class RelativeRadiusConfig(Config):
    """A radius by what pictures show: the larger of so many pixels, and a share of the object's size, the root of its
    mean area in pixels."""

    pixels: Positive
    of_object: Positive

    def in_ndc(self, object_pixels: float, width: float) -> float:
        """NDC of pictures `width` pixels wide, in which the object covers so many pixels."""
        return 2 * max(self.pixels, self.of_object * math.sqrt(object_pixels)) / width


def _kind_of_radius(value: object) -> str:
    return "relative" if isinstance(value, dict | RelativeRadiusConfig) else "ndc"


# Of a splat: NDC (half the image width is 1), or by what pictures show.
SplatRadius = Annotated[
    Annotated[Positive, Tag("ndc")] | Annotated[RelativeRadiusConfig, Tag("relative")], Discriminator(_kind_of_radius)
]


class SplatModelConfig(Config, ABC):
    """What every model has.

    darkening: the share of a splat's colour that it may lose to views of which wrong masks have cut it.
    renderers: by name, those that draw it. trains_ridge: whether its steps know the ridge of the silhouettes' loss.
    steps_note: whether they note what operations go by that are `of_steps`.
    """

    renderers: ClassVar[tuple[str, ...]]
    trains_ridge: ClassVar[bool]
    steps_note: ClassVar[bool]

    darkening: PositiveShare

    @property
    @abstractmethod
    def groups(self) -> tuple[Group, ...]:
        """The parameters of a splat."""
        ...

    @abstractmethod
    def build(self) -> Model:
        """The model of these keys."""
        ...

    @property
    def asks_views(self) -> bool:
        """Whether something of it is left to what pictures show (`seeing`)."""
        return False

    def seeing(self, object_pixels: float, width: float) -> Self:
        """The same model for pictures `width` pixels wide, in which the object covers so many pixels."""
        return self


class PointsConfig(SplatModelConfig):
    """Points as discs of one radius, without opacity."""

    renderers: ClassVar = ("auto", "cpu", "triton", "pytorch3d")
    trains_ridge: ClassVar = True
    steps_note: ClassVar = False

    name: Literal["points"]
    splat_radius: SplatRadius
    points_per_pixel: Annotated[int, Field(ge=1, le=255)]
    view_direction: Literal["point", "pixel"]

    @property
    def groups(self) -> tuple[Group, ...]:
        return groups.POINTS

    def build(self) -> Model:
        from pointrad.model.points import POINTS

        return POINTS

    @property
    def asks_views(self) -> bool:
        return isinstance(self.splat_radius, RelativeRadiusConfig)

    @property
    def radius(self) -> float:
        """The splat radius in NDC, once it is known."""
        assert not isinstance(self.splat_radius, RelativeRadiusConfig)
        return self.splat_radius

    def seeing(self, object_pixels: float, width: float) -> Self:
        """The same model for pictures `width` pixels wide, in which the object covers so many pixels."""
        if not isinstance(self.splat_radius, RelativeRadiusConfig):
            return self
        return self.model_copy(update={"splat_radius": self.splat_radius.in_ndc(object_pixels, width)})


class GaussiansConfig(SplatModelConfig):
    """Anisotropic Gaussians with opacity.

    sh_degree: of the harmonics. opacity: of a fresh Gaussian. max_points, max_mb: what growth stops at, null for none.
    """

    renderers: ClassVar = ("auto", "cpu", "gsplat")
    trains_ridge: ClassVar = False
    steps_note: ClassVar = True

    name: Literal["gaussians"]
    sh_degree: Annotated[int, Field(ge=0, le=3)]
    opacity: Annotated[float, Field(gt=0, lt=1)]
    max_points: Count | None
    max_mb: Positive | None

    @property
    def groups(self) -> tuple[Group, ...]:
        return groups.gaussians(self.sh_degree)

    def build(self) -> Model:
        from pointrad.model.gaussians import Gaussians

        return Gaussians(self.sh_degree, self.opacity, self.most)

    @property
    def most(self) -> int | None:
        """How many Gaussians there may be."""
        bytes_each = 4 * sum(group.width for group in self.groups)
        fitting = None if self.max_mb is None else int(self.max_mb * 2**20 / bytes_each)
        return min((limit for limit in (self.max_points, fitting) if limit is not None), default=None)

    @model_validator(mode="after")
    def _caps_count(self) -> Self:
        if self.most == 0:
            raise ValueError(f"max_mb: found {self.max_mb}, in which no Gaussian fits")
        if self.max_points is not None and self.most != self.max_points:
            raise ValueError(
                f"max_points: found {self.max_points}; max_mb={self.max_mb:g} holds {self.most} Gaussians, expected at "
                "most so many, or a larger max_mb (null: no limit)"
            )
        return self


ByGroup = Mapping[str, "Tensor"]  # of N splats, [width, N] each


class CustomModelConfig(SplatModelConfig, ABC):
    """A model of a user's own (docs/plugins.md): its splats have what parameters it likes, and are drawn as Gaussians.

    opacity: of a fresh splat.
    """

    renderers: ClassVar = GaussiansConfig.renderers
    trains_ridge: ClassVar = False
    steps_note: ClassVar = False

    name: str
    opacity: Annotated[float, Field(gt=0, lt=1)]

    @abstractmethod
    def start(self, gaussians: ByGroup) -> ByGroup:
        """What fresh splats have, of the fresh Gaussians in their places. A group that is left out is that of the
        Gaussians, if they have one of its name and width, else 0."""
        ...

    @abstractmethod
    def shape(self, splats: ByGroup) -> ByGroup:
        """Of the Gaussians that are drawn: `scale` [3, N] (log), `rotation` [4, N] (w x y z), `opacity` [1, N] (logit);
        torch differentiates them. One that is left out is the splats' own."""
        ...

    def colour(self, splats: ByGroup, directions: Tensor) -> Tensor:
        """[3, N] RGB as a camera sees it, which torch differentiates. directions: [3, N] unit vectors from there."""
        from pointrad.model.gaussians import colours_towards  # not above: a configuration is checked without torch

        return colours_towards(splats["base"], splats["harmonics"], directions)

    def build(self) -> Model:
        from pointrad.model.custom import CustomModel

        return CustomModel(self)

    @model_validator(mode="after")
    def _groups_are_usable(self) -> Self:
        if problem := groups.problem(self.groups):
            raise ValueError(f"{type(self).__name__}.groups: {problem}")
        return self


ModelConfig = Annotated[PointsConfig | GaussiansConfig | CustomModelConfig, OneOf("name")]
DRAWN_AS_GAUSSIANS = (GaussiansConfig, CustomModelConfig)  # by any renderer of Gaussians
