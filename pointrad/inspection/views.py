"""What is wrong with single views: masks that say nothing, or that contradict those of the others, and in which way."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import affine_transform, distance_transform_edt, shift

from pointrad.camera import Float64Array
from pointrad.inspection.findings import Finding, Severity, named
from pointrad.inspection.hull import Difference, Fit, Look, Mask, fit, overlap
from pointrad.masks.hard import border, looks_inverted

_FEWEST = 4  # views: the hull of fewer says little of a mask
_OUTLIER = 0.25  # of IoU below the median: such views do not vote again
# Chosen on mary_rose, dtu_24, hotdog, the demo scene and made-up ones. The right masks of the real ones differ by 0.037
# at most if there are 16 views or more; with fewer the hull is larger than the object, which costs nobody anything.
_WRONG = 0.045  # of what mask and silhouette show: a mask that differs by more is wrong if it is beyond,
_TYPICAL = 4.5  # and by more than so many times the median, where masks are rough;
_COSTS = 0.0035  # or if others lose so much by what it lacks: by 0.0025 at most to right ones, 0.004 to a mouth cut out
_SAMPLED = 9  # views of which the median is asked
_UNFIT = 0.03  # of the median view: what contradicts the others; up to 0.005 where masks and cameras fit
_EXPLAINED = 1 / 3  # of the difference is left by a cause that explains it
_EMPTY = 0.005  # of the picture: a silhouette so small is none
_LIKELY = 4  # views of which a mask may be: those whose hull it covers best
_SHOWN = 4  # views that a finding tells of
_MOVED = 0.01  # of the picture: masks that are moved by less are not moved
_EXIF = "turn the mask, or the photograph: one of them may have been turned as its EXIF data says"
_OUTLINES = "compare the outlines of mask and hull on the page, and mend the mask where they differ"
_SAME_PLACE = 1e-4  # of the distance to the object: two cameras in one place


@dataclass(frozen=True)
class Judged:
    """A view's mask beside the silhouette of the hull of the others.

    unknown: where others see too little to tell. silhouette, unknown, iou: None if there is no hull. difference: nor
    where the mask is empty or full.
    """

    name: str
    look: Look
    silhouette: Mask | None
    unknown: Mask | None
    iou: float | None
    difference: Difference | None

    @property
    def coverage(self) -> float:
        return float(self.look.mask.mean())

    @property
    def touches(self) -> float:
        """The share of the picture's border that is the object's."""
        return float(border(self.look.mask).mean())


def voting(looks: Sequence[Look]) -> list[bool]:
    """Which masks show some of the object, and are not inverted by the looks of them while others are not."""
    shows = [bool(look.mask.any() and not look.mask.all()) for look in looks]
    suspects = looks_inverted([look.mask for look in looks])
    if 2 * len(suspects) > sum(shows):
        return shows
    return [does and n not in suspects for n, does in enumerate(shows)]


def robust_fit(looks: Sequence[Look]) -> Fit | None:
    """The hull of the views that do not contradict it altogether."""
    votes = voting(looks)
    if sum(votes) < 2:
        return None
    found = fit(looks, votes)
    if found is None or sum(votes) < _FEWEST:
        return found
    typical = float(np.median(found.iou[votes]))
    agreeing = [does and iou > typical - _OUTLIER for does, iou in zip(votes, found.iou, strict=True)]
    if agreeing == votes or sum(agreeing) < _FEWEST:
        return found
    return fit(looks, agreeing) or found


def judge(names: Sequence[str], looks: Sequence[Look], found: Fit | None) -> tuple[Judged, ...]:
    """Each view beside the hull, in the order given."""
    if found is None:
        return tuple(Judged(name, look, None, None, None, None) for name, look in zip(names, looks, strict=True))
    shown = zip(names, looks, found.silhouettes, found.unknown, found.iou, strict=True)
    return tuple(
        Judged(name, look, silhouette, unknown, float(iou), _difference(look, silhouette, unknown, found))
        for name, look, silhouette, unknown, iou in shown
    )


def _difference(look: Look, silhouette: Mask, unknown: Mask, found: Fit) -> Difference | None:
    """None for a mask that is empty or full."""
    if not look.mask.any() or look.mask.all():
        return None
    return found.difference(look.mask & ~unknown, silhouette, look.camera)


def of_single_masks(views: Sequence[Judged]) -> tuple[Finding, ...]:
    """What masks show by themselves."""
    return *_saying_nothing(views), *_touching(views)


def findings(views: Sequence[Judged], found: Fit | None) -> tuple[Finding, ...]:
    """What is wrong with single masks beside the others, and with all of them together."""
    if found is None:
        return (_no_hull(len(views)),) if views else ()
    compared = [n for n, view in enumerate(views) if view.difference is not None]
    if len(compared) < _FEWEST:
        return ()
    typical = _typical(views, compared, found)
    wrong = [views[n] for n in compared if _contradicts(n, views[n], found, typical)]
    unfit = [] if typical.fits else [_unfit(typical, found)]
    return *unfit, *_explained(wrong, views, found)


@dataclass(frozen=True)
class Typical:
    """What the median view shows beyond the hull of the others, and what the others lose by what it lacks."""

    beyond: float
    cost: float

    @property
    def fits(self) -> bool:
        """Whether masks and cameras do, as a whole."""
        return self.beyond + self.cost <= _UNFIT


def _typical(views: Sequence[Judged], compared: Sequence[int], found: Fit) -> Typical:
    """The cost is asked of some views, and only where the median view differs: it takes longer."""
    differences = np.array([(view.difference.beyond, view.difference.total) for view in views if view.difference])
    beyond, total = np.median(differences, axis=0).tolist()
    some = np.unique(np.linspace(0, len(compared) - 1, _SAMPLED).round().astype(int)) if total > _WRONG else ()
    costs = [found.cost_to_others(compared[n]) for n in some]
    return Typical(beyond, float(np.median(costs)) if costs else 0.0)


def _contradicts(n: int, view: Judged, found: Fit, typical: Typical) -> bool:
    """Whether the n-th view differs from the others by more than sound masks do. A camera that has the object behind it
    is another matter."""
    difference = view.difference
    if difference is None or not view.look.camera.has_ahead(found.centre):
        return False
    if difference.beyond > max(_WRONG, _TYPICAL * typical.beyond):
        return True
    return typical.fits and difference.total > _WRONG and found.cost_to_others(n) > _COSTS


def _no_hull(views: int) -> Finding:
    text = f"the {views} masks have no place in common: no point lies in nearly all of those that see it"
    cure = "check that poses belong to these photographs, their axes, and the size that the focal length is for"
    return Finding("no hull", Severity.FAULT, 1.0, text, cure)


def _unfit(typical: Typical, found: Fit) -> Finding:
    text = (
        f"in the median view, {typical.beyond:.1%} of what the mask or the hull of the others shows is in the mask "
        f"only, and the others lose {typical.cost:.1%} of theirs by what it lacks; expected at most {_UNFIT:.0%} "
        f"together (IoU {found.agreement:.2f})"
    )
    cure = "check masks and cameras; an object that moves, or is something else in each mask, has no hull"
    return Finding("masks and cameras do not fit", Severity.FAULT, 0.6, text, cure)


def _saying_nothing(views: Sequence[Judged]) -> list[Finding]:
    """Masks that are empty or full, which is right where the others show as much."""
    said = []
    empty = [view for view in views if not view.look.mask.any()]
    full = [view for view in views if view.look.mask.all()]
    for some, kind, is_right in ((empty, "empty", _EMPTY), (full, "full", 1 - _WRONG)):
        shares = {view.name: _filled(view, full=kind == "full") for view in some}
        wrong = [name for name, share in shares.items() if (share > is_right if kind == "empty" else share < is_right)]
        if wrong:
            most = (max if kind == "empty" else min)(shares[name] for name in wrong)
            others = "" if views[0].silhouette is None else f"; by the others the object fills up to {most:.0%} of them"
            if kind == "full" and views[0].silhouette is not None:
                others = f"; by the others the object fills {most:.0%} of one of them"
            text = f"{len(wrong)} of {len(views)} masks are {kind} ({named(wrong)}){others}"
            cure = "make these masks anew; views without a usable mask are left out of training"
            weight = 0.4 + 0.6 * len(wrong) / len(views)
            said.append(Finding(f"{kind} masks", Severity.FAULT, weight, text, cure, tuple(wrong)))
    return said


def _filled(view: Judged, full: bool) -> float:
    """The share of the picture that is the object's by the others; at most, if it may be full."""
    if view.silhouette is None or view.unknown is None:
        return 0.5
    return float(np.mean(view.silhouette | view.unknown if full else view.silhouette))


