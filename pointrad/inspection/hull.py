"""The hull of the masks, with tolerance, and how well each view agrees with the hull of the others.

A view that does not see a point, since it lies outside the picture or behind the camera, says nothing of it. Of those
that see it, some may miss it in their masks: as many as makes silhouettes and masks agree best.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from pointrad.camera import Camera, Float64Array
from pointrad.data.poses import nearest_to_axes
from pointrad.init.agreement import chosen_views, drawn_highest
from pointrad.init.votes import Lattice, in_pixels
from pointrad.kernel_cache import kernel
from pointrad.schema import Bounds

Mask = NDArray[np.bool_]

_LATTICE = 100  # points along the longest side of the box about the hull
_LOOKING = 48  # of those in which it is looked for
_CLOSER = 3  # times the box is drawn tighter about what is found
_MARGIN = 2  # steps of the lattice about it
_SEEN_BY = 1 / 2  # of the views: a point that fewer see is no part of the hull
_MOST_MISSED = 0.2  # of the views: so many masks may miss a point of the hull
_BESIDE = 0.25  # of the hull: so much room the box leaves beside it for what too few views see
_LOOSER = 0.03  # of the views: so many more may while the box is drawn, since a coarse lattice misses what is thin
_AS_GOOD = 0.01  # of the median IoU: so much worse, fewer masks that may miss a point are better
_ASKED = 24  # views, those that look from nearest: whether they lose by what one of them lacks
_FEW = 8  # points of a lattice: too few to be the object


@dataclass(frozen=True)
class Look:
    """What a view shows of the object. mask: [H, W], whether each pixel is the object's."""

    camera: Camera
    mask: Mask


@dataclass(frozen=True)
class Difference:
    """beyond: where a mask shows the object, and a silhouette does not. lacking: the other way round. Shares of what
    either shows; what lies within a step of the lattice along the outlines counts in neither."""

    beyond: float
    lacking: float

    @property
    def total(self) -> float:
        return self.beyond + self.lacking


@dataclass(frozen=True)
class Fit:
    """The hull of some views, and how each of all views agrees with the hull of the others.

    looks: all views. votes: which of them vote. hull: the points they leave. iou: [V] of each view's mask and
    silhouette. silhouettes: [H, W] of the hull of the other views, as each view sees it. unknown: [H, W] where each
    view sees no hull, but what too few of the others see to tell.
    """

    looks: tuple[Look, ...]
    votes: tuple[bool, ...]
    hull: Hull
    iou: Float64Array
    silhouettes: tuple[Mask, ...]
    unknown: tuple[Mask, ...]

    @property
    def missed(self) -> int:
        """How many masks may miss a point."""
        return self.hull.best

    @cached_property
    def points(self) -> Float64Array:
        """[P, 3] float64, the hull's, world units."""
        return self.hull.points_missed_by(self.hull.best)

    @property
    def bounds(self) -> Bounds:
        """The box about the hull, world units."""
        return _about(self.points, self.hull.step / 2)

    @property
    def agreement(self) -> float:
        """The median IoU."""
        return float(np.median(self.iou))

    @property
    def centre(self) -> Float64Array:
        """[3] the middle of the hull's points, world units."""
        middle: Float64Array = self.points.mean(axis=0)
        return middle

    def difference(self, mask: Mask, silhouette: Mask, camera: Camera) -> Difference:
        """How a mask differs from a silhouette, by more than the lattice's step does."""
        reach = self._reach(camera)
        union = max(int(np.count_nonzero(mask | silhouette)), 1)
        beyond = np.count_nonzero(mask & ~maximum_filter(silhouette, reach)) / union
        lacking = np.count_nonzero(silhouette & ~maximum_filter(mask, reach)) / union
        return Difference(float(beyond), float(lacking))

    def cost_to_others(self, index: int) -> float:
        """How much less the others show if a view is right in what it lacks: the share of its mask that another view
        loses, as the second of those that lose most.

        What lies in the hull of the others because nobody looks from where this view does can go at no cost. What a
        wrong mask cuts off is missing from the others' silhouettes.
        """
        missed_here, inside = self.hull.without(self.looks[index], self.votes[index])
        inside &= self.hull.known
        points = self.hull.points[inside]
        kept = points[~missed_here[inside]]

        def lost(other: int) -> float:
            look = self.looks[other]
            before, after = (drawn(some, self.hull.step, look.camera) for some in (points, kept))
            gone = look.mask & before & ~maximum_filter(after, self._reach(look.camera))
            return float(np.count_nonzero(gone)) / max(int(np.count_nonzero(look.mask)), 1)

        nearest = [other for other in self._nearest(index) if self.votes[other] and other != index]
        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            losses: list[float] = sorted(pool.map(lost, nearest[:_ASKED]))
        return losses[-2] if len(losses) > 1 else 0.0

    def _nearest(self, index: int) -> list[int]:
        """The views, those that look at the hull from nearly where this one does first."""
        offsets = np.stack([look.camera.position for look in self.looks]) - self.centre
        directions = offsets / np.maximum(np.linalg.norm(offsets, axis=1), 1e-12)[:, None]
        nearest: list[int] = np.argsort(-directions @ directions[index]).tolist()
        return nearest

    def _reach(self, camera: Camera) -> int:
        """The width in pixels of what lies within a step of the lattice of a pixel."""
        distance = float(np.linalg.norm(camera.position - self.centre))
        return 2 * math.ceil(self.hull.step * camera.focal / max(distance, self.hull.step)) + 1


