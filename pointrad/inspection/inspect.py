"""Inspect a capture: what it is, how cameras and masks fit together, and what looks wrong, worst first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numba
import numpy as np

from pointrad.config import InspectConfig
from pointrad.files import replacing, write_json
from pointrad.init.votes import described
from pointrad.inspection import cameras, conventions, views
from pointrad.inspection.cameras import Coverage, coverage, distortions, focal_lengths
from pointrad.inspection.findings import Finding, Severity, worst_first
from pointrad.inspection.gather import Gathered, gather
from pointrad.inspection.hull import Fit, Look, focus
from pointrad.inspection.page import Inspection, html
from pointrad.progress import announce
from pointrad.schema import Bounds

PAGE, VALUES = "inspection.html", "inspection.json"
_OUTSIDE = 0.02  # of the hull's points may lie outside the bounds that are given
_TOO_LARGE = 8  # times as long as the hull: bounds in which it is a few points of a lattice


def inspect(config: InspectConfig, folder: Path) -> Inspection:
    """The inspection of a capture; `folder` gets it as a page and as values.

    Raises UserError if nothing can be inspected.
    """
    most = numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(min(config.threads, most) if config.threads else most)
    gathered = gather(config.capture, config.max_size)
    announce(f"{config.scene.name}: comparing the masks of {len(gathered.shots)} photographs with their hull")
    inspection = examine(config.scene.name, gathered, None if config.scene.bounds == "auto" else config.scene.bounds)
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(html(inspection), encoding="utf-8")
    write_json(folder / VALUES, _values(inspection))
    return inspection


def examine(name: str, gathered: Gathered, bounds: Bounds | None) -> Inspection:
    """bounds: where the user says that the object is, world units; None if they are to be found."""
    shots = gathered.shots
    names, lenses = [shot.name for shot in shots], [shot.lens for shot in shots]
    masks = {shot.name: shot.mask for shot in shots if shot.mask is not None}
    given = [Look(shot.camera, masks[shot.name]) for shot in shots if shot.name in masks]
    impossible = cameras.of_lenses(names, lenses)
    # With impossible lenses nothing fits, which is no finding of its own.
    lenses_are_wrong = 2 * len({name for finding in impossible for name in finding.views}) > len(names)
    if given:
        reading = conventions.with_right_axes(given)
        hull = views.robust_fit(reading.looks)
        if hull is not None and not lenses_are_wrong:
            refocused = conventions.with_right_focal_length(reading, hull.votes)
            reading, hull = refocused, hull if refocused is reading else views.robust_fit(refocused.looks)
    else:
        reading, hull = conventions.Reading((), conventions.poses_alone([shot.camera for shot in shots])), None
    judged = views.judge([*masks], reading.looks, hull)
    # What was wrong with all views is right from here on, so that one cause is one finding.
    right = {view.name: view.look.camera for view in judged}
    seen_from = [right.get(shot.name, shot.camera) for shot in shots]
    centre = hull.centre if hull is not None else focus(seen_from)
    found = [
        *gathered.findings,
        *reading.findings,
        *impossible,
        *views.of_single_masks(judged),
        *(() if lenses_are_wrong else views.findings(judged, hull)),
        *cameras.findings(names, seen_from, centre),
        *(_of_bounds(bounds, hull) if bounds is not None and hull is not None else ()),
    ]
    differing = sorted(judged, key=lambda view: -(view.difference.total if view.difference else 0.0))
    facts = _facts(gathered, hull, judged, coverage(seen_from, centre) if centre is not None else None)
    return Inspection(name, facts, worst_first(found), tuple(differing), {shot.name: shot for shot in shots}, hull)


def _of_bounds(bounds: Bounds, hull: Fit) -> list[Finding]:
    """Whether the bounds that are given hold the hull, and are not far larger."""
    low, high = np.array(bounds).T
    outside = float(((hull.points < low) | (hull.points > high)).any(axis=1).mean())
    suggested = f"expected about scene.bounds={described(_rounded(hull.bounds))}, or auto"
    if outside > _OUTSIDE:
        text = f"scene.bounds {described(bounds)} do not hold the object: {outside:.0%} of its hull lies outside"
        return [Finding("bounds too small", Severity.FAULT, 0.5 + 0.4 * outside, text, suggested)]
    times = float((high - low).max()) / max(b - a for a, b in hull.bounds)
    if times > _TOO_LARGE:
        text = f"scene.bounds {described(bounds)} are far too large: {times:.0f} times as long as the object's hull"
        return [Finding("bounds too large", Severity.FAULT, 0.5, text, suggested)]
    return []


def _rounded(bounds: Bounds) -> Bounds:
    """As one would write them, a little larger."""
    digits = 1 - math.floor(math.log10(max(high - low for low, high in bounds)))
    low, high = np.array(bounds).T
    unit = 10.0**-digits
    pairs = np.round([low - unit / 2, high + unit / 2], digits).T + 0.0  # no -0
    x, y, z = ((float(start), float(end)) for start, end in pairs)
    return x, y, z


def _facts(
    gathered: Gathered, hull: Fit | None, judged: Sequence[views.Judged], around: Coverage | None
) -> dict[str, str]:
    lenses = [shot.lens for shot in gathered.shots]
    sizes = Counter(f"{lens.width}x{lens.height}" for lens in lenses).most_common()
    facts = {
        "layout": gathered.layout,
        "photographs": f"{len(lenses)}: " + ", ".join(f"{count} of {size}" for size, count in sizes[:4])
        + (f" and {len(sizes) - 4} other sizes" if len(sizes) > 4 else ""),
        "focal lengths": focal_lengths(lenses),
        "distortion": distortions(lenses),
    }  # fmt: skip
    if around is not None:
        nearest, farthest = around.distances
        facts["cameras"] = (
            f"{around.lowest:.0f} to {around.highest:.0f} degrees above the object, {nearest:.3g} to {farthest:.3g} "
            f"from it; the largest gap around it is {around.gap:.0f} degrees"
        )
    facts["masks"] = gathered.masks or "none"
    if judged:
        shares = [view.coverage for view in judged]
        touching = sum(view.touches > 0 for view in judged)
        facts["mask coverage"] = (
            f"{min(shares):.0%} to {max(shares):.0%} of a picture, median {np.median(shares):.0%}; {touching} of "
            f"{len(judged)} touch the border"
        )
    right = [mask_iou for shot in gathered.shots if (mask_iou := shot.mask_iou) is not None]
    if right:
        facts["reference masks"] = (
            f"IoU of the given ones with them {np.mean(right):.4f} on average, {min(right):.4f} at least"
        )
    if hull is not None:
        facts["hull"] = (
            f"in {described(_rounded(hull.bounds))} (world units); up to {hull.missed} masks may miss a point; IoU of "
            f"its silhouettes and masks {hull.agreement:.3f} in the median, {hull.iou.min():.3f} at least"
        )
    return facts


def _values(inspection: Inspection) -> dict[str, object]:
    """What `inspection.json` holds."""
    return {
        "name": inspection.name,
        "facts": inspection.facts,
        "findings": [asdict(finding) for finding in inspection.findings],
        "views": [
            {
                "name": view.name,
                "coverage": view.coverage,
                "touching": view.touches,
                "iou": view.iou,
                "mask_only": view.difference and view.difference.beyond,
                "hull_only": view.difference and view.difference.lacking,
            }
            for view in inspection.views
        ],
    }
