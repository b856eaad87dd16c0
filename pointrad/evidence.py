"""The hull that agrees best with what the training views show: a start that needs no consistency ratio.

Masks and pictures may be read in several ways: masks are right, or wrong, or have cut the pictures, or the object has
spots of the background's colour. The views themselves decide: read rightly, they agree with each other, and what a hull
shows of itself is what each of them shows. So they decide how many must vote for a point. docs/robustness.md explains
it, docs/results/robustness.md measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure, maximum_filter

from pointrad.camera import Camera, Float64Array
from pointrad.config import AdaptiveConfig
from pointrad.errors import UserError
from pointrad.hull import Lattice, Votes, count_votes, described, in_pixels
from pointrad.kernel_cache import kernel
from pointrad.scene.masks import border
from pointrad.scene.poses import look_away
from pointrad.scene.types import Float32Array, View

Pixels = NDArray[np.bool_]
Colour = tuple[float, float, float]

BACKGROUND_TOLERANCE = 0.5 / 255  # of a channel: what an 8-bit picture cannot tell from the background
_MOST_NOISE = 32 / 255  # of a channel: a backdrop that strays further from the background is surroundings
_COARSENING = 3  # the number is chosen on a lattice this much coarser,
_LEAST_COARSE = 64  # but of at least as many points along an axis,
_MOST_VIEWS = 25  # and on as many silhouettes, spread over the views
_STRAY = 0.01  # of what pictures show: it may lie outside masks that are right
_CONTRADICTION = 1 / 3  # pixels that outlines may lose to views that are all right, a lattice being coarse
_BETTER = 0.01  # of the agreement: by so much must a bolder reading be better
_LEAST_VOTES = 0.5  # of those that the hull needs: points with fewer explain nothing
_NEARLY_RIGHT = 0.75  # of the views must vote for a point of the hull: then masks are nearly right
_NUMBERS = 9  # of votes that are tried with explanations,
_MOST_EXPLAINING = 0.1  # of the hull: explanations are surfaces, with nothing behind them
_LEAST_BACKGROUND = 1 / 3  # of what masks leave beside the hull: there is less where pictures show surroundings
_DOUBTS = (0.0, 0.03, 0.1, 1.0)  # shares of the views that say something of a point, which may wrongly see background


@dataclass(frozen=True)
class Demands:
    """What a point of the hull needs.

    votes: from so many views. doubt: the share that may see background, of the views that vote or do.
    """

    votes: int
    doubt: float


@dataclass(frozen=True)
class Evidence:
    """What each pixel of the views says, [V, H, W] bool each, and what to ask of points.

    votes: the view votes for what it sees there. seen_object: what the hull's silhouettes should be; a vote that may be
    a mask's error is not of it. seen_background: the view sees that nothing is there. unknown: the object may be there
    all the same, since a wrong mask may have cut it off the image, or left it among the surroundings.
    cut: wrong masks have cut the images, which then show nothing but the object, and not all of it.
    The views' images are as training sees them, and the background where they show surroundings or are unknown.
    """

    views: tuple[View, ...]
    votes: Pixels
    seen_object: Pixels
    seen_background: Pixels
    unknown: Pixels
    cut: bool
    demands: Demands

    def unknown_weight(self, darkening: float) -> float:
        """What the error of an unknown pixel should be multiplied by (`View.weight`), its target being background.

        The less views may miss of the object, the more. Colours tend to what most of the squared errors ask for: of a
        point that a share m of the views miss, with a share s of their errors, m s^2 / (1 - m) of it is background.
        That is kept at `darkening`.
        """
        missing = 1 - self.demands.votes / len(self.views)
        return min(1.0, math.sqrt(darkening * (1 - missing) / missing)) if missing else 1.0


def gather_evidence(views: Sequence[View], background: Colour, config: AdaptiveConfig) -> Evidence:
    """What `views` say: their images as training sees them, and their masks, which may be wrong.

    background: the RGB that shows where there is no object.

    Masks that agree with each other and with the images, as those of a clean dataset do, are believed. If they do not:
    an image whose border mostly shows the background has a clean one, so everything else in it is the object, and
    background is empty; unless

    - nothing shows outside masks and such images contradict each other: wrong masks have cut them, and their background
      tells something inside masks only;
    - a hull agrees better if background is a vote against a point and no veto, and only where masks say the same: the
      object has spots of the background's colour.

    Of photographs with surroundings, the object is what also lies in the mask. Such are not only those whose borders
    show them: a dark backdrop may be black in most places, and noise or folds of cloth in others. What is not the
    object then differs from view to view, so masks that agree with each other are believed if images do not, and where
    neither do, images with surroundings are one more reading.
    """
    images = np.stack([view.image for view in views])
    differences = np.abs(images - np.asarray(background, np.float32)).max(axis=-1)
    masks: Pixels = np.stack([view.mask > 0 for view in views])
    if config.source == "none":
        masks[:] = False
    tolerance = _noise(differences, masks)
    empty: Pixels = np.less_equal(differences, tolerance)
    found = _best_reading(views, masks, empty, config)
    surroundings = ~(found.votes | empty) | found.unknown
    if tolerance > BACKGROUND_TOLERANCE:
        surroundings |= empty & found.seen_background
    return replace(found, views=_without(views, surroundings, background))


def _best_reading(views: Sequence[View], masks: Pixels, empty: Pixels, config: AdaptiveConfig) -> Evidence:
    """What the views say, read in the way that they bear out. empty: pixels of the background's colour."""
    asked = config.source == "masks"
    clean = np.array([not asked or border(pixels).mean() > 0.5 for pixels in empty])[:, None, None]
    shown = (masks | clean) & ~empty
    inside = (shown & ~masks).sum() <= _STRAY * shown.sum()
    nowhere = np.zeros_like(masks)

    def reading(
        votes: Pixels, seen_background: Pixels, unknown: Pixels, seen_object: Pixels, cut: bool = False
    ) -> Evidence:
        everyone = Demands(len(views), 0.0)
        return Evidence(tuple(views), votes, seen_object, seen_background, unknown, cut, everyone)

    masks_agree = asked and not _contradict(views, masks, config)
    if masks_agree and (inside or _contradict(views, shown, config)):
        there = shown | masks if inside else masks
        return reading(there, ~there, nowhere, there)
    if inside and clean.any() and _contradict(views, shown, config):
        return _best_agreeing([reading(shown, masks & empty, ~(masks | shown), shown, cut=True)], _DOUBTS, config)
    readings = [reading(shown, empty, ~(clean | masks | empty), shown)]
    if clean.any():
        readings.append(reading(shown | masks, nowhere, ~(clean | masks | empty), shown))
    if asked and clean.any() and not inside:
        readings.append(reading(masks & ~empty, empty, ~(masks | empty), masks & ~empty))
    return _best_agreeing(readings, (0.0,), config)


