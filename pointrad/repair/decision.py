"""What a mask should be: what was given, but where the trained cloud says otherwise and the photograph does not object.

A cloud is wrong, too. Where it was trained on a black background, black splats beside the object cost nothing, and
its outlines are a pixel off. So a mask changes only where it differs from the cloud by more than an outline's width and
the cloud is sure, it gains only pixels in which the photograph shows what the cloud renders, and splats of the
background's colour that hide something else in the photograph are background. So is what lies within a mask's outline
and looks in the photograph unlike anything that the cloud has there, and what a mask encloses, but has few votes and
the colours of the surroundings: an opening that other masks leave open.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pointrad.data.scene import Float32Array
from pointrad.evaluation import OPAQUE
from pointrad.init.evidence import BACKGROUND_TOLERANCE, Colour
from pointrad.init.readings import greatest
from pointrad.masks.iou import Mask
from pointrad.repair.surroundings import like_surroundings

# In pixels of the view, and chosen on mary_rose, dtu_24 and hotdog (docs/notes/masks.md).
OUTLINE = 2  # radius: differences that hold no such disc are those of outlines
_SURE = 0.2  # of opacity: a cloud is sure of pixels that it covers by less, or by all but less
_MOST = 0.5  # of a part's pixels must be sure
_UNLIKE = 0.25  # of a channel: photograph and render show different things, on the mean of so many pixels:
_LOOKED_AT = 5
_UNKNOWN = 0.5  # the same of what the cloud has never seen there
_HIDING = 0.1  # of a channel: splats are of the background's colour
_WEAK = 0.75  # of votes: an opening and its rim have fewer, and most of it has fewer than
_FEW = 0.6
_RIM = 0.7  # of votes: where it is cut out
_SURROUNDED = 0.1  # likelihood of being the surroundings, of most of it: in shadow, colours may be either's
_BESIDE = 4  # radius: pixels so near an outline tell the colours of neither side
_SOLID = 0.9  # of opacity: the object, beyond doubt
_FILTER = 4  # radius of the guided filter,
_FLAT = 1e-3  # and the variance of brightness below which it sees no edge


@dataclass(frozen=True)
class Seen:
    """One camera's view. opacity: [H, W], of the cloud. votes: the same, but that each splat counts by the share of
    masks that hold it to be the object. render: [H, W, 3], its image. photograph: [H, W, 3], of the background's colour
    where nothing is known of it. All float32 in [0, 1]."""

    opacity: Float32Array
    votes: Float32Array
    render: Float32Array
    photograph: Float32Array


@dataclass(frozen=True)
class Repaired:
    """soft: [H, W] float32, above one half on the object. changed: [H, W], where it is another mask than was given, and
    a little around."""

    soft: Float32Array
    changed: Mask

    @property
    def mask(self) -> Mask:
        return self.soft >= 0.5


def repair(given: Mask, seen: Seen, background: Colour) -> Repaired:
    """given: [H, W]; nothing where no mask was given. background: the colour that the cloud was trained on."""
    known, difference = _known(seen, background), _difference(seen)
    otherwise = known & (difference >= _UNLIKE)
    strange = _from_outline_on(known & (difference >= _UNKNOWN), given)
    opacity = np.where(otherwise & _is_background(seen, background) | strange, 0, seen.opacity)
    covered = opacity >= OPAQUE
    too_much = _parts(given & ~covered, opacity < _SURE)
    too_little = _parts(covered & ~given & ~otherwise, opacity > 1 - _SURE)
    wrong = too_much | too_little
    mask = np.where(wrong, covered, given)
    openings = _openings(mask, seen, known)
    wrong |= openings
    soft = (mask & ~openings).astype(np.float32)
    if not wrong.any():
        return Repaired(soft, wrong)
    around = _dilated(wrong, _FILTER)
    return Repaired(np.where(around, _along_edges(soft, seen.photograph), soft), around)


def _openings(mask: Mask, seen: Seen, known: Mask) -> Mask:
    """What a mask encloses and some masks leave out, where the photograph has the colours of the surroundings.

    What touches the mask's outline, or the picture's border, is none: votes are few along all outlines.
    """
    weak = mask & (seen.votes < _WEAK)
    weak &= ~_from_outline_on(np.pad(weak, 1), np.pad(mask, 1))[1:-1, 1:-1]
    weak = _parts(weak, seen.votes < _FEW)
    if not weak.any():
        return weak
    outside = known & ~_dilated(mask | (seen.opacity >= OPAQUE), _BESIDE)
    inside = ~_dilated(~mask | (seen.opacity < _SOLID), _BESIDE)
    alike = like_surroundings(seen.photograph, outside, inside) > _SURROUNDED
    return _parts(weak, alike) & (seen.votes < _RIM)


def _dilated(pixels: Mask, radius: int) -> Mask:
    dilated: Mask = cv2.dilate(pixels.astype(np.uint8), np.ones((2 * radius + 1,) * 2, np.uint8)) > 0
    return dilated


def _known(seen: Seen, background: Colour) -> Mask:
    """[H, W], where something is known of the photograph."""
    known: Mask = greatest(np.abs(seen.photograph - np.asarray(background, np.float32))) > BACKGROUND_TOLERANCE
    return known


def _difference(seen: Seen) -> Float32Array:
    """[H, W], by how much of a channel the photograph differs from what the cloud renders, around each pixel."""
    difference = greatest(np.abs(seen.photograph - seen.render))
    return np.asarray(cv2.blur(difference, (_LOOKED_AT, _LOOKED_AT)), np.float32)


def _is_background(seen: Seen, background: Colour) -> Mask:
    """[H, W], where what the cloud renders has the background's colour."""
    difference = greatest(np.abs(seen.render - np.asarray(background, np.float32)))
    alike: Mask = cv2.blur(difference, (_LOOKED_AT, _LOOKED_AT)) < _HIDING
    return alike


def _from_outline_on(pixels: Mask, given: Mask) -> Mask:
    """The pixels that are connected with what is outside of the mask; others may be highlights."""
    if not (pixels & given).any():
        return pixels & given
    outside = ~given
    count, parts = cv2.connectedComponents((pixels | outside).astype(np.uint8), connectivity=8)
    reached = np.zeros(count, bool)
    reached[np.unique(parts[outside])] = True
    found: Mask = pixels & given & reached[parts]
    return found


def _parts(pixels: Mask, sure: Mask) -> Mask:
    """The connected parts of pixels that hold a disc of `OUTLINE` pixels, and most of which the cloud is sure of."""
    if not pixels.any():
        return pixels
    count, parts = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)
    depth = cv2.distanceTransform(np.pad(pixels, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    wide = np.zeros(count, bool)
    wide[np.unique(parts[depth > OUTLINE])] = True
    area = np.bincount(parts.ravel(), minlength=count)
    found: Mask = (wide & (np.bincount(parts[sure], minlength=count) >= _MOST * area))[parts] & pixels
    return found


def _along_edges(mask: Float32Array, photograph: Float32Array) -> Float32Array:
    """The mask as a linear function of brightness around each pixel: the guided filter of He, Sun and Tang (2010)."""

    def mean(values: Float32Array) -> Float32Array:
        return np.asarray(cv2.blur(values, (2 * _FILTER + 1, 2 * _FILTER + 1)), np.float32)

    guide = photograph.mean(axis=-1)
    slope = (mean(guide * mask) - mean(guide) * mean(mask)) / (mean(guide * guide) - mean(guide) ** 2 + _FLAT)
    offset = mean(mask) - slope * mean(guide)
    along: Float32Array = mean(slope) * guide + mean(offset)
    return along
