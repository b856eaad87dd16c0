"""What every model of how masks go wrong is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from pointrad.data.scene import Shot, View
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

    def stream(self, shot: Shot) -> np.random.SeedSequence:
        """What the errors of a mask are drawn from. Those of the first instant are as if nothing moved."""
        number = [shot.instant] if self.in_time == "flicker" and shot.instant else []
        return np.random.SeedSequence([self.seed, shot.camera, *number])


def corrupt_views(
    corruption: CorruptionConfig, views: tuple[View, ...], shots: Mapping[str, Shot] | None
) -> tuple[View, ...]:
    """Corrupt each view with a random stream of its own, so that a view's corruption depends on the seed, its camera
    and its instant alone, not on how many views there are. At level 0 the views come back untouched.

    shots: those of the views' scene; where nothing moves, a view's camera is known by its place.
    """
    if corruption.level == 0:
        return views
    taken = [Shot(place, 0) if shots is None else shots[view.name] for place, view in enumerate(views)]
    return tuple(
        corruption.corrupt(view, np.random.Generator(np.random.PCG64(corruption.stream(shot))))
        for view, shot in zip(views, taken, strict=True)
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