def _noise(differences: Float32Array, masks: Pixels) -> float:
    """By how much the pictures' background strays from the background's colour: noise, compression, a dim backdrop.

    It is read off their borders outside masks, of which the object has little: half as much again as 95 % of their
    pixels stray, so that the rest of them is not the object.
    """
    borders = [border(picture)[~border(mask)] for picture, mask in zip(differences, masks, strict=True)]
    pixels = np.concatenate(borders)
    strays = float(np.quantile(pixels, 0.95)) if pixels.size else 0.0
    return max(BACKGROUND_TOLERANCE, min(1.5 * strays, _MOST_NOISE)) if strays <= _MOST_NOISE else BACKGROUND_TOLERANCE


def _without(views: Sequence[View], surroundings: Pixels, background: Colour) -> tuple[View, ...]:
    """The views, their images the background where there are surroundings."""
    colour = np.asarray(background, np.float32)
    return tuple(
        replace(view, image=np.where(pixels[..., None], colour, view.image)) if pixels.any() else view
        for view, pixels in zip(views, surroundings, strict=True)
    )


def _contradict(views: Sequence[View], shown: Pixels, config: AdaptiveConfig) -> bool:
    """Whether a hull that fewer than all views vote for agrees better with what they show.

    It does if some show less than there is, as images that wrong masks have cut: all together leave less than each.
    What they leave out is a strip along the outlines. Its width tells errors of masks from those of a coarse lattice,
    whose share of the area is as great where an object is thin. For its sake, too, what is shown is taken half a step
    of the lattice wider.
    """
    lattice = _coarse(config)
    wide = np.empty_like(shown)
    for view, pixels, wider in zip(views, shown, wide, strict=True):
        wider[:] = maximum_filter(pixels, 2 * math.ceil(_pixels(lattice, view.camera) / 2) + 1)
    floor = len(views) // 2  # fewer votes would take longer, no more
    votes = count_votes(_with_masks(views, wide), lattice, config.outside_margin, floor)
    agreement = _agreement(views, wide, lattice, votes.counts)
    left_out = (agreement.max() - agreement[-1]) * wide.sum()
    return bool(left_out > _CONTRADICTION * agreement.max() * _outline(wide))


