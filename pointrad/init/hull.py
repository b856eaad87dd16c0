"""The soft visual hull of the masks, at a consistency that the user picks (docs/method.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from pointrad.data.poses import look_away
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.init.config import HullConfig
from pointrad.init.counts import votes_of_masks
from pointrad.init.votes import Lattice, Votes, described


def votes_needed(views: int, consistency: float) -> int:
    """The fewest votes of `views` that exceed (views - 1) * consistency; all of them at consistency 1.

    The consistency is taken as the decimal it is written as, so that 0.29 of 100 is 29, not 28.999999999999996.
    """
    return math.floor((views - 1) * Fraction(str(float(consistency)))) + 1


def hull_votes(views: Sequence[View], config: HullConfig) -> Votes:
    """The votes of `views` as `config` needs them: exact from the number that `config.consistency` asks for.

    Raises UserError if no point has as many.
    """
    floor = votes_needed(len(views), config.consistency)
    votes = votes_of_masks(views, Lattice(config.lattice, config.box), config, floor)
    if not votes.counts.any():
        raise _empty_hull(views, config, floor)
    return votes


def _empty_hull(views: Sequence[View], config: HullConfig, needed: int) -> UserError:
    votes = votes_of_masks(views, Lattice(config.lattice, config.box), config, 0)
    most = int(votes.counts.max())
    message = (
        f"init.consistency: the hull is empty: no lattice point got the {needed} votes of {len(views)} that "
        f"{config.consistency:g} needs; the highest vote was {most}"
    )
    if away := look_away([view.camera for view in views]):
        return UserError(f"{message}; {away}")
    if most == 0:
        seen = ", or a lower init.least_seen" if config.outside == "abstain" else ""
        bounds = described(config.box)
        return UserError(f"{message}; expected init.bounds {bounds} to hold the object the masks show{seen}")
    below = Fraction(most, len(views) - 1)
    return UserError(
        f"{message}, so expected init.consistency below {math.floor(below * 1000) / 1000:g} "
        "(or less corruption.level, or init.bounds that hold the object)"
    )
