"""What is doubtful about cameras that were found, in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median

from pointrad.capturing.config import FlagsConfig
from pointrad.capturing.photographs import Photograph
from pointrad.capturing.structure import Structure, stillness


def field_of_view(photograph: Photograph, focal: float) -> float:
    """Degrees, along the longer side."""
    return math.degrees(2 * math.atan(max(photograph.width, photograph.height) / (2 * focal)))


def findings(structure: Structure, photographs: Sequence[Photograph], flags: FlagsConfig) -> list[str]:
    """What a person should look at, worst first."""
    return [*_surroundings(structure, flags), *_models(structure), *_unregistered(structure, photographs),
            *_lenses(structure, photographs, flags), *_quality(structure, flags)]  # fmt: skip


def _surroundings(structure: Structure, flags: FlagsConfig) -> Iterator[str]:
    if said := stillness(structure.pairs, structure.still, flags):
        yield f"these cameras may be wrong: {said}"


def _models(structure: Structure) -> Iterator[str]:
    if structure.others:
        left_out = " and ".join(map(str, structure.others))
        yield (
            f"photographs fall apart into {len(structure.others) + 1} models that share too little; kept the largest, "
            f"of {len(structure.focals)} photographs, and left out {left_out} photographs of others"
        )


def _unregistered(structure: Structure, photographs: Sequence[Photograph]) -> Iterator[str]:
    if names := [one.name for one in photographs if one.name not in structure.focals]:
        yield f"{len(names)} of {len(photographs)} photographs have no pose: {', '.join(names)}"


def _lenses(structure: Structure, photographs: Sequence[Photograph], flags: FlagsConfig) -> Iterator[str]:
    registered = [one for one in photographs if one.name in structure.focals]
    least, most = flags.field_of_view
    views = {one.name: field_of_view(one, structure.focals[one.name]) for one in registered}
    if strange := {name: view for name, view in views.items() if not least <= view <= most}:
        name, view = next(iter(strange.items()))
        yield (
            f"{len(strange)} photographs have a field of view that lenses do not have, {name} one of {view:.2g} "
            f"degrees (focal length {structure.focals[name]:.0f} px); expected {least:g} to {most:g}"
        )
    off = [structure.focals[one.name] / one.focal for one in registered if one.focal is not None]
    if off and not 1 / flags.focal_off_exif <= median(off) <= flags.focal_off_exif:
        yield f"focal lengths are {median(off):.2f} times what EXIF says, in the median; expected about 1"


def _quality(structure: Structure, flags: FlagsConfig) -> Iterator[str]:
    if structure.error > flags.reprojection_error:
        yield (
            f"points are {structure.error:.2f} px off where photographs see them, in the mean; expected at most "
            f"{flags.reprojection_error:g}"
        )
    if structure.points < flags.points:
        yield f"the model has only {structure.points} points; expected {flags.points} at least"