def _outline(shown: Pixels) -> float:
    """The length of all outlines in pixels: pi / 4 of the edges between pixels, as of lines in all directions."""
    across = np.count_nonzero(shown[:, :, 1:] != shown[:, :, :-1])
    return math.pi / 4 * (across + np.count_nonzero(shown[:, 1:] != shown[:, :-1]))


def _pixels(lattice: Lattice, camera: Camera) -> float:
    """How many pixels a step of the lattice has in its middle."""
    centre = np.mean(lattice.bounds, axis=1)
    return camera.focal * lattice.step / max(float(np.linalg.norm(camera.position - centre)), lattice.step)


def agreeing_votes(evidence: Evidence, config: AdaptiveConfig) -> Votes:
    """How many views vote for each lattice point, 0 where that is too few for the hull that agrees best.

    Where masks have cut the pictures, points go with that hull that explain best what it leaves out of the object;
    they have fewer votes than the result's `floor`. Raises UserError if no point is left.
    """
    lattice = Lattice(config.lattice, config.bounds)
    if evidence.cut:
        enough = _enough_votes(evidence, config)
        explanations = _Explanations.of(evidence, lattice, config.outside_margin)
        votes = replace(explanations.votes, counts=explanations.hull(enough), floor=enough)
    else:
        votes = _Counts.of(evidence, lattice, config.outside_margin).meeting(evidence.demands)
    if not votes.counts.any():
        expected = f"expected init.bounds {described(config.bounds)} to hold it, and masks or pictures that show it"
        cause = look_away([view.camera for view in evidence.views]) or expected
        raise UserError(f"init.adaptive: found no lattice point that the views see as the object; {cause}")
    return votes


def _enough_votes(evidence: Evidence, config: AdaptiveConfig) -> int:
    """How many votes a point needs that explains nothing, for the hull that agrees best with what pictures show.

    The number that `_best_agreeing` found is so low for the sake of what masks cut, and lets points through that few
    views see past. With explanations it may be higher, until they no longer make up for what is lost, or are too much
    of the hull. Pixels that are unknown are not asked: what explains others is neither right nor wrong there. The more
    views may miss a point, the more of those with few votes are of the object: only if few may, the number is raised.
    """
    needed, most = evidence.demands.votes, len(evidence.views)
    if needed < _NEARLY_RIGHT * most:
        return needed
    explanations = _Explanations.of(evidence, _coarse(config), config.outside_margin)
    chosen = _spread(most)
    cameras = [evidence.views[index].camera for index in chosen]
    shown, known = _wide(evidence.seen_object[chosen]), ~evidence.unknown[chosen]

    def agreement(enough: int) -> float:
        hull = explanations.hull(enough)
        if enough > needed and (hull >= enough).sum() < (1 - _MOST_EXPLAINING) * (hull > 0).sum():
            return 0.0
        drawn = np.stack(_highest_votes(explanations.votes.lattice, hull, cameras)) > 0
        return float((drawn & shown & known).sum() / max(((drawn | shown) & known).sum(), 1))

    numbers = np.unique(np.linspace(needed, most, _NUMBERS).round().astype(int)).tolist()
    return int(max(numbers, key=agreement))


