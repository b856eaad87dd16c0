"""What the cameras tell by themselves: lenses, and from where they see the object."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pointrad.camera import Camera, Float64Array
from pointrad.data.photo import Lens
from pointrad.data.poses import ONE_SIDE, gap_around, upward
from pointrad.inspection.findings import Finding, Severity, named

_NARROWEST, _WIDEST = 5.0, 150.0  # degrees: angles of view that lenses without fisheye distortion have
_OFF_CENTRE = 0.25  # of the width or height: principal points further off are rare but in pictures that were cut
_FEW = 5  # photographs


@dataclass(frozen=True)
class Coverage:
    """From where cameras see the object. gap: degrees of the largest part of the circle around it that has no camera.
    lowest, highest: degrees above the plane through it across the cameras' mean up. distances: nearest and farthest."""

    gap: float
    lowest: float
    highest: float
    distances: tuple[float, float]


def angles_of_view(lens: Lens) -> tuple[float, float]:
    """Degrees across and down, distortion not counted."""
    across, down = (2 * math.degrees(math.atan(size / 2 / focal))
                    for size, focal in ((lens.width, lens.fx), (lens.height, lens.fy)))  # fmt: skip
    return across, down


def coverage(cameras: Sequence[Camera], centre: Float64Array) -> Coverage:
    """centre: [3], where the object is, world units."""
    offsets = np.stack([camera.position for camera in cameras]) - centre
    distances = np.linalg.norm(offsets, axis=1)
    directions = offsets / np.maximum(distances, 1e-12)[:, None]
    heights = np.degrees(np.arcsin(np.clip(directions @ upward(cameras), -1, 1)))
    return Coverage(
        gap_around(cameras, centre), float(heights.min()), float(heights.max()), (distances.min(), distances.max())
    )


def findings(names: Sequence[str], cameras: Sequence[Camera], centre: Float64Array | None) -> tuple[Finding, ...]:
    """From where the views are seen. centre: [3], where the object is, world units; None if nothing tells."""
    said = _few(cameras)
    if centre is not None:
        said += [*_looking_away(names, cameras, centre), *_one_side(cameras, centre)]
    return tuple(said)


def of_lenses(names: Sequence[str], lenses: Sequence[Lens]) -> list[Finding]:
    """Lenses that there are not."""
    said = []
    angles = {name: max(angles_of_view(lens)) for name, lens in zip(names, lenses, strict=True) if not lens.fisheye}
    odd = [name for name, angle in angles.items() if not _NARROWEST <= angle <= _WIDEST]
    if odd:
        text = (
            f"{len(odd)} of {len(names)} views have a focal length that no lens has ({named(odd)}): that of {odd[0]} "
            f"is an angle of view of {angles[odd[0]]:.1f} degrees"
        )
        cure = f"give it in pixels of the pictures as they are; expected {_NARROWEST:g} to {_WIDEST:g} degrees"
        said.append(Finding("focal length", Severity.FAULT, 0.9, text, cure, tuple(odd)))
    off = {
        name: max(abs(lens.cx / lens.width - 0.5), abs(lens.cy / lens.height - 0.5))
        for name, lens in zip(names, lenses, strict=True)
    }
    far = [name for name, share in off.items() if share > _OFF_CENTRE]
    if far:
        text = (
            f"{len(far)} of {len(names)} views have their principal point far from the middle ({named(far)}): up to "
            f"{max(off.values()):.0%} of the picture"
        )
        cure = "give it in pixels of the pictures as they are, unless they were cut out of larger ones"
        said.append(Finding("principal point", Severity.FAULT, 0.6, text, cure, tuple(far)))
    return said


def _few(cameras: Sequence[Camera]) -> list[Finding]:
    if len(cameras) >= _FEW:
        return []
    text = f"there are {len(cameras)} photographs only, too few to tell much of masks or shape"
    return [Finding("few photographs", Severity.REMARK, 0.9, text, "take more, all around the object")]


def _looking_away(names: Sequence[str], cameras: Sequence[Camera], centre: Float64Array) -> list[Finding]:
    away = tuple(name for name, camera in zip(names, cameras, strict=True) if not camera.has_ahead(centre))
    if not away:
        return []
    text = f"{len(away)} of {len(names)} cameras look away from the object ({named(away)}): it is behind them"
    cure = "check their poses; those of OpenCV's axes need their 2nd and 3rd columns negated"
    return [Finding("cameras look away", Severity.FAULT, 0.5 + 0.5 * len(away) / len(names), text, cure, away)]


def _one_side(cameras: Sequence[Camera], centre: Float64Array) -> list[Finding]:
    seen = coverage(cameras, centre)
    if seen.gap <= ONE_SIDE or len(cameras) < _FEW:
        return []
    text = f"the cameras are on one side: {seen.gap:.0f} of the 360 degrees around the object have none"
    cure = "nothing, if you mean to show that side only; the hull is too deep there"
    return [Finding("cameras on one side", Severity.REMARK, 0.3, text, cure)]


def focal_lengths(lenses: Sequence[Lens]) -> str:
    """In pixels and degrees, most frequent size first."""
    sizes = Counter((lens.width, lens.height) for lens in lenses)
    said = []
    for size, _ in sizes.most_common(3):
        of_size = [lens for lens in lenses if (lens.width, lens.height) == size]
        focals = [focal for lens in of_size for focal in (lens.fx, lens.fy)]
        across = [angles_of_view(lens)[0] for lens in of_size]
        said.append(f"{_between(focals, '.1f')} px, {_between(across, '.1f')} degrees across")
    return "; ".join(said) + ("; ..." if len(sizes) > 3 else "")


def distortions(lenses: Sequence[Lens]) -> str:
    bent = [lens for lens in lenses if not lens.is_pinhole]
    if not bent:
        return "none"
    values = ", ".join(f"{value:g}" for value in bent[0].distortion)
    kind = "fisheye" if bent[0].fisheye else "k1 k2 p1 p2 ..."
    return f"in {len(bent)} of {len(lenses)} photographs, undistorted when loaded; the first: {kind} {values}"


def _between(values: Sequence[float], form: str) -> str:
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"
