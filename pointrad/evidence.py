"""The hull that agrees best with what the training views show: a start that needs no consistency ratio.

Each pixel of a training view is seen as the object, as background, or tells nothing. A lattice point that some view
sees as background is empty, whatever masks say; of the others, those are kept that enough views see as the object. How
many is enough is decided by the views themselves: the hull's silhouettes should be the pixels seen as the object. So is
whether the background around an object is one, or what a wrong mask left of it. docs/robustness.md explains and
measures it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure

from pointrad.config import AdaptiveConfig
from pointrad.errors import UserError
from pointrad.hull import Lattice, Votes, count_votes
from pointrad.scene.types import Camera, Float64Array, View

Pixels = NDArray[np.bool_]

BACKGROUND_TOLERANCE = 0.5 / 255  # of a channel: what an 8-bit picture cannot tell from the background
_COARSENING = 3  # the number is chosen on a lattice this much coarser,
_LEAST_COARSE = 64  # but of at least as many points along an axis,
_MOST_VIEWS = 25  # and on as many silhouettes, spread over the views
_CONTRADICTION = 0.01  # of the agreement: what views of one object that are all right may lose, a lattice being coarse
_DOUBTS = (0.0, 0.03, 0.1)  # shares of the views that vote or veto at a point, which may be wrong to see background


@dataclass(frozen=True)
class Evidence:
    """What each pixel of the views says: [V, H, W] bool each.

    votes: the view votes for what it sees there. seen_object: what silhouettes of the object must cover; of a vote that
    may be a mask's error that is not asked. seen_background: what it sees there is empty, however many vote for it.
    cut_off: the image shows the background, but perhaps only because a wrong mask cut off what was there.
    """

    views: tuple[View, ...]
    votes: Pixels
    seen_object: Pixels
    seen_background: Pixels
    cut_off: Pixels


def gather_evidence(views: Sequence[View], background: tuple[float, float, float], config: AdaptiveConfig) -> Evidence:
    """What `views` say: their images as training sees them, and their masks, which may be wrong.

    background: the RGB that shows where there is no object.

    An image whose border mostly shows the background has a clean one, so everything else in it is the object and
    background is empty. If the images then contradict each other, either wrong masks have cut them, and their background
    tells something inside their masks only; or the object has spots of the background's colour, and only where masks say
    the same does background vote against a point. Of photographs with surroundings, the object is what also lies in the
    mask.
    """
    images = np.stack([view.image for view in views])
    differences = np.abs(images - np.asarray(background, np.float32)).max(axis=-1)
    empty: Pixels = np.less_equal(differences, BACKGROUND_TOLERANCE)
    nowhere = np.zeros_like(empty)
    asked = config.source == "masks"
    masks = np.stack([view.mask > 0 for view in views]) if asked else nowhere
    clean = np.array([not asked or _border(pixels).mean() > 0.5 for pixels in empty])[:, None, None]
    shown = (masks | clean) & ~empty
    believing = Evidence(tuple(views), shown, shown, empty, nowhere)
    if not clean.any() or not _contradict(views, shown, config):
        return believing
    outside = clean & shown & ~masks
    if outside.sum() <= _CONTRADICTION * shown.sum() and _contradict(views, masks, config):
        return Evidence(tuple(views), masks & ~empty, masks & ~empty, masks & empty, clean & empty & ~masks)
    return Evidence(tuple(views), shown | masks, shown, nowhere, nowhere)


def _contradict(views: Sequence[View], shown: Pixels, config: AdaptiveConfig) -> bool:
    """Whether a hull that fewer than all views vote for agrees better with what they show.

    It does if some show less than there is, as images that wrong masks have cut: all together then leave less than each.
    """
    lattice = _coarse(config)
    votes = count_votes(_with_masks(views, shown), lattice, config.outside_margin, len(views) // 2)  # fewer take longer
    agreement = _agreement(views, shown, lattice, votes.counts)
    return bool(agreement[-1] < (1 - _CONTRADICTION) * agreement.max())


def _border(pixels: Pixels) -> Pixels:
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])


def agreeing_votes(evidence: Evidence, config: AdaptiveConfig) -> Votes:
    """How many views see the object at each lattice point, 0 where that is too few for the hull that agrees best.

    Raises UserError if no point is left.
    """
    needed, doubt = _agreed_demands(evidence, _coarse(config), config.outside_margin)
    counts = _Counts.of(evidence, Lattice(config.lattice, *config.bounds), config.outside_margin, needed, doubt)
    votes = counts.meeting(doubt)
    if not votes.counts.any():
        raise UserError(
            f"init.adaptive: found no lattice point that the views see as the object; expected init.bounds "
            f"{list(config.bounds)} to hold it, and masks or pictures that show it"
        )
    return votes


def _coarse(config: AdaptiveConfig) -> Lattice:
    return Lattice(min(config.lattice, max(_LEAST_COARSE, config.lattice // _COARSENING)), *config.bounds)


@dataclass(frozen=True)
class _Counts:
    """For each lattice point, how many views vote for it, and in how many it is not seen to be background."""

    votes: Votes
    possible: Votes

    @classmethod
    def of(cls, evidence: Evidence, lattice: Lattice, margin: float, needed: int, doubt: float) -> _Counts:
        """Exact where at least `needed` vote, and at most the share `doubt` of all views sees background."""
        views = evidence.views
        votes = count_votes(_with_masks(views, evidence.votes), lattice, margin, needed)
        floor = math.ceil((1 - doubt) * len(views))
        return cls(votes, count_votes(_with_masks(views, ~evidence.seen_background), lattice, margin, floor))

    def meeting(self, doubt: float) -> Votes:
        """The votes, 0 where more than the share `doubt` of the views that tell something sees background."""
        background = self.possible.views - self.possible.counts.astype(np.int32)
        empty = background > doubt * (self.votes.counts + background)
        return replace(self.votes, counts=np.where(empty, np.uint16(0), self.votes.counts))


def _with_masks(views: Sequence[View], masks: Pixels) -> list[View]:
    return [replace(view, mask=mask.astype(np.float32)) for view, mask in zip(views, masks, strict=True)]


def _agreed_demands(evidence: Evidence, lattice: Lattice, margin: float) -> tuple[int, float]:
    """The votes to ask for and the doubt of background whose hull agrees best (IoU) with the pixels seen as the object.

    Of equally good numbers the greatest, and no more doubt than it takes to agree.
    """
    counts = _Counts.of(evidence, lattice, margin, 1, max(_DOUBTS))
    agreements = [
        _agreement(evidence.views, evidence.seen_object, lattice, counts.meeting(doubt).counts) for doubt in _DOUBTS
    ]
    enough = (1 - _CONTRADICTION) * max(agreement.max() for agreement in agreements)
    agreement, doubt = next(pair for pair in zip(agreements, _DOUBTS, strict=True) if pair[0].max() >= enough)
    return max(len(evidence.views) - int(agreement[::-1].argmax()), 1), doubt


def _agreement(
    views: Sequence[View], shown: Pixels, lattice: Lattice, votes: NDArray[np.uint16]
) -> Float64Array:
    """[V + 1] IoU of the pixels `shown` to be the object and the silhouettes of the points with >= n votes; 0 for n = 0.

    votes: [size, size, size], of the lattice. The pixels are taken a pixel wider, as a vote takes them, which counts
    those around a projection.
    """
    most = len(views)
    chosen = np.unique(np.linspace(0, most - 1, min(most, _MOST_VIEWS)).round().astype(int))
    cameras = [views[index].camera for index in chosen]
    drawn, shared, seen = np.zeros(most + 1), np.zeros(most + 1), 0
    for index, highest in zip(chosen, _highest_votes(lattice, votes, cameras), strict=True):
        pixels = binary_dilation(shown[index], generate_binary_structure(2, 1))
        drawn += np.bincount(highest.ravel(), minlength=most + 1)
        shared += np.bincount(highest[pixels], minlength=most + 1)
        seen += int(pixels.sum())
    drawn, shared = (counts[::-1].cumsum()[::-1] for counts in (drawn, shared))
    agreement: Float64Array = shared / np.maximum(drawn + seen - shared, 1)
    agreement[0] = 0
    return agreement


def _highest_votes(lattice: Lattice, votes: NDArray[np.uint16], cameras: Sequence[Camera]) -> list[NDArray[np.uint16]]:
    """Per camera, [H, W] the most votes of the points that cover a pixel; 0 where there is none."""
    voted = np.nonzero(votes)
    positions, numbers = lattice.axis(np.stack(voted, axis=1)), votes[voted]

    def draw(camera: Camera) -> NDArray[np.uint16]:
        highest = np.zeros((camera.height, camera.width), np.uint16)
        _draw_highest(positions, numbers, camera.world_to_image, camera.focal, lattice.step, highest)
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


def without_unknown(evidence: Evidence) -> tuple[View, ...]:
    """The views, their images NaN where a mask may have cut off what was there."""
    return tuple(
        replace(view, image=np.where(pixels[..., None], np.float32(np.nan), view.image))
        for view, pixels in zip(evidence.views, evidence.cut_off, strict=True)
    )