@dataclass(frozen=True)
class _Explanations:
    """Points of a lattice that have votes enough to explain what a hull of more votes leaves out of the object.

    A pixel of a cut picture that is not background shows some point of the object. Of a thin part that most of the
    wrong masks cut, or of what few views see, points have fewer votes than of the rest, but more than those beside
    them: along the ray of a pixel that no point with enough votes covers, those with the most are kept. Not if pictures
    show surroundings, which only masks could tell from the object: then masks leave no background beside the hull.

    positions: [M, 3] world units of the points with votes. highest: [V, H, W], the most votes that cover a pixel.
    """

    evidence: Evidence
    votes: Votes
    positions: Float64Array
    highest: NDArray[np.uint16]

    @classmethod
    def of(cls, evidence: Evidence, lattice: Lattice, margin: float) -> _Explanations:
        fewest = replace(evidence.demands, votes=math.ceil(_LEAST_VOTES * evidence.demands.votes))
        votes = _Counts.of(replace(evidence, demands=fewest), lattice, margin).meeting(fewest)
        positions = lattice.positions(np.stack(np.nonzero(votes.counts), axis=1))
        highest = np.stack(_highest_votes(lattice, votes.counts, [view.camera for view in evidence.views]))
        return cls(evidence, votes, positions, highest)

    def hull(self, enough: int) -> NDArray[np.uint16]:
        """[X, Y, Z], the votes of points with `enough` of them, and of the best explanations of the rest."""
        found = self.votes.counts > 0
        numbers = self.votes.counts[found]
        kept = numbers >= enough
        beside = self.highest < enough
        unexplained, background = self.evidence.seen_object & beside, self.evidence.seen_background & beside
        if background.sum() >= _LEAST_BACKGROUND * (background.sum() + unexplained.sum()):
            for view, most, pixels in zip(self.evidence.views, self.highest, unexplained, strict=True):
                camera = view.camera
                _keep_highest(self.positions, numbers, camera.world_to_image, camera.intrinsics, most, pixels, kept)
        hull = np.zeros_like(self.votes.counts)
        hull[found] = np.where(kept, numbers, 0)
        return hull


