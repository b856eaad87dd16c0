"""The keys of `init=`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from pointrad.schema import Bounds, Config, Count, NonNegative, PositiveShare, Share


class PointCountConfig(Config):
    """So many points at random, all where there are fewer: of the whole hull, or of its surface, which are those that
    have a neighbour outside it."""

    points: Count
    of: Literal["hull", "surface"]


def _for_every_axis(bounds: object) -> object:
    """One pair is for all axes."""
    if isinstance(bounds, list | tuple) and len(bounds) == 2:
        return bounds if any(isinstance(end, list | tuple) for end in bounds) else (bounds,) * 3
    return bounds


def _ascending(bounds: Bounds | Literal["auto"]) -> Bounds | Literal["auto"]:
    for low, high in () if bounds == "auto" else bounds:
        if low >= high:
            raise ValueError(f"must ascend, found {[low, high]}")
    return bounds


# Where the object is, world units on each axis; "auto" until cameras and masks have told it.
ObjectBounds = Annotated[Bounds | Literal["auto"], BeforeValidator(_for_every_axis), AfterValidator(_ascending)]

# Which of a hull's points a cloud starts from: a share of all, at random, or a number.
KeptShare = Annotated[
    Annotated[PositiveShare, Tag("share")] | Annotated[PointCountConfig, Tag("count")],
    Discriminator(lambda value: "count" if isinstance(value, dict | PointCountConfig) else "share"),
]


class StartConfig(Config):
    """What every start has: bounds that hold the object."""

    bounds: ObjectBounds
    decides_targets: ClassVar[bool] = False  # whether it changes what training is to reproduce

    @property
    def box(self) -> Bounds:
        """The bounds, once they are known."""
        assert self.bounds != "auto"
        return self.bounds

    def at(self, bounds: Bounds) -> Self:
        """The same start, of an object within these bounds."""
        return self.model_copy(update={"bounds": bounds})


class InitConfig(StartConfig):
    """What starts from a hull have: a lattice whose points views vote on, and which of the hull they take."""

    lattice: Annotated[int, Field(ge=2, le=1024)]
    kept_share: KeptShare
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
