"""What every model of how masks go wrong is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from pointrad.data.scene import Instant, View
from pointrad.schema import Config, Share


class MaskErrorConfig(Config, ABC):
    """One kind of mask error. Its other keys say how bad it is at level 1, the worst; at level 0 it changes nothing."""

    name: str
    level: Share

    @abstractmethod
    def corrupt(self, view: View, rng: np.random.Generator) -> View:
        """The view with its mask (and image, where the model moves both) corrupted; never in place."""
        ...

    def at(self, level: float) -> Self:
        """The same kind of error at another level."""
        return self.model_copy(update={"level": level})


class CorruptionConfig(MaskErrorConfig):
    """What the corruption of a run has besides its kind of error: its seed, and what the wrong masks touch.

    targets: "clean" leaves the training images as they are, as the published study does; "masked" sets what lies
    outside the corrupted mask to the background, as a pipeline does that has no other mask. in_time: of scenes that
    move; "constant": a camera draws the same errors at every instant; "flicker": it draws others.
    """

    seed: Annotated[int, Field(ge=0)]
    targets: Literal["clean", "masked"]
    in_time: Literal["constant", "flicker"]

    def decisive(self) -> dict[str, Any]:
        """What decides the corrupted masks, as plain values; level 0 of all models is the same."""
        unsaid = {"targets", "in_time"} if self.in_time == "constant" else {"targets"}
        return self.model_dump(mode="json", exclude=unsaid) if self.level else {"level": 0}

    def stream(self, place: int, instant: int) -> np.random.SeedSequence:
        """What the errors of the mask in this place are drawn from, at an instant. Those of the first are as if nothing
        moved."""
        number = [instant] if self.in_time == "flicker" and instant else []
        return np.random.SeedSequence([self.seed, place, *number])


def corrupt_views(
    corruption: CorruptionConfig, views: tuple[View, ...], instant: Instant | None = None
) -> tuple[View, ...]:
    """Corrupt each view with a random stream of its own, so that a view's corruption depends on the seed, its place and
    the instant alone, not on how many views there are. At level 0 the views come back untouched.

    instant: where the views are of a scene that moves.
    """
    if corruption.level == 0:
        return views
    if instant is None:
        streams = [corruption.stream(index, 0) for index in range(len(views))]
    else:
        streams = [corruption.stream(instant.places[view.name], instant.number) for view in views]
    return tuple(
        corruption.corrupt(view, np.random.Generator(np.random.PCG64(stream)))
        for view, stream in zip(views, streams, strict=True)
    )


def cut_targets(
    clean: tuple[View, ...], corrupted: tuple[View, ...], background: tuple[float, float, float]
) -> tuple[View, ...]:
    """The clean views with background where the corrupted mask is 0: the training images of a pipeline that has no
    masks but the wrong ones."""
    empty = np.asarray(background, np.float32)
    return tuple(
        replace(view, image=np.where(wrong.mask[..., None] > 0, view.image, empty))
        for view, wrong in zip(clean, corrupted, strict=True)
    )
