"""What a run starts from: each way to start is chosen here, by its keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from pointrad.data.scene import View
from pointrad.init.adaptive import agreeing_votes, known_beside
from pointrad.init.config import (
    AdaptiveConfig,
    AnyInitConfig,
    CustomStartConfig,
    HullConfig,
    InitConfig,
    RandomConfig,
)
from pointrad.init.evidence import Colour, weighted_views
from pointrad.init.placement import check_placement
from pointrad.init.points import InitialPoints, initialise, place, scatter
from pointrad.init.readings import evidence_of_masks, gather_evidence
from pointrad.init.votes import Votes

_LEAST_KNOWN = 0.5  # what is missing in images lengthens training, but to no more than twice the time

Views = tuple[View, ...]
HullVotes = Callable[[Sequence[View], HullConfig], Votes]


@dataclass(frozen=True)
class TrainingViews:
    """The training views, whose masks may be wrong.

    corrupted: as their masks went wrong, which may have moved images, too. targets: with the images that training is to
    reproduce. background: the RGB that shows where there is no object. masks_alone: only masks tell where the object
    is, since images lack what other ones have cut off.
    """

    corrupted: Views
    targets: Views
    background: Colour
    masks_alone: bool = False


@dataclass(frozen=True)
class Start:
    """find_points: finds the points of the initial cloud, which a resumed run has. targets: the training views, with
    weights where their images are unknown. find_votes: those that the points' hull is of; None where there is none.
    cut: wrong masks have cut the targets, and what they cut off is unknown."""

    find_points: Callable[[], InitialPoints]
    targets: Views
    find_votes: Callable[[], Votes] | None
    cut: bool = False

    def known_share(self, points: InitialPoints) -> float:
        """Of the targets, how many show the object at a point of the start, on average; the others lack it. At least a
        half."""
        return max(float(points.votes.mean()) / len(self.targets), _LEAST_KNOWN) if self.cut else 1.0


def start(config: AnyInitConfig, views: TrainingViews, darkening: float, seed: int, hull_votes: HullVotes) -> Start:
    """What training starts from: the masks alone, all that the views show, or neither.

    darkening: the model's (`SplatModelConfig`). hull_votes: counts, or finds, the votes of masks.
    """
    match config:
        case RandomConfig():
            return Start(partial(scatter, config, seed), views.targets, None)
        case HullConfig():
            votes = partial(hull_votes, views.corrupted, config)
            return Start(partial(_points_of_hull, config, views, views.corrupted, votes, seed), views.targets, votes)
        case AdaptiveConfig():
            return _adaptive(config, views, darkening, seed)
        case CustomStartConfig():
            return Start(partial(place, config, _as_given(views), seed), views.targets, None)


def _as_given(views: TrainingViews) -> Views:
    """The images that training is to reproduce, with the masks that it was given."""
    return tuple(replace(view, mask=wrong.mask) for view, wrong in zip(views.targets, views.corrupted, strict=True))


def _adaptive(config: AdaptiveConfig, views: TrainingViews, darkening: float, seed: int) -> Start:
    seen = _as_given(views)
    alone = views.masks_alone and config.asks_masks
    evidence = evidence_of_masks(seen, config) if alone else gather_evidence(seen, views.background, config)
    votes = cache(partial(agreeing_votes, evidence, config))
    targets, unknown = evidence.views, config.cut_pixels == "unknown"
    if unknown:
        targets = weighted_views(known_beside(evidence, votes), darkening)
    coloured_by = targets if evidence.cut else seen
    points = partial(_points_of_hull, config, views, coloured_by, votes, seed)
    return Start(points, targets, votes, cut=evidence.cut and unknown)


def _points_of_hull(
    config: InitConfig, views: TrainingViews, coloured_by: Sequence[View], count_votes: Callable[[], Votes], seed: int
) -> InitialPoints:
    """Those of the hull of the votes, in the mean colours of the views `coloured_by`."""
    votes = count_votes()
    check_placement(votes, views.targets)
    return initialise(coloured_by, votes, config, seed)
