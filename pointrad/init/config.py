"""The keys of `init=`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from pointrad.schema import Bounds, Config, Count, NonNegative, PositiveShare, Share


class SurfaceConfig(Config):
    """So many of the hull's points that have a neighbour outside it, at random; all of them where there are fewer."""

    surface_points: Count


class StartConfig(Config):
    """What every start has: bounds that hold the object."""

    bounds: Bounds
    decides_targets: ClassVar[bool] = False  # whether it changes what training is to reproduce

    @field_validator("bounds", mode="before")
    @classmethod
    def _one_pair_is_for_every_axis(cls, bounds: object) -> object:
        if isinstance(bounds, list | tuple) and len(bounds) == 2:
            return bounds if any(isinstance(end, list | tuple) for end in bounds) else (bounds,) * 3
        return bounds

    @field_validator("bounds")
    @classmethod
    def _bounds_ascend(cls, bounds: Bounds) -> Bounds:
        for low, high in bounds:
            if low >= high:
                raise ValueError(f"must ascend, found {[low, high]}")
        return bounds


class InitConfig(StartConfig):
    """What starts from a hull have: the lattice whose points the views vote on, and which of a hull's points they take.

    kept_share: a share of all of them at random, or a number of those on its surface.
    """

    lattice: Annotated[int, Field(ge=2, le=1024)]
    kept_share: Annotated[
        Annotated[PositiveShare, Tag("share")] | Annotated[SurfaceConfig, Tag("surface")],
        Discriminator(lambda value: "surface" if isinstance(value, dict | SurfaceConfig) else "share"),
    ]
    jitter: NonNegative
    outside_margin: NonNegative


class HullConfig(InitConfig):
    """The soft visual hull of the masks, at a consistency that the user picks (docs/method.md)."""

    name: Literal["hull"]
    consistency: Share


class AdaptiveConfig(InitConfig):
    """The hull that agrees best with what the training views show (docs/robustness.md).

    source: whether masks are asked at all. cut_pixels: what the training pixels count as that wrong masks may have cut
    off: as unknown, or as the background they show.
    """

    decides_targets: ClassVar[bool] = True
    name: Literal["adaptive"]
    source: Literal["masks", "none"]
    cut_pixels: Literal["unknown", "background"]


class RandomConfig(StartConfig):
    """So many points, drawn uniformly in the bounds. No mask is read.

    opacity: of a fresh splat, in place of the model's own, if it has opacities: most splats have to go.
    """

    name: Literal["random"]
    points: Count
    opacity: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="before")
    @classmethod
    def _takes_no_part_of_a_hull(cls, values: Any) -> Any:
        """A model may set for all starts which of a hull's points they take; here there is no hull."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if key != "kept_share"}


AnyInitConfig = Annotated[HullConfig | AdaptiveConfig | RandomConfig, Field(discriminator="name")]