def _touching(views: Sequence[Judged]) -> list[Finding]:
    names = [view.name for view in views if view.touches and not view.look.mask.all()]
    if not names:
        return []
    worst = max(view.touches for view in views if not view.look.mask.all())
    text = f"the object touches the border in {len(names)} of {len(views)} pictures, on up to {worst:.0%} of it"
    cure = "nothing; but the hull must let views abstain outside their pictures, or it is cut off there"
    return [Finding("object leaves the picture", Severity.REMARK, 0.1 + 0.2 * len(names) / len(views), text, cure)]


def _explained(wrong: Sequence[Judged], views: Sequence[Judged], found: Fit) -> list[Finding]:
    """One finding for each kind of cause, its views worst first."""
    by_kind: dict[str, list[Cause]] = {}
    done: set[str] = set()
    for view in sorted(wrong, key=_total, reverse=True):
        if view.name not in done:
            cause = _cause(view, [other for other in views if other.name not in done], wrong, found)
            by_kind.setdefault(cause.kind, []).append(cause)
            done |= set(cause.views)
    return [_finding(causes, len(views)) for causes in by_kind.values()]


def _finding(causes: Sequence[Cause], views: int) -> Finding:
    named_views = tuple(name for cause in causes for name in cause.views)
    details = [cause.text for cause in causes[:_SHOWN]]
    more = f"; and {len(causes) - _SHOWN} more" if len(causes) > _SHOWN else ""
    count = f"{len(named_views)} of {views} masks {'differs' if len(named_views) == 1 else 'differ'}"
    text = f"{count} from the hull of the others, where at most {_WRONG:.1%} is expected: {'; '.join(details)}{more}"
    weight = 0.3 + 0.5 * min(1.0, causes[0].total)
    return Finding(causes[0].kind, Severity.FAULT, weight, text, causes[0].cure, named_views)


