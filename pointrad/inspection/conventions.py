"""What is wrong with all views alike: axes, directions of transforms, masks black on white, a focal length.

Each is tried: where cameras and masks agree far better with it than as they are given, that is what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pointrad.camera import Camera, Float64Array
from pointrad.data.poses import look_away, refuse_world_to_camera
from pointrad.errors import UserError
from pointrad.inspection.findings import Finding, Severity
from pointrad.inspection.hull import Look, Mask, fit
from pointrad.masks.hard import looks_inverted

_TRIED_ON = 20  # views, spread over all
_LATTICE = 64  # points along the box: with fewer, thin things come and go
_FITTING = 0.9  # median IoU from which on no other reading is tried
_LEAST = 0.7  # median IoU with another reading, else that is not it either
_FAR_BETTER = 2  # times smaller must the difference be with another reading
_AS_GOOD = 0.005  # of the picture: a change of poses or masks must gain so much over none
_SHORTER, _LONGER = (0.9, 0.8, 0.7, 0.6, 0.5), (1.1, 1.25, 1.4, 1.6, 2.0)  # factors of focal lengths that are tried
_RIGHT = (0.9, 1.0, 1.1)  # factors that nothing is said of
# Chosen on mary_rose, hotdog, the demo scene and four made-up ones: where focal lengths are right another one is up to
# 1.19 times better, where they are 1.3 times too long or short mostly more than 1.35.
_FEWEST = 12  # views: with fewer, the hull is too large to tell
_CLEARLY = 1.3  # times smaller must the difference be at another focal length,
_WELL = 0.85  # and so large the median IoU
_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])

_POSES: dict[str, Callable[[Float64Array], Float64Array]] = {
    "OpenCV axes": lambda pose: pose @ _OPENCV,
    "world-to-camera poses": lambda pose: _inverse(pose),
    "world-to-camera poses in OpenCV axes": lambda pose: _inverse(pose) @ _OPENCV,
}
_MASKS: dict[str, Callable[[Mask], Mask]] = {
    "all masks inverted": lambda mask: ~mask,
    "all masks mirrored": lambda mask: mask[:, ::-1],
    "all masks upside down": lambda mask: mask[::-1],
    "all masks turned by 180 degrees": lambda mask: mask[::-1, ::-1],
}
_CURES = {
    "OpenCV axes": "negate the 2nd and 3rd columns of each transform_matrix, which is to have OpenGL's axes (y up, "
    "looking along -z)",
    "world-to-camera poses": "invert each transform_matrix, which is to be camera-to-world",
    "world-to-camera poses in OpenCV axes": "the poses are as COLMAP writes them: invert each transform_matrix, then "
    "negate its 2nd and 3rd columns",
    "all masks inverted": "masks.invert=true, if they are in a folder; else exchange object and background in them",
    "all masks mirrored": "mirror the masks, or the photographs",
    "all masks upside down": "turn the masks over, or the photographs",
    "all masks turned by 180 degrees": "turn the masks, or the photographs: one of them may have been turned as its "
    "EXIF data says",
}


@dataclass(frozen=True)
class Reading:
    """The views as they are to be read: what was wrong with all of them is put right."""

    looks: tuple[Look, ...]
    findings: tuple[Finding, ...] = ()


def with_right_axes(looks: Sequence[Look]) -> Reading:
    """The views, read in the way in which they agree: poses and masks as they are unless other ones are far better."""
    given = _tried(looks)
    if given.iou >= _FITTING and 2 * len(looks_inverted([look.mask for look in looks])) <= len(looks):
        return Reading(tuple(looks))
    readings = {
        (of_poses, of_masks): _as_read(looks, of_poses, of_masks)
        for of_poses in (None, *_POSES)
        for of_masks in (None, *_MASKS)
    }
    trials = {kinds: _tried(read) for kinds, read in readings.items()}
    # What changes less is preferred to what agrees as well.
    best = min(trials, key=lambda kinds: trials[kinds].differing + _AS_GOOD * sum(kind is not None for kind in kinds))
    if trials[best].iou < _LEAST or given.differing < _FAR_BETTER * trials[best].differing:
        return Reading(tuple(looks))
    found = tuple(_of_reading(kind, trials[best], given) for kind in best if kind is not None)
    return Reading(readings[best], found)


def _of_reading(kind: str, read: Trial, given: Trial) -> Finding:
    text = (
        f"in the median view, masks and the hull of the others differ in {given.differing:.1%} of the picture (IoU "
        f"{given.iou:.2f}), in {read.differing:.1%} (IoU {read.iou:.2f}) if read as {kind.removeprefix('all ')}"
    )
    return Finding(kind, Severity.FAULT, 1.0, text, _CURES[kind])


def _as_read(looks: Sequence[Look], of_poses: str | None, of_masks: str | None) -> tuple[Look, ...]:
    if of_poses is not None:
        looks = _posed(looks, _POSES[of_poses])
    if of_masks is not None:
        looks = [replace(look, mask=_MASKS[of_masks](look.mask)) for look in looks]
    return tuple(looks)


def poses_alone(cameras: Sequence[Camera]) -> tuple[Finding, ...]:
    """What the cameras tell where there are no masks to try them on."""
    found = []
    try:
        refuse_world_to_camera(cameras)
    except UserError as error:
        found.append(Finding("world-to-camera poses", Severity.FAULT, 1.0, str(error), _CURES["world-to-camera poses"]))
    if not found and (away := look_away(cameras)):
        found.append(Finding("OpenCV axes", Severity.FAULT, 1.0, away, _CURES["OpenCV axes"]))
    return tuple(found)


def with_right_focal_length(reading: Reading, agreeing: Sequence[bool]) -> Reading:
    """With another focal length for all views, if masks can tell: they agree well, and clearly better, at it.

    agreeing: which views do not contradict the others altogether; the rest is not asked.
    """
    asked = [look for look, agrees in zip(reading.looks, agreeing, strict=True) if agrees]
    if len(asked) < _FEWEST:
        return reading
    trials = _focal_trials(asked)
    best = min(trials, key=lambda factor: trials[factor].differing)
    given, found = trials[1.0], trials[best]
    if best in _RIGHT or found.iou < _WELL or given.differing < _CLEARLY * found.differing:
        return reading
    text = (
        f"in the median view, masks and the hull of the others differ in {given.differing:.1%} of the picture (IoU "
        f"{given.iou:.2f}), in {found.differing:.1%} (IoU {found.iou:.2f}) if focal lengths are {best:g} times as long"
    )
    cure = "find the cameras anew, or give the focal length of the size that the pictures have now"
    finding = Finding("focal length", Severity.FAULT, 0.7, text, cure)
    return Reading(_zoomed(reading.looks, best), (*reading.findings, finding))


def _focal_trials(looks: Sequence[Look]) -> dict[float, Trial]:
    """Those of the given focal lengths and of others, each way until masks agree less than one step before."""
    given = _tried(looks)
    trials = {1.0: given}
    for factors in (_SHORTER, _LONGER):
        before = given
        for factor in factors:
            trials[factor] = _tried(_zoomed(looks, factor))
            if trials[factor].differing > before.differing:
                break
            before = trials[factor]
    return trials


@dataclass(frozen=True)
class Trial:
    """How well masks agree with the hull of the others, in the median view.

    differing: the share of the picture in which they differ; unlike IoU, it also compares masks with their inverses.
    """

    iou: float
    differing: float


def _tried(looks: Sequence[Look]) -> Trial:
    """Of some of the views. Where there is no hull, all that masks show differs."""
    looks = [look for look in looks if look.mask.any() and not look.mask.all()]
    if not looks:
        return Trial(0.0, 1.0)
    chosen = np.unique(np.linspace(0, len(looks) - 1, min(_TRIED_ON, len(looks))).round().astype(int))
    looks = [looks[index] for index in chosen]
    found = fit(looks, size=_LATTICE)
    if found is None:
        return Trial(0.0, float(np.median([look.mask.mean() for look in looks])))
    differing = [np.mean(look.mask != drawn) for look, drawn in zip(looks, found.silhouettes, strict=True)]
    return Trial(found.agreement, float(np.median(differing)))


def _inverse(pose: Float64Array) -> Float64Array:
    return np.linalg.inv(pose).astype(np.float64)


def _posed(looks: Sequence[Look], turned: Callable[[Float64Array], Float64Array]) -> tuple[Look, ...]:
    return tuple(
        replace(look, camera=replace(look.camera, camera_to_world=turned(look.camera.camera_to_world)))
        for look in looks
    )


def _zoomed(looks: Sequence[Look], factor: float) -> tuple[Look, ...]:
    return tuple(
        replace(look, camera=replace(look.camera, fx=look.camera.fx * factor, fy=look.camera.fy * factor))
        for look in looks
    )
