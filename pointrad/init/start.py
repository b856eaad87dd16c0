"""What a run starts from: each way to start is chosen here, by its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from pointrad.data.scene import View
from pointrad.init.adaptive import agreeing_votes, known_beside
from pointrad.init.config import AdaptiveConfig, AnyInitConfig, HullConfig, InitConfig, RandomConfig
from pointrad.init.evidence import Colour, weighted_views
from pointrad.init.placement import check_placement
from pointrad.init.points import InitialPoints, initialise, scatter
from pointrad.init.readings import gather_evidence
from pointrad.init.votes import Votes

Views = tuple[View, ...]
HullVotes = Callable[[Sequence[View], HullConfig], Votes]


@dataclass(frozen=True)
class TrainingViews:
    """The training views, whose masks may be wrong.

    corrupted: as their masks went wrong, which may have moved images, too. targets: with the images that training is to
    reproduce. background: the RGB that shows where there is no object.
    """

    corrupted: Views
    targets: Views
    background: Colour


@dataclass(frozen=True)
class Start:
    """find_points: finds the points of the initial cloud, which a resumed run has. targets: the training views, with
    weights where their images are unknown. hull: what points come from that a hull has."""

    find_points: Callable[[], InitialPoints]
    targets: Views
    hull: Hull | None


@dataclass(frozen=True)
class Hull:
    """find_votes: those of the views. coloured_by: views whose mean colours points have. It yields the points of any
    part of it."""

    config: InitConfig
    find_votes: Callable[[], Votes]
    coloured_by: Sequence[View]

    def points_at(self, part: NDArray[np.bool_], share: float, seed: int) -> InitialPoints:
        """A random share of the points of the lattice [X, Y, Z] that are in this part of it, each somewhere in its
        cell."""
        votes = self.find_votes()
        config = self.config.model_copy(update={"kept_share": share, "jitter": 0.5})
        return initialise(self.coloured_by, replace(votes, counts=votes.counts * part), config, seed)


def start(config: AnyInitConfig, views: TrainingViews, darkening: float, seed: int, hull_votes: HullVotes) -> Start:
    """What training starts from: the masks alone, all that the views show, or neither.

    darkening: the model's (`SplatModelConfig`). hull_votes: counts, or finds, the votes of masks.
    """
    match config:
        case RandomConfig():
            return Start(partial(scatter, config, seed), views.targets, None)
        case HullConfig():
            votes = partial(hull_votes, views.corrupted, config)
            return _of_hull(Hull(config, votes, views.corrupted), views, views.targets, seed)
        case AdaptiveConfig():
            return _adaptive(config, views, darkening, seed)


def _adaptive(config: AdaptiveConfig, views: TrainingViews, darkening: float, seed: int) -> Start:
    seen = tuple(replace(view, mask=wrong.mask) for view, wrong in zip(views.targets, views.corrupted, strict=True))
    evidence = gather_evidence(seen, views.background, config)
    votes = cache(partial(agreeing_votes, evidence, config))
    targets = evidence.views
    if config.cut_pixels == "unknown":
        targets = weighted_views(known_beside(evidence, votes), darkening)
    coloured_by = targets if evidence.cut else seen
    return _of_hull(Hull(config, votes, coloured_by), views, targets, seed)


def _of_hull(hull: Hull, views: TrainingViews, targets: Views, seed: int) -> Start:
    def find_points() -> InitialPoints:
        votes = hull.find_votes()
        check_placement(votes, views.targets)
        return initialise(hull.coloured_by, votes, hull.config, seed)

    return Start(find_points, targets, hull)
