"""The keys of `init=`."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pointrad.schema import Bounds, Config, Count, NonNegative, OneOf, PositiveShare, Share

if TYPE_CHECKING:
    import numpy as np

    from pointrad.camera import Float64Array
    from pointrad.data.scene import Float32Array, View


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

    @model_validator(mode="before")
    @classmethod
    def _takes_no_part_of_a_hull(cls, values: Any) -> Any:
        """A model may set for all starts which of a hull's points they take; here there may be no hull (`idle`)."""
        if not isinstance(values, dict) or "kept_share" in cls.model_fields:
            return values
        return {key: value for key, value in values.items() if key != "kept_share"}

    @property
    def asks_masks(self) -> bool:
        """Whether it looks at the given masks."""
        return True

    @property
    def box(self) -> Bounds:
        """The bounds, once they are known."""
        assert self.bounds != "auto"
        return self.bounds

    def at(self, bounds: Bounds) -> Self:
        """The same start, of an object within these bounds."""
        return self.model_copy(update={"bounds": bounds})


_PUBLISHED_MARGIN = 0.05  # half-widths
_LEAST_SEEN = 0.5


class InitConfig(StartConfig):
    """What starts from a hull have: a lattice whose points views vote on, and which of the hull they take.

    outside: what a view says of points outside its picture or behind its camera: by the published rule that they are
    background, or, up to `outside_margin` half-widths outside, foreground; or nothing, if the object leaves the picture
    (docs/method.md). least_seen: of points that views may abstain from, the share of the views that must tell something
    of one. Null is what suits `outside`.
    """

    lattice: Annotated[int, Field(ge=2, le=1024)]
    kept_share: KeptShare
    jitter: NonNegative
    outside: Literal["published", "abstain"]
    outside_margin: NonNegative | None
    least_seen: Share | None

    @field_validator("outside_margin")
    @classmethod
    def _abstaining_leaves_no_margin(cls, margin: float | None, info: ValidationInfo) -> float | None:
        if margin is not None and info.data.get("outside") == "abstain":
            raise ValueError(f"found {margin:g}; expected null, since with init.outside=abstain nothing outside votes")
        return margin

    @field_validator("least_seen")
    @classmethod
    def _else_all_see_every_point(cls, share: float | None, info: ValidationInfo) -> float | None:
        if share is not None and info.data.get("outside") == "published":
            raise ValueError(
                f"found {share:g}; expected null, or init.outside=abstain, since with init.outside=published all views "
                "say something of every point"
            )
        return share

    @property
    def margin(self) -> float:
        """How far outside its picture a view still votes, by the published rule, half-widths."""
        return _PUBLISHED_MARGIN if self.outside_margin is None else self.outside_margin

    @property
    def seen_share(self) -> float:
        """The share of the views that must see a point, where they may abstain."""
        return _LEAST_SEEN if self.least_seen is None else self.least_seen

    def least_views(self, views: int) -> int:
        """How many of so many views that is, the share being taken as the decimal it is written as."""
        return math.ceil(views * Fraction(str(self.seen_share)))


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

    @property
    def asks_masks(self) -> bool:
        return self.source == "masks"

    def idle(self) -> dict[str, str]:
        return {} if self.asks_masks else {"cut_pixels": f"source={self.source}"}


class RandomConfig(StartConfig):
    """So many points, drawn uniformly in the bounds. No mask is read.

    opacity: of a fresh splat, in place of the model's own, if it has opacities: most splats have to go.
    """

    name: Literal["random"]
    points: Count
    opacity: Annotated[float, Field(gt=0, lt=1)]

    @property
    def asks_masks(self) -> bool:
        return False


class CustomStartConfig(StartConfig, ABC):
    """A start of a user's own (docs/plugins.md)."""

    name: str

    @abstractmethod
    def place(self, views: Sequence[View], rng: np.random.Generator) -> Float64Array:
        """The points of the initial cloud: [N, 3], world units.

        views: those that train, with the masks that training was given. rng: what is drawn at random comes from it, so
        that the run can be repeated. `self.box` has the bounds once they are known.
        """
        ...

    def colour(self, views: Sequence[View], positions: Float64Array) -> Float32Array:
        """What the points look like: [N, 3] float32 RGB in [0, 1]; the mean of what the views show there."""
        from pointrad.init.points import colours_seen  # not above: a configuration is checked without kernels

        return colours_seen(views, positions)


AnyInitConfig = Annotated[HullConfig | AdaptiveConfig | RandomConfig | CustomStartConfig, OneOf("name")]
