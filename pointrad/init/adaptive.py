"""The hull that agrees best with what the training views show: a start that needs no consistency ratio.

docs/robustness.md explains it, docs/results/robustness.md measures it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from pointrad.camera import Float64Array
from pointrad.data.poses import look_away
from pointrad.errors import UserError
from pointrad.init.agreement import chosen_views, coarse_lattice, highest_votes, widened
from pointrad.init.config import AdaptiveConfig
from pointrad.init.counts import Counts
from pointrad.init.evidence import Evidence, by_view, in_a_row
from pointrad.init.votes import Lattice, Votes, described, in_pixels
from pointrad.kernel_cache import kernel

_LEAST_VOTES = 0.5  # of those that the hull needs: points with fewer are not added to it
_NEARLY_RIGHT = 0.75  # of the views must vote for a point of the hull: then masks are nearly right
_ALL_OF_IT = 0.95  # of the views must vote for a point of the hull: then it holds all of the object
_BESIDE = 2  # pixels around a silhouette that may be the object's, a lattice being coarse
_NUMBERS = 9  # of votes that are tried with added points,
_MOST_ADDED = 0.1  # of the hull: added points are surfaces, with nothing behind them
_LEAST_BACKGROUND = 1 / 3  # of what masks leave beside the hull: there is less where pictures show surroundings


def agreeing_votes(evidence: Evidence, config: AdaptiveConfig) -> Votes:
    """How many views vote for each lattice point, 0 where that is too few for the hull that agrees best.

    Where masks have cut the pictures, points with fewer votes than the result's `floor` are added to that hull, for
    pixels of the object that it does not cover. Raises UserError if no point is left.
    """
    lattice = Lattice(config.lattice, config.box)
    if evidence.cut:
        enough = _enough_votes(evidence, config)
        thin_parts = _ThinParts.of(evidence, lattice, config)
        votes = replace(thin_parts.votes, counts=thin_parts.hull(enough), floor=enough)
    else:
        votes = Counts.of_evidence(evidence, lattice, config).meeting(evidence.needs)
    if not votes.counts.any():
        expected = f"expected init.bounds {described(config.box)} to hold it, and masks or pictures that show it"
        cause = look_away([view.camera for view in evidence.views]) or expected
        raise UserError(f"init.adaptive: found no lattice point that the views see as the object; {cause}")
    return votes


def known_beside(evidence: Evidence, find_votes: Callable[[], Votes]) -> Evidence:
    """The evidence, with less that is unknown: where nearly all views must vote for a point of the hull, it holds all
    of the object, and what wrong masks have cut off is within its silhouettes. find_votes: `agreeing_votes` of it.
    """
    if not evidence.cut or evidence.needs.votes < _ALL_OF_IT * len(evidence.views):
        return evidence
    cameras = [view.camera for view in evidence.views]
    votes = find_votes()
    drawn = highest_votes(votes.lattice, votes.counts, cameras)
    near = in_a_row(binary_dilation(highest > 0, iterations=_BESIDE) for highest in drawn)
    return replace(evidence, unknown=evidence.unknown & near)


def _enough_votes(evidence: Evidence, config: AdaptiveConfig) -> int:
    """How many votes a point needs that is not added, for the hull that agrees best with what pictures show.

    The number that `_best_agreeing` found is so low for the sake of what masks cut, and lets points through that few
    views see past. With added points it may be higher, until they no longer make up for what is lost, or are too much
    of the hull. Pixels that are unknown are not asked: what covers others is neither right nor wrong there. The more
    views may miss a point, the more of those with few votes are of the object: only if few may, the number is raised.
    """
    needed, most = evidence.needs.votes, len(evidence.views)
    if needed < _NEARLY_RIGHT * most:
        return needed
    thin_parts = _ThinParts.of(evidence, coarse_lattice(config), config)
    chosen = chosen_views(most)
    cameras = [evidence.views[index].camera for index in chosen]
    seen_object, unknown = by_view(evidence.seen_object, evidence.views), by_view(evidence.unknown, evidence.views)
    shown = in_a_row(widened(seen_object[index]) for index in chosen)
    known = in_a_row(evidence.views[index].used & ~unknown[index] for index in chosen)

    def agreement(enough: int) -> float:
        hull = thin_parts.hull(enough)
        if enough > needed and (hull >= enough).sum() < (1 - _MOST_ADDED) * (hull > 0).sum():
            return 0.0
        drawn = in_a_row(highest_votes(thin_parts.votes.lattice, hull, cameras)) > 0
        return float((drawn & shown & known).sum() / max(((drawn | shown) & known).sum(), 1))

    numbers = np.unique(np.linspace(needed, most, _NUMBERS).round().astype(int)).tolist()
    return int(max(numbers, key=agreement))


@dataclass(frozen=True)
class _ThinParts:
    """Points of a lattice that may be added to a hull of more votes, for pixels of the object that it does not cover.

    A pixel of a cut picture that is not background shows some point of the object. Of a thin part that most of the
    wrong masks cut, or of what few views see, points have fewer votes than of the rest, but more than those beside
    them: along the ray of a pixel that no point with enough votes covers, those with the most are kept. Not if pictures
    show surroundings, which only masks could tell from the object: then masks leave no background beside the hull.

    positions: [M, 3] world units of the points with votes. highest: [P], the most votes that cover each pixel, those
    of all views in a row.
    """

    evidence: Evidence
    votes: Votes
    positions: Float64Array
    highest: NDArray[np.uint16]

    @classmethod
    def of(cls, evidence: Evidence, lattice: Lattice, config: AdaptiveConfig) -> _ThinParts:
        fewest = replace(evidence.needs, votes=math.ceil(_LEAST_VOTES * evidence.needs.votes))
        votes = Counts.of_evidence(replace(evidence, needs=fewest), lattice, config).meeting(fewest)
        positions = lattice.positions(np.stack(np.nonzero(votes.counts), axis=1))
        highest = in_a_row(highest_votes(lattice, votes.counts, [view.camera for view in evidence.views]))
        return cls(evidence, votes, positions, highest)

    def hull(self, enough: int) -> NDArray[np.uint16]:
        """[X, Y, Z], the votes of points with `enough` of them, and of those added for the rest."""
        found = self.votes.counts > 0
        numbers = self.votes.counts[found]
        kept = numbers >= enough
        beside = self.highest < enough
        uncovered, background = self.evidence.seen_object & beside, self.evidence.seen_background & beside
        if background.sum() >= _LEAST_BACKGROUND * (background.sum() + uncovered.sum()):
            views = self.evidence.views
            highest, wanted = by_view(self.highest, views), by_view(uncovered, views)
            for view, most, pixels in zip(views, highest, wanted, strict=True):
                camera = view.camera
                _keep_highest(self.positions, numbers, camera.world_to_image, camera.intrinsics, most, pixels, kept)
        hull = np.zeros_like(self.votes.counts)
        hull[found] = np.where(kept, numbers, 0)
        return hull


@kernel(nogil=True, error_model="numpy")
def _keep_highest(positions, votes, camera, intrinsics, highest, pixels, kept):  # type: ignore[no-untyped-def]
    """Set `kept` of the points that have the `highest` votes of one of the `pixels`, that which they project into."""
    height, width = highest.shape
    for n in range(len(positions)):
        x, y, z = positions[n]
        depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
        if depth <= 0.0:
            continue
        across = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]
        down = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]
        u, v = in_pixels(across, down, depth, intrinsics)
        if u < 0.0 or v < 0.0 or u >= width or v >= height:
            continue
        row, column = int(v), int(u)
        if pixels[row, column] and votes[n] >= highest[row, column]:
            kept[n] = True
