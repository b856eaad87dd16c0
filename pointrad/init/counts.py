"""How many views vote for each lattice point, in how many it may be the object, and how many see it.

What a view says of points outside its picture and behind its camera, `init.outside` decides: by the published rule it
sees background there (and votes within a margin of the picture); or it abstains if the object leaves its picture, since
then the object may go on outside. By either it abstains from points behind pixels of weight 0, which are not to be
used. Then the votes of the views that tell something of a point are counted as if all did.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pointrad.data.scene import View
from pointrad.init.config import InitConfig
from pointrad.init.evidence import Evidence, Needs, Pixels, by_view, in_a_row
from pointrad.init.votes import Lattice, Votes, count_votes
from pointrad.masks.hard import border


def votes_of_masks(views: Sequence[View], lattice: Lattice, config: InitConfig, floor: int) -> Votes:
    """How many views call each lattice point foreground, where that are at least `floor`; what is not in their masks
    is background."""
    if config.outside == "published" and all(view.used.all() for view in views):
        return count_votes(views, lattice, config.margin, floor)
    masks: Pixels = in_a_row(view.mask > 0 for view in views)
    needs = Needs(floor, empty_share=1.0)
    return Counts.of(views, masks, ~masks, lattice, config, needs).meeting(needs)


@dataclass(frozen=True)
class Counts:
    """votes: how many views vote for a point. possible: in how many it is not seen to be background.

    least_seen: how many views a point needs that tell something of it; None where all do, by the published rule.
    seen: [X, Y, Z] uint16, how many do; None where each that does votes or sees background.
    """

    votes: Votes
    possible: Votes
    least_seen: int | None = None
    seen: NDArray[np.uint16] | None = None

    @classmethod
    def of_evidence(cls, evidence: Evidence, lattice: Lattice, config: InitConfig) -> Counts:
        """Exact for points that meet the evidence's needs."""
        votes, background = evidence.votes, evidence.seen_background
        return cls.of(evidence.views, votes, background, lattice, config, evidence.needs)

    @classmethod
    def of(cls, views: Sequence[View], voting: Pixels, background: Pixels, lattice: Lattice, config: InitConfig,
           needs: Needs) -> Counts:  # fmt: skip
        """Exact for points that meet the needs. voting, background: pixels that vote, and that are seen to be
        background, those of all views in a row; of pixels that are not used it does not matter."""
        used: Pixels = in_a_row(view.used for view in views)
        voting, background = voting & used, background & used
        complete = np.array_equal(voting, used & ~background)
        # Of V views that see a point, n V / V must vote, so that no more than V - n can see background.
        fewest = max(needs.votes, math.ceil((1 - needs.empty_share) * len(views)))
        published = config.outside == "published"
        if published and used.all():
            possible = count_votes(with_masks(views, ~background), lattice, config.margin, fewest)
            if complete:
                return cls(possible, possible)
            return cls(
                count_votes(with_masks(views, voting), lattice, config.margin, needs.votes, possible.counts), possible
            )
        least_seen = config.least_views(len(views))
        margin = config.margin if published else 0.0
        abstain = [False] * len(views) if published else leaving(views, by_view(voting | ~used, views))
        possible = count_votes(with_masks(views, ~background), lattice, margin, fewest, beyond=abstain)
        floor = math.ceil(needs.votes * least_seen / len(views))
        votes = count_votes(with_masks(views, voting), lattice, margin, floor, possible.counts)
        if complete:
            return cls(votes, possible, least_seen)
        everywhere, tell = with_masks(views, np.ones_like(voting)), [not abstains for abstains in abstain]
        seen = count_votes(everywhere, lattice, 0.0, least_seen, votes.counts, beyond=tell).counts
        if not used.all():
            # Those that tell nothing: of the four pixels around the point's projection one is not used, and none votes.
            maybe = count_votes(with_masks(views, voting | ~used), lattice, margin, 0, votes.counts)
            seen = np.where(seen > 0, seen - (maybe.counts - votes.counts), 0)
        return cls(votes, possible, least_seen, seen)

    def meeting(self, needs: Needs) -> Votes:
        """The votes, 0 where they are too few, or too many of the views that tell something see background.

        Where some abstain, as many of all as of those that do not, rounded down; 0 where too few do not.
        """
        points = np.flatnonzero(self.votes.counts > 0)  # a small part of the lattice; others meet no needs
        votes, possible = (counted.counts.ravel()[points].astype(np.int32) for counted in (self.votes, self.possible))
        background = self.possible.views - possible
        met = background <= needs.empty_share * (votes + background)
        if self.least_seen is not None:
            seen = votes + background if self.seen is None else self.seen.ravel()[points].astype(np.int32)
            met &= seen >= self.least_seen
            votes = self.votes.views * votes // np.maximum(seen, 1)
        met &= votes >= needs.votes
        counts = np.zeros(self.votes.counts.shape, np.uint16)  # zeros_like would touch all of it
        counts.ravel()[points[met]] = votes[met]
        return replace(self.votes, counts=counts, floor=needs.votes)


def leaving(views: Sequence[View], masks: Sequence[Pixels]) -> list[bool]:
    """Whether the object leaves the picture of each view: it is known to, or its mask [H, W] reaches the border."""
    return [view.leaves or bool(border(mask).any()) for view, mask in zip(views, masks, strict=True)]


def with_masks(views: Sequence[View], masks: Pixels) -> list[View]:
    """The views, with masks that are these pixels, those of all views in a row."""
    pairs = zip(views, by_view(masks, views), strict=True)
    return [replace(view, mask=mask.astype(np.float32)) for view, mask in pairs]
