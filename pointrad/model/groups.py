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


def gaussians(degree: int) -> tuple[Group, ...]:
    """Of anisotropic Gaussians with harmonics up to this degree; the constant one is part of the base colour."""
    return (
        Group("position", 3, "position", "centre, scene units"),
        Group("scale", 3, "scale", "log of the standard deviations along the splat's own axes, scene units"),
        Group("rotation", 4, "rotation", "quaternion w x y z of the own axes, of any length"),
        Group("opacity", 1, "opacity", "logit"),
        Group("base", 3, "base", "base RGB"),
        Group("harmonics", 3 * ((degree + 1) ** 2 - 1), "harmonics", "coefficients of degree 1 and more, each RGB"),
    )


_EVERY_MODEL = {"position": (3,), "base": (3,), "harmonics": tuple(3 * ((degree + 1) ** 2 - 1) for degree in range(4))}


def problem(groups: Sequence[Group]) -> str | None:
    """What is wrong with the groups of a user's own model; None where nothing is."""
    widths = {group.name: group.width for group in groups}
    if len(widths) < len(groups):
        return f"found {', '.join(group.name for group in groups)}; expected each name once"
    for name, wanted in _EVERY_MODEL.items():
        if widths.get(name) not in wanted:
            expected = " or ".join(map(str, wanted))
            return f"found {name} of width {widths.get(name)}; expected {expected}, as every model has"
    in_order = [group.rate for group, after in zip(groups, [*groups[1:], None], strict=True)
                if after is None or after.rate != group.rate]  # fmt: skip
    if len(set(in_order)) < len(in_order):
        return f"found the rates {', '.join(in_order)}; expected groups of one rate beside each other"
    return None


def rates(groups: Sequence[Group]) -> tuple[str, ...]:
    """The keys of `lr` that these groups train at, in their order, each once."""
    return tuple(dict.fromkeys(group.rate for group in groups))