def fit(looks: Sequence[Look], voting: Sequence[bool] | None = None, size: int = _LATTICE) -> Fit | None:
    """The hull of the views that are `voting` (all if None), judged by all; None if there is none.

    size: points along the longest side of the lattice.
    """
    votes = [True] * len(looks) if voting is None else list(voting)
    voters = [look for look, does in zip(looks, votes, strict=True) if does]
    bounds = _where_cameras_look([look.camera for look in voters])
    if bounds is None:
        return None
    for _ in range(_CLOSER):
        hull = Hull.of(voters, Lattice(_LOOKING, bounds))
        if hull is None:
            return None
        bounds = hull.bounds(hull.best + math.ceil(_LOOSER * len(voters)))
    hull = Hull.of(voters, Lattice(size, bounds))
    if hull is None:
        return None
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        silhouettes, unknown = zip(*pool.map(hull.of_others, looks, votes), strict=True)
    iou = np.array([overlap(drawn, look.mask) for drawn, look in zip(silhouettes, looks, strict=True)])
    return Fit(tuple(looks), tuple(votes), hull, iou, silhouettes, unknown)


def focus(cameras: Sequence[Camera]) -> Float64Array | None:
    """[3] the point that cameras look at; None if their axes are parallel, or it lies behind most of them."""
    poses = np.stack([camera.camera_to_world for camera in cameras])
    point = nearest_to_axes(poses)
    if point is None:
        return None
    ahead = -((point - poses[:, :3, 3]) * poses[:, :3, 2]).sum(axis=1) > 0
    return point if 2 * ahead.sum() > len(cameras) else None


@dataclass(frozen=True)
class Hull:
    """Points of a lattice that some voters see, and few enough miss in their masks.

    points: [P, 3] float64. missed: [P] int32, by how many. known: [P] whether enough voters see a point; others are no
    part of the hull, and may be the object's all the same. best: how many may miss a point, for silhouettes to agree
    best.
    """

    points: Float64Array
    missed: NDArray[np.int32]
    known: Mask
    step: float
    best: int

    @classmethod
    def of(cls, voters: Sequence[Look], lattice: Lattice) -> Hull | None:
        """None where all voters together leave too little to be an object."""
        most = max(1, round(_MOST_MISSED * len(voters)))
        points, missed, known = _points(voters, lattice, most)
        if np.count_nonzero(known) < _FEW:
            return None
        numbers = (most + 1 - missed[known]).astype(np.uint16)
        chosen = [voters[index] for index in chosen_views(len(voters))]

        def agreement(look: Look) -> Float64Array:
            return _iou_by_level(drawn_highest(points[known], numbers, lattice.step, look.camera), look.mask, most + 1)

        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            by_level = np.median(list(pool.map(agreement, chosen)), axis=0)
        enough = np.array([np.count_nonzero(missed[known] <= n) >= _FEW for n in range(most + 1)])
        agreements = np.where(enough, by_level[::-1], -1)
        best = int((agreements >= agreements.max() - _AS_GOOD).argmax())
        return cls(points, missed, known, lattice.step, best)

    def points_missed_by(self, most: int) -> Float64Array:
        return self.points[self.known & (self.missed <= most)]

    def bounds(self, most: int) -> Bounds:
        """The box about what is missed by at most so many; somewhat about what too few see, as well."""
        hull = np.array(_about(self.points_missed_by(most), _MARGIN * self.step))
        beside = np.array(_about(self.points[self.missed <= most], _MARGIN * self.step))
        room = _BESIDE * np.array([-1.0, 1.0]) * (hull[:, 1] - hull[:, 0]).max()
        return _box(np.maximum(beside[:, 0], hull[:, 0] + room[0]), np.minimum(beside[:, 1], hull[:, 1] + room[1]))

    def of_others(self, look: Look, voted: bool) -> tuple[Mask, Mask]:
        """[H, W] the silhouette of the hull of the other voters (of all, if the view itself has not voted), and where
        a view sees no hull, but what too few of them see to tell."""
        _, inside = self.without(look, voted)
        silhouette = drawn(self.points[inside & self.known], self.step, look.camera)
        return silhouette, drawn(self.points[inside & ~self.known], self.step, look.camera) & ~silhouette

    def without(self, look: Look, voted: bool) -> tuple[Mask, Mask]:
        """[P] which points a view misses, and which the other voters do not."""
        missed_here = _missed_by([look], self.points)[1]
        missed = self.missed - missed_here if voted else self.missed
        return missed_here > 0, missed <= self.best