def _coarse(config: AdaptiveConfig) -> Lattice:
    return Lattice(min(config.lattice, max(_LEAST_COARSE, config.lattice // _COARSENING)), config.bounds)


@dataclass(frozen=True)
class _Counts:
    """For each lattice point, how many views vote for it, and in how many it is not seen to be background."""

    votes: Votes
    possible: Votes

    @classmethod
    def of(cls, evidence: Evidence, lattice: Lattice, margin: float) -> _Counts:
        """Exact for points that meet the evidence's demands."""
        views, demands = evidence.views, evidence.demands
        fewest = math.ceil((1 - demands.doubt) * len(views))
        if np.array_equal(evidence.votes, ~evidence.seen_background):
            # What is no vote is background, so that both numbers are one, and points with fewer never meet demands.
            votes = count_votes(_with_masks(views, evidence.votes), lattice, margin, max(demands.votes, fewest))
            return cls(replace(votes, floor=demands.votes), votes)
        possible = count_votes(_with_masks(views, ~evidence.seen_background), lattice, margin, fewest)
        among = possible.counts if fewest else None
        return cls(count_votes(_with_masks(views, evidence.votes), lattice, margin, demands.votes, among), possible)

    def meeting(self, demands: Demands) -> Votes:
        """The votes, 0 where they are too few, or too many of the views that tell something see background."""
        points = np.flatnonzero(self.votes.counts)  # a small part of the lattice; others meet no demand
        votes = self.votes.counts.ravel()[points]
        background = self.possible.views - self.possible.counts.ravel()[points].astype(np.int32)
        met = (background <= demands.doubt * (votes + background)) & (votes >= demands.votes)
        counts = np.zeros(self.votes.counts.shape, np.uint16)  # zeros_like would touch all of it
        counts.ravel()[points[met]] = votes[met]
        return replace(self.votes, counts=counts)


def _with_masks(views: Sequence[View], masks: Pixels) -> list[View]:
    return [replace(view, mask=mask.astype(np.float32)) for view, mask in zip(views, masks, strict=True)]


def _best_agreeing(readings: Sequence[Evidence], doubts: Sequence[float], config: AdaptiveConfig) -> Evidence:
    """The reading, with the demands, whose hull's silhouettes agree best (IoU) with the pixels seen as the object.

    Of equally good numbers of votes the greatest; of readings and doubts the first.
    """
    lattice = _coarse(config)
    found: list[tuple[float, Evidence]] = []
    for reading in readings:
        most = replace(reading, demands=Demands(1, max(doubts)))
        counts = _Counts.of(most, lattice, config.outside_margin)
        for doubt in doubts:
            votes = counts.meeting(Demands(1, doubt)).counts
            agreement = _agreement(reading.views, reading.seen_object, lattice, votes)
            needed = max(len(reading.views) - int(agreement[::-1].argmax()), 1)
            found.append((float(agreement[needed]), replace(reading, demands=Demands(needed, doubt))))
    enough = (1 - _BETTER) * max(agreement for agreement, _ in found)
    return next(evidence for agreement, evidence in found if agreement >= enough)


def _agreement(views: Sequence[View], shown: Pixels, lattice: Lattice, votes: NDArray[np.uint16]) -> Float64Array:
    """[V + 1] IoU of the pixels `shown` to be the object and the silhouettes of points with >= n votes; 0 for n = 0.

    votes: [X, Y, Z], of the lattice. The pixels are taken a pixel wider, as a vote takes them, which counts
    those around a projection.
    """
    most = len(views)
    chosen = _spread(most)
    cameras = [views[index].camera for index in chosen]
    drawn, shared, seen = np.zeros(most + 1), np.zeros(most + 1), 0
    for pixels, highest in zip(_wide(shown[chosen]), _highest_votes(lattice, votes, cameras), strict=True):
        drawn += np.bincount(highest.ravel(), minlength=most + 1)
        shared += np.bincount(highest[pixels], minlength=most + 1)
        seen += int(pixels.sum())
    drawn, shared = (counts[::-1].cumsum()[::-1] for counts in (drawn, shared))
    agreement: Float64Array = shared / np.maximum(drawn + seen - shared, 1)
    agreement[0] = 0
    return agreement


def _spread(views: int) -> NDArray[np.int64]:
    """The indices of `_MOST_VIEWS` views at most, spread over all."""
    return np.unique(np.linspace(0, views - 1, min(views, _MOST_VIEWS)).round().astype(np.int64))


def _wide(shown: Pixels) -> Pixels:
    """Pixels [V, H, W] and their neighbours, as a vote takes them."""
    wide: Pixels = binary_dilation(shown, generate_binary_structure(2, 1)[None])
    return wide


def _highest_votes(lattice: Lattice, votes: NDArray[np.uint16], cameras: Sequence[Camera]) -> list[NDArray[np.uint16]]:
    """Per camera, [H, W] the most votes of the points that cover a pixel; 0 where there is none."""
    voted = np.nonzero(votes)
    positions, numbers = lattice.positions(np.stack(voted, axis=1)), votes[voted]

    def draw(camera: Camera) -> NDArray[np.uint16]:
        highest = np.zeros((camera.height, camera.width), np.uint16)
        _draw_highest(positions, numbers, camera.world_to_image, camera.intrinsics, lattice.step, highest)
        return highest

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        return list(pool.map(draw, cameras))


@kernel(nogil=True, error_model="numpy")
def _draw_highest(positions, votes, camera, intrinsics, step, highest):  # type: ignore[no-untyped-def]
    """Raise `highest` to a point's votes where a pixel's centre lies in the projected `step` (or pixel) around it."""
    height, width = highest.shape
    for n in range(len(positions)):
        x, y, z = positions[n]
        depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
        if depth <= step:
            continue
        across = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]
        down = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]
        u, v = in_pixels(across, down, depth, intrinsics)
        half_u = 0.5 * max(intrinsics[0] * step / depth, 1.0)
        half_v = 0.5 * max(intrinsics[1] * step / depth, 1.0)
        if u + half_u < 0 or v + half_v < 0 or u - half_u >= width or v - half_v >= height:
            continue
        for row in range(max(0, math.ceil(v - half_v - 0.5)), min(height - 1, math.floor(v + half_v - 0.5)) + 1):
            first, last = max(0, math.ceil(u - half_u - 0.5)), min(width - 1, math.floor(u + half_u - 0.5))
            for column in range(first, last + 1):
                if votes[n] > highest[row, column]:
                    highest[row, column] = votes[n]


@kernel(nogil=True, error_model="numpy")
def _keep_highest(positions, votes, camera, intrinsics, highest, pixels, kept):  # type: ignore[no-untyped-def]
    """Set `kept` of the points that have the `highest` votes of one of the `pixels`, that which they project into."""
    height, width = highest.shape
    for n in range(len(positions)):
        x, y, z = positions[n]
        depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
        if depth <= 0.0:
            continue
        across = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]
        down = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]
        u, v = in_pixels(across, down, depth, intrinsics)
        if u < 0.0 or v < 0.0 or u >= width or v >= height:
            continue
        row, column = int(v), int(u)
        if pixels[row, column] and votes[n] >= highest[row, column]:
            kept[n] = True


def weighted_views(evidence: Evidence, darkening: float) -> tuple[View, ...]:
    """The views, in which unknown pixels count as background with `unknown_weight`."""
    weight = evidence.unknown_weight(darkening)
    return tuple(view.weighing(pixels, weight) for view, pixels in zip(evidence.views, evidence.unknown, strict=True))
