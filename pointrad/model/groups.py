"""The parameters of each model's splats, by name. Free of torch, so that a configuration is checked in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """Parameters of one meaning, which every splat has.

    width: values per splat. rate: the key of a stage's `lr` at which it trains; groups that share one are neighbours.
    meaning: with units, for docs and error messages.
    """

    name: str
    width: int
    rate: str
    meaning: str


# The published programs train base colours and harmonics at one rate.
POINTS = (
    Group("position", 3, "position", "centre, scene units"),
    Group("base", 3, "colour", "base RGB"),
    Group("harmonics", 27, "colour", "coefficients of degrees 0 to 2, coefficient by coefficient, each RGB"),
)


def rates(groups: Sequence[Group]) -> tuple[str, ...]:
    """The keys of `lr` that these groups train at, in their order, each once."""
    return tuple(dict.fromkeys(group.rate for group in groups))
