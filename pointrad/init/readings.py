"""The ways to read masks and pictures, and which of them the views bear out (docs/robustness.md).

Masks may be right, or wrong, or have cut the pictures, or the object has spots of the background's colour. Read
rightly, views agree with each other, and what a hull shows of itself is what each of them shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array, View
from pointrad.init.agreement import coarse_lattice, silhouette_iou
from pointrad.init.config import AdaptiveConfig
from pointrad.init.counts import Counts, votes_of_masks, with_masks
from pointrad.init.evidence import BACKGROUND_TOLERANCE, Colour, Evidence, Needs, Pixels, by_view, in_a_row
from pointrad.init.votes import Lattice
from pointrad.masks.hard import border

_MOST_NOISE = 32 / 255  # of a channel: a backdrop that strays further from the background is surroundings
_STRAY = 0.01  # of what pictures show: it may lie outside masks that are right
_CONTRADICTION = 1 / 3  # pixels that outlines may lose to views that are all right, a lattice being coarse
_BETTER = 0.01  # of the agreement: by so much must a bolder reading be better
# Which share of the views that say something of a point may wrongly see background there.
_EMPTY_SHARES = (0.0, 0.03, 0.1, 1.0)


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
    colour = np.asarray(background, np.float32)
    differences = in_a_row(greatest(np.abs(view.image - colour)) for view in views)
    masks = _masks(views)
    if config.source == "none":
        masks[:] = False
    tolerance = _noise(views, differences, masks)
    empty: Pixels = np.less_equal(differences, tolerance)
    found = _best_reading(views, masks, empty, config)
    surroundings = ~(found.votes | empty) | found.unknown
    if tolerance > BACKGROUND_TOLERANCE:
        surroundings |= empty & found.seen_background
    return replace(found, views=_without(views, surroundings, background))


def evidence_of_masks(views: Sequence[View], config: AdaptiveConfig) -> Evidence:
    """What masks alone say, most of them nearly right: a few views may be wrong about a point. Images are not asked."""
    masks = _masks(views)
    everyone = Needs(len(views), 0.0)
    reading = Evidence(tuple(views), masks, masks, _used(views) & ~masks, np.zeros_like(masks), False, everyone)
    return _best_agreeing([reading], _EMPTY_SHARES, config)


def _masks(views: Sequence[View]) -> Pixels:
    masks: Pixels = in_a_row((view.mask > 0) & view.used for view in views)
    return masks


def _used(views: Sequence[View]) -> Pixels:
    used: Pixels = in_a_row(view.used for view in views)
    return used


def greatest(channels: Float32Array) -> Float32Array:
    """[H, W] of [H, W, 3]; several times as fast as `max` along its last axis."""
    red, green, blue = np.moveaxis(channels, -1, 0)
    greatest: Float32Array = np.maximum(np.maximum(red, green), blue)
    return greatest


def _best_reading(views: Sequence[View], masks: Pixels, empty: Pixels, config: AdaptiveConfig) -> Evidence:
    """What the views say, read in the way that they bear out. empty: pixels of the background's colour, those of all
    views in a row as in `masks`."""
    asked, used = config.source == "masks", _used(views)
    clean: Pixels = in_a_row(
        np.full(pixels.shape, not asked or _mostly(border(pixels)[border(view.used)]))
        for view, pixels in zip(views, by_view(empty, views), strict=True)
    )
    shown = (masks | clean) & ~empty & used
    inside = (shown & ~masks).sum() <= _STRAY * shown.sum()
    nowhere = np.zeros_like(masks)

    def reading(
        votes: Pixels, seen_background: Pixels, unknown: Pixels, seen_object: Pixels, cut: bool = False
    ) -> Evidence:
        everyone = Needs(len(views), 0.0)
        return Evidence(
            tuple(views), votes & used, seen_object & used, seen_background & used, unknown & used, cut, everyone
        )

    masks_agree = asked and not _contradict(views, masks, config)
    if masks_agree and (inside or _contradict(views, shown, config)):
        there = shown | masks if inside else masks
        return reading(there, ~there, nowhere, there)
    if inside and clean.any() and _contradict(views, shown, config):
        return _best_agreeing([reading(shown, masks & empty, ~(masks | shown), shown, cut=True)], _EMPTY_SHARES, config)
    readings = [reading(shown, empty, ~(clean | masks | empty), shown)]
    if clean.any():
        readings.append(reading(shown | masks, nowhere, ~(clean | masks | empty), shown))
    if asked and clean.any() and not inside:
        readings.append(reading(masks & ~empty, empty, ~(masks | empty), masks & ~empty))
    return _best_agreeing(readings, (0.0,), config)


def _mostly(pixels: Pixels) -> bool:
    return bool(2 * np.count_nonzero(pixels) > pixels.size)


def _noise(views: Sequence[View], differences: Float32Array, masks: Pixels) -> float:
    """By how much the pictures' background strays from the background's colour: noise, compression, a dim backdrop.

    It is read off their borders outside masks, of which the object has little: half as much again as 95 % of their
    pixels stray, so that the rest of them is not the object.
    """
    parts = zip(views, by_view(differences, views), by_view(masks, views), strict=True)
    borders = [border(picture)[border(view.used & ~mask)] for view, picture, mask in parts]
    pixels = np.concatenate(borders)
    strays = float(np.quantile(pixels, 0.95)) if pixels.size else 0.0
    return max(BACKGROUND_TOLERANCE, min(1.5 * strays, _MOST_NOISE)) if strays <= _MOST_NOISE else BACKGROUND_TOLERANCE


def _without(views: Sequence[View], surroundings: Pixels, background: Colour) -> tuple[View, ...]:
    """The views, their images the background where there are surroundings."""
    colour = np.asarray(background, np.float32)
    return tuple(
        replace(view, image=np.where(pixels[..., None], colour, view.image)) if pixels.any() else view
        for view, pixels in zip(views, by_view(surroundings, views), strict=True)
    )


def _contradict(views: Sequence[View], shown: Pixels, config: AdaptiveConfig) -> bool:
    """Whether a hull that fewer than all views vote for agrees better with what they show.

    It does if some show less than there is, as images that wrong masks have cut: all together leave less than each.
    What they leave out is a strip along the outlines. Its width tells errors of masks from those of a coarse lattice,
    whose share of the area is as great where an object is thin. For its sake, too, what is shown is taken half a step
    of the lattice wider.
    """
    lattice = coarse_lattice(config)
    wide: Pixels = in_a_row(
        maximum_filter(pixels, 2 * math.ceil(_pixels(lattice, view.camera) / 2) + 1)
        for view, pixels in zip(views, by_view(shown, views), strict=True)
    )
    masked = with_masks(views, wide)

    def votes_from(floor: int) -> NDArray[np.uint16]:
        return votes_of_masks(masked, lattice, config, floor).counts

    agreement = silhouette_iou(views, wide, lattice, votes_from, len(views) // 2)
    left_out = (agreement.max() - agreement[-1]) * wide.sum()
    return bool(left_out > _CONTRADICTION * agreement.max() * _outline(by_view(wide, views)))


def _outline(shown: Sequence[Pixels]) -> float:
    """The length of all outlines in pixels: pi / 4 of the edges between pixels, as of lines in all directions."""
    across = sum(np.count_nonzero(pixels[:, 1:] != pixels[:, :-1]) for pixels in shown)
    return math.pi / 4 * (across + sum(np.count_nonzero(pixels[1:] != pixels[:-1]) for pixels in shown))


def _pixels(lattice: Lattice, camera: Camera) -> float:
    """How many pixels a step of the lattice has in its middle."""
    centre = np.mean(lattice.bounds, axis=1)
    return camera.focal * lattice.step / max(float(np.linalg.norm(camera.position - centre)), lattice.step)


def _best_agreeing(readings: Sequence[Evidence], empty_shares: Sequence[float], config: AdaptiveConfig) -> Evidence:
    """The reading, with the needs, whose hull's silhouettes agree best (IoU) with the pixels seen as the object.

    Of equally good numbers of votes the greatest; of readings and shares the first.
    """
    found = [agreeing for reading in readings for agreeing in _with_needs(reading, empty_shares, config)]
    enough = (1 - _BETTER) * max(agreement for agreement, _ in found)
    return next(evidence for agreement, evidence in found if agreement >= enough)


def _with_needs(
    reading: Evidence, empty_shares: Sequence[float], config: AdaptiveConfig
) -> list[tuple[float, Evidence]]:
    """The reading with each of the shares and the number of votes that agrees best with it, and how well it does."""
    lattice, everyone = coarse_lattice(config), len(reading.views)
    complete = np.array_equal(reading.votes, ~reading.seen_background)  # who does not vote sees background

    @cache
    def counts(floor: int) -> Counts:
        needs = Needs(floor, max(empty_shares))
        return Counts.of_evidence(replace(reading, needs=needs), lattice, config)

    def agreeing(empty_share: float) -> tuple[float, Evidence]:
        def votes_from(floor: int) -> NDArray[np.uint16]:
            return counts(floor).meeting(Needs(floor, empty_share)).counts

        least = everyone if complete and not empty_share else 1
        agreement = silhouette_iou(reading.views, reading.seen_object, lattice, votes_from, least)
        needed = max(everyone - int(agreement[::-1].argmax()), 1)
        return float(agreement[needed]), replace(reading, needs=Needs(needed, empty_share))

    return [agreeing(empty_share) for empty_share in empty_shares]