@dataclass(frozen=True)
class Cause:
    """What may be wrong with a view. left: the difference from the hull that is left if that is mended. total: the
    one that there is. text: how the view is wrong, with the numbers."""

    kind: str
    left: float
    total: float
    text: str
    cure: str
    views: tuple[str, ...]


def _cause(view: Judged, views: Sequence[Judged], wrong: Sequence[Judged], found: Fit) -> Cause:
    """The cause that explains most; of those that explain as much, the first."""
    causes = [*_of_another_view(view, views, wrong, found), *_turned(view, found)]
    if view.silhouette is not None and view.silhouette.any():
        causes += [*_grown(view, view.silhouette, found), *_moved(view, view.silhouette, found)]
    explaining = [cause for cause in causes if cause.left < max(_EXPLAINED * cause.total, _WRONG / 2)]
    return min(explaining, key=lambda cause: round(cause.left, 2)) if explaining else _unexplained(view)


def _total(view: Judged) -> float:
    return 0.0 if view.difference is None else view.difference.total


def _left(view: Judged, mask: Mask, silhouette: Mask | None, found: Fit) -> float:
    """The difference of another mask, or from another silhouette; 1 where they cannot be compared."""
    unknown = view.unknown
    if silhouette is None or unknown is None or mask.shape != silhouette.shape or not mask.any():
        return 1.0
    return found.difference(mask & ~unknown, silhouette, view.look.camera).total


def _turned(view: Judged, found: Fit) -> Iterator[Cause]:
    """The mask inverted or turned over."""
    mask = view.look.mask
    for kind, right, said, cure in (
        ("inverted mask", ~mask, "inverted", "exchange object and background in it"),
        ("mirrored mask", mask[:, ::-1], "with left and right exchanged", "mirror the mask, or the photograph"),
        ("mask upside down", mask[::-1], "with top and bottom exchanged", "turn the mask over, or the photograph"),
        ("mask turned by 180 degrees", mask[::-1, ::-1], "turned by 180 degrees", _EXIF),
        ("mask turned by 90 degrees", np.rot90(mask), "turned by 90 degrees", _EXIF),
        ("mask turned by 90 degrees", np.rot90(mask, -1), "turned by 90 degrees", _EXIF),
    ):
        left = _left(view, right, view.silhouette, found)
        yield _named(kind, view, left, f"by {left:.0%} if it is {said}", cure)


def _named(kind: str, view: Judged, left: float, mended: str, cure: str) -> Cause:
    return Cause(kind, left, _total(view), f"{view.name} by {_total(view):.0%}, {mended}", cure, (view.name,))


def _of_another_view(view: Judged, views: Sequence[Judged], wrong: Sequence[Judged], found: Fit) -> Iterator[Cause]:
    """Its pose, mask or photograph is that of another view."""
    pose, mask, wrong_names = view.look.camera.camera_to_world, view.look.mask, {other.name for other in wrong}
    near = _SAME_PLACE * float(np.linalg.norm(view.look.camera.position - found.centre))
    likely = {other.name for other in sorted(views, key=lambda other: -_covering(mask, other))[:_LIKELY]}
    for other in views:
        if other.name == view.name:
            continue
        same_pose = (np.abs(other.look.camera.camera_to_world - pose) < [[_SAME_PLACE] * 3 + [near]]).all()
        if same_pose and _total(other) < _total(view):
            cure = "give it its own pose, or leave it out"
            yield _named("pose of another view", view, 0.0, f"which has the pose of {other.name}", cure)
        if other.name not in likely:
            continue
        left = _left(other, mask, other.silhouette, found)
        if other.name in wrong_names:
            left = max(left, _left(view, other.look.mask, view.silhouette, found))
            text = (
                f"{view.name} and {other.name} by {_total(view):.0%} and {_total(other):.0%}, by {left:.0%} at most if "
                "they are exchanged"
            )
            cure = "exchange their photographs and masks, or their poses"
            yield Cause("swapped views", left, _total(view), text, cure, (view.name, other.name))
        elif np.array_equal(mask, other.look.mask) or left < _EXPLAINED * _WRONG:
            cure = "give it its own mask; if its photograph is the other's as well, its own photograph or pose"
            yield _named("mask of another view", view, left, f"by {left:.0%} from the camera of {other.name}", cure)