def drawn(points: Float64Array, step: float, camera: Camera) -> Mask:
    """[H, W] the silhouette of points [P, 3] that are as wide as `step`, world units."""
    return drawn_highest(points, np.ones(len(points), np.uint16), step, camera) > 0


def _where_cameras_look(cameras: Sequence[Camera]) -> Bounds | None:
    """A box that holds what several cameras may see together; None if they do not look at a common place."""
    centre = focus(cameras)
    if centre is None:
        return None
    distance = float(np.median([np.linalg.norm(camera.position - centre) for camera in cameras]))
    slope = max(max(camera.width / camera.fx, camera.height / camera.fy) for camera in cameras) / 2
    return _about(centre[None], distance * min(1.0, 1.5 * slope))


def _points(voters: Sequence[Look], lattice: Lattice, most: int) -> tuple[Float64Array, NDArray[np.int32], Mask]:
    """[P, 3] the lattice's points that some voters see and at most `most` miss, [P] how many do, and whether enough
    see them."""
    indices = np.stack(np.meshgrid(*map(np.arange, lattice.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    positions = lattice.positions(indices)
    parts = np.array_split(positions, 8 * numba.get_num_threads())
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        counted = list(pool.map(lambda part: _missed_by(voters, part, most), parts))
    seen, missed = (np.concatenate(counts) for counts in zip(*counted, strict=True))
    enough = max(2, math.ceil(_SEEN_BY * len(voters)))
    inside = (seen > 0) & (missed <= most) & (2 * missed < seen)
    return positions[inside], missed[inside], seen[inside] >= enough


def _missed_by(
    looks: Sequence[Look], positions: Float64Array, most: int = 2**30
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """[P] how many views see each point, and how many miss it in their masks, counted up to `most` + 1."""
    cameras = np.stack([look.camera.world_to_image for look in looks])
    intrinsics = np.array([look.camera.intrinsics for look in looks])
    sizes = np.array([(look.camera.width, look.camera.height) for look in looks])
    masks = np.concatenate([look.mask.ravel() for look in looks])
    seen, missed = np.zeros(len(positions), np.int32), np.zeros(len(positions), np.int32)
    _count(positions, cameras, intrinsics, sizes, masks, most, seen, missed)
    return seen, missed


@kernel(nogil=True, error_model="numpy")
def _count(positions, cameras, intrinsics, sizes, masks, most, seen, missed):  # type: ignore[no-untyped-def]
    """masks: those of all views in a row."""
    for n in range(len(positions)):
        x, y, z = positions[n]
        start = 0
        for view in range(len(cameras)):
            camera, width, height = cameras[view], sizes[view, 0], sizes[view, 1]
            depth = camera[2, 0] * x + camera[2, 1] * y + camera[2, 2] * z + camera[2, 3]
            if depth > 0:
                across = camera[0, 0] * x + camera[0, 1] * y + camera[0, 2] * z + camera[0, 3]
                down = camera[1, 0] * x + camera[1, 1] * y + camera[1, 2] * z + camera[1, 3]
                u, v = in_pixels(across, down, depth, intrinsics[view])
                if 0 <= u < width and 0 <= v < height:
                    seen[n] += 1
                    if not masks[start + int(v) * width + int(u)]:
                        missed[n] += 1
                        if missed[n] > most:
                            break
            start += width * height


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union; 1 of two empty masks."""
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 1.0


def _iou_by_level(levels: NDArray[np.uint16], mask: Mask, most: int) -> Float64Array:
    """[most] IoU of a mask and the pixels of level 1 or higher, 2 or higher, ..., `most`."""
    drawn, shared = (
        np.bincount(pixels.ravel(), minlength=most + 1)[::-1].cumsum()[::-1][1:] for pixels in (levels, levels[mask])
    )
    found: Float64Array = shared / np.maximum(drawn + np.count_nonzero(mask) - shared, 1)
    return found


def _about(points: Float64Array, margin: float) -> Bounds:
    return _box(points.min(axis=0) - margin, points.max(axis=0) + margin)


def _box(low: Float64Array, high: Float64Array) -> Bounds:
    x, y, z = ((float(a), float(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
