"""The hull that agrees best with what the training views show: a start that needs no consistency ratio.

Each pixel of a training view is seen as the object, as background, or tells nothing. A lattice point that some view
sees as background is empty, whatever masks say; of the others, those are kept that enough views see as the object. How
many is enough is decided by the views themselves: the hull's silhouettes should be the pixels seen as the object.
docs/robustness.md explains and measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, generate_binary_structure

from pointrad.config import AdaptiveConfig
from pointrad.errors import UserError
from pointrad.hull import Lattice, Votes, count_votes
from pointrad.scene.types import Camera, Float32Array, Float64Array, View

Pixels = NDArray[np.bool_]

_BACKGROUND_TOLERANCE = 0.5 / 255  # of a channel: what an 8-bit picture cannot tell from the background
_COARSENING = 3  # the rule is chosen on a lattice this much coarser,
_LEAST_COARSE = 64  # but of at least as many points along an axis,
_CROSS = generate_binary_structure(2, 1)[None]  # a pixel and its four neighbours, in each view on its own
_MOST_VIEWS = 25  # and on as many silhouettes, spread over the views
_EXPLAINED = 0.998  # of the pixels seen as the object that can be explained, by the points that may belong to it
_ERROR_SHARES = (0, 0.01, 0.02, 0.04)  # of the views may err when they see background: dark spots of an object do


@dataclass(frozen=True)
class Evidence:
    """What each pixel of the views says; where neither holds, it tells nothing.

    seen_object, seen_background: [V, H, W] bool.
    """

    views: tuple[View, ...]
    seen_object: Pixels
    seen_background: Pixels


@dataclass(frozen=True)
class Rule:
    """Which lattice points are kept: at least `needed` views see the object there, at most `errors` background.

    plausible: with as few views, at most `needed`, the points explain nearly every pixel that is seen as the object.
    """

    needed: int
    plausible: int
    errors: int


@dataclass(frozen=True)
class AgreeingHull:
    """votes: of the hull's points, how many views see the object there, 0 elsewhere. plausible: likewise, of the points
    that may belong to the object though they are not in the hull, too."""

    votes: Votes
    plausible: Votes


def gather_evidence(views: Sequence[View], background: tuple[float, float, float], source: str, cut: bool) -> Evidence:
    """What `views` say: their images as training sees them, and their masks, which may be wrong.

    background: the RGB that shows where there is no object. source: "none" asks no masks. cut: whether the images were
    set to the background outside their masks; their background then tells something inside their masks only.

    An image whose border mostly shows the background has a clean one, so everything else in it is the object. In other
    images, photographs with surroundings and those that masks have cut, the object is what also lies in the mask.
    """
    images = np.stack([view.image for view in views])
    masks = np.stack([view.mask > 0 for view in views])
    if source == "none":
        masks = np.ones_like(masks)
    differences = np.abs(images - np.asarray(background, np.float32)).max(axis=-1)
    empty: Pixels = np.less_equal(differences, _BACKGROUND_TOLERANCE)
    if cut:
        return Evidence(tuple(views), masks & ~empty, masks & empty)
    clean = np.array([_border(pixels).mean() > 0.5 for pixels in empty])[:, None, None]
    return Evidence(tuple(views), (masks | clean) & ~empty, empty)


def _border(pixels: Pixels) -> Pixels:
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def agreeing_hull(evidence: Evidence, config: AdaptiveConfig) -> AgreeingHull:
    """The hull whose silhouettes agree best with what the views show, and the one that explains all of it.

    Raises UserError if no point is left.
    """
    coarse = Lattice(min(config.lattice, max(_LEAST_COARSE, config.lattice // _COARSENING)), *config.bounds)
    rule = _best_rule(evidence, coarse, config.outside_margin)
    lattice = Lattice(config.lattice, *config.bounds)
    plausible = _votes(evidence, lattice, config.outside_margin, rule.plausible, rule.errors)
    counts = np.where(plausible.counts >= rule.needed, plausible.counts, np.uint16(0))
    if not counts.any():
        raise UserError(
            f"init.adaptive: found no lattice point that the views see as the object; expected init.bounds "
            f"{list(config.bounds)} to hold it, and masks or pictures that show it"
        )
    return AgreeingHull(replace(plausible, counts=counts, floor=rule.needed), plausible)


def _votes(evidence: Evidence, lattice: Lattice, margin: float, needed: int, errors: int) -> Votes:
    """How many views see the object at each lattice point; 0 if fewer than `needed` do or over `errors` background."""
    views = evidence.views
    votes = count_votes(_with_masks(views, evidence.seen_object), lattice, margin, needed)
    kept = _not_background(evidence, lattice, margin, errors).counts > 0
    return replace(votes, counts=np.where(kept, votes.counts, np.uint16(0)))


def _not_background(evidence: Evidence, lattice: Lattice, margin: float, errors: int) -> Votes:
    """How many views do not see background at each lattice point, 0 where more than `errors` do."""
    possible = _with_masks(evidence.views, ~evidence.seen_background)
    return count_votes(possible, lattice, margin, len(evidence.views) - errors)


def _with_masks(views: Sequence[View], masks: Pixels) -> list[View]:
    return [replace(view, mask=mask.astype(np.float32)) for view, mask in zip(views, masks, strict=True)]


def _best_rule(evidence: Evidence, lattice: Lattice, margin: float) -> Rule:
    """The rule whose hull's silhouettes agree best (IoU) with the pixels seen as the object.

    Of equally good ones, the one that tolerates the fewest errors and needs the most views.
    """
    views = len(evidence.views)
    errors = sorted({round(share * views) for share in _ERROR_SHARES})
    votes = _votes(evidence, lattice, margin, 1, errors[-1]).counts
    allowed = _not_background(evidence, lattice, margin, errors[-1]).counts
    best, rule = -1.0, Rule(1, 1, 0)
    for most in errors:
        points = np.flatnonzero((votes > 0) & (allowed >= views - most))
        agreement, explained = _compare(evidence, lattice, points, votes.ravel()[points])
        needed = views - int(agreement[::-1].argmax())
        if agreement[needed] > best:
            plausible = int(np.flatnonzero(explained[: needed + 1] >= _EXPLAINED * explained[1]).max())
            best, rule = agreement[needed], Rule(needed, plausible, most)
    return rule


def _compare(
    evidence: Evidence, lattice: Lattice, points: NDArray[np.int64], votes: NDArray[np.uint16]
) -> tuple[Float64Array, Float64Array]:
    """Silhouettes of the points with at least n = 0 ... V votes against the pixels seen as the object.

    Returns [V + 1] their IoU, and [V + 1] the share of those pixels that they cover; both 0 for n = 0. For the IoU the
    pixels are taken a pixel wider, as a vote takes them, which counts the pixels around a projection.
    """
    views = len(evidence.views)
    chosen = np.unique(np.linspace(0, views - 1, min(views, _MOST_VIEWS)).round().astype(int))
    cameras = [evidence.views[index].camera for index in chosen]
    drawn, shared, covered = np.zeros((3, views + 1))
    seen = widened = 0
    for index, highest in zip(chosen, _highest_votes(lattice, points, votes, cameras), strict=True):
        pixels = evidence.seen_object[index]
        wide = binary_dilation(pixels, _CROSS[0])
        drawn += np.bincount(highest.ravel(), minlength=views + 1)
        shared += np.bincount(highest[wide], minlength=views + 1)
        covered += np.bincount(highest[pixels], minlength=views + 1)
        seen, widened = seen + int(pixels.sum()), widened + int(wide.sum())
    drawn, shared, covered = (counts[::-1].cumsum()[::-1] for counts in (drawn, shared, covered))
    agreement: Float64Array = shared / np.maximum(drawn + widened - shared, 1)
    explained: Float64Array = covered / max(seen, 1)
    agreement[0] = explained[0] = 0
    return agreement, explained


def silhouettes(votes: Votes, cameras: Sequence[Camera]) -> Pixels:
    """[V, H, W] bool: the pixels that the points with votes cover, each a square of a lattice step (or a pixel)."""
    points = np.flatnonzero(votes.counts)
    return np.stack(_highest_votes(votes.lattice, points, votes.counts.ravel()[points], cameras)) > 0


def _highest_votes(
    lattice: Lattice, points: NDArray[np.int64], votes: NDArray[np.uint16], cameras: Sequence[Camera]
) -> list[NDArray[np.uint16]]:
    """Per camera, [H, W] the most votes of the points that cover a pixel; 0 where there is none."""
    positions = lattice.axis(np.stack(np.unravel_index(points, (lattice.size,) * 3), axis=1))

    def draw(camera: Camera) -> NDArray[np.uint16]:
        highest = np.zeros((camera.height, camera.width), np.uint16)
        _draw_highest(positions, votes, camera.world_to_image, camera.focal, lattice.step, highest)
        return highest

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        return list(pool.map(draw, cameras))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw_highest(positions, votes, camera, focal, step, highest):  # type: ignore[no-untyped-def]
    """Raise `highest` to a point's votes where a pixel's centre lies in the projected `step` (or pixel) around it."""
    height, width = highest.shape
    for n in range(len(positions)):
        x, y, z = positions[n]
        depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
        if depth <= step:
            continue
        u = focal * (camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]) / depth + width / 2
        v = focal * (camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]) / depth + height / 2
        half = 0.5 * max(focal * step / depth, 1.0)
        if u + half < 0 or v + half < 0 or u - half >= width or v - half >= height:
            continue
        for row in range(max(0, math.ceil(v - half - 0.5)), min(height - 1, math.floor(v + half - 0.5)) + 1):
            for column in range(max(0, math.ceil(u - half - 0.5)), min(width - 1, math.floor(u + half - 0.5)) + 1):
                if votes[n] > highest[row, column]:
                    highest[row, column] = votes[n]


def doubt_contradicted(evidence: Evidence, hull: AgreeingHull) -> tuple[View, ...]:
    """The views, their images NaN (unknown) where they tell nothing although the object may well be there.

    The silhouettes of the plausible points are taken a pixel smaller: a vote counts the pixels around a projection,
    so they come out wider.
    """
    covered = binary_erosion(silhouettes(hull.plausible, [view.camera for view in evidence.views]), _CROSS)
    contradicted = covered & ~evidence.seen_object & ~evidence.seen_background
    return tuple(
        replace(view, image=_without(view.image, pixels))
        for view, pixels in zip(evidence.views, contradicted, strict=True)
    )


def _without(image: Float32Array, unknown: Pixels) -> Float32Array:
    result: Float32Array = np.where(unknown[..., None], np.float32(np.nan), image)
    return result