def _covering(mask: Mask, other: Judged) -> float:
    """IoU of a mask and the hull from the camera of another view."""
    silhouette = other.silhouette
    return 0.0 if silhouette is None or silhouette.shape != mask.shape else overlap(mask, silhouette)


def _moved(view: Judged, silhouette: Mask, found: Fit) -> Iterator[Cause]:
    """The mask moved, or larger or smaller as those of other crops are."""
    mask, (height, width) = view.look.mask, view.look.mask.shape
    across, down = _best_shift(mask, silhouette)
    if np.hypot(across / width, down / height) >= _MOVED:
        left = _left(view, *_both_moved(mask, silhouette, 1.0), found)
        mended = (
            f"by {left:.0%} if it is moved by {across / width:+.0%} of the width, {down / height:+.0%} of the height"
        )
        cure = "check whether the mask was cut or padded, and the camera's direction"
        yield _named("shifted mask", view, left, mended, cure)
    factor = math.sqrt(np.count_nonzero(silhouette) / np.count_nonzero(mask))
    if abs(math.log(factor)) >= _MOVED:
        left = _left(view, *_both_moved(mask, silhouette, factor), found)
        cure = "check whether the mask is of another crop than the photograph, and the camera's distance"
        yield _named("scaled mask", view, left, f"by {left:.0%} if it is {factor:.2f} times as large", cure)


def _grown(view: Judged, silhouette: Mask, found: Fit) -> Iterator[Cause]:
    """The mask too large or too small, all along its outline."""
    mask, width = view.look.mask, view.look.mask.shape[1]
    inwards: Float64Array = distance_transform_edt(mask) - distance_transform_edt(~mask)
    limit = float(np.sort(inwards, axis=None)[-max(1, int(np.count_nonzero(silhouette)))])
    left = _left(view, inwards >= limit, silhouette, found)
    kind, where = ("mask too large", "inwards") if limit > 0 else ("mask too small", "outwards")
    mended = f"by {left:.0%} if its outline is moved {where} by {abs(limit) / width:.1%} of the width"
    yield _named(kind, view, left, mended, _OUTLINES)


def _both_moved(mask: Mask, silhouette: Mask, factor: float) -> tuple[Mask, Mask]:
    """A mask made larger and moved to where it covers the silhouette best; and the silhouette, where that is known."""
    mask = _zoomed(mask, factor)
    across, down = _best_shift(mask, silhouette)
    moved, known = (
        shift(pixels.astype(np.uint8), (down, across), order=0, cval=0) > 0
        for pixels in (mask, _zoomed(np.ones_like(mask), factor))
    )
    return moved, silhouette & known


def _zoomed(mask: Mask, factor: float) -> Mask:
    """About its middle; nothing beyond its edge."""
    centre = (np.array(mask.shape) - 1) / 2
    offset = centre - centre / factor
    zoomed: Mask = affine_transform(mask.astype(np.uint8), [1 / factor] * 2, offset, order=0, cval=0) > 0
    return zoomed


def _best_shift(mask: Mask, silhouette: Mask) -> tuple[int, int]:
    """By how many pixels across and down a mask covers a silhouette best."""
    rows, columns = 2 * mask.shape[0], 2 * mask.shape[1]
    spectrum = np.conj(rfft2(mask, (rows, columns))) * rfft2(silhouette, (rows, columns))
    shared: Float64Array = irfft2(spectrum, (rows, columns))
    down, across = np.unravel_index(int(shared.argmax()), shared.shape)
    return int((across + columns // 2) % columns - columns // 2), int((down + rows // 2) % rows - rows // 2)


def _unexplained(view: Judged) -> Cause:
    difference = view.difference
    assert difference is not None
    kind, cure = "contradicting view", "look at it on the page: it shows something else, or its pose is wrong"
    if difference.lacking < difference.beyond / 4:
        kind, cure = "mask too large", _OUTLINES
    elif difference.beyond < difference.lacking / 4:
        kind, cure = "mask too small", _OUTLINES
    said = f"{difference.beyond:.0%} in the mask only and {difference.lacking:.0%} in the hull only"
    return _named(kind, view, difference.total, said, cure)
