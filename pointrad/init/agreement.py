"""How well a hull agrees with what views show: votes on a coarse lattice, and silhouettes of its points."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, generate_binary_structure

from pointrad.camera import Camera, Float64Array
from pointrad.data.scene import View
from pointrad.init.config import AdaptiveConfig
from pointrad.init.evidence import Pixels, by_view
from pointrad.init.votes import Lattice, in_pixels
from pointrad.kernel_cache import kernel

_COARSENING = 3  # the number is chosen on a lattice this much coarser,
_LEAST_COARSE = 64  # but of at least as many points along an axis,
_MOST_VIEWS = 25  # and on as many silhouettes, spread over the views
_MANY = 0.9  # of all votes: hulls of fewer are looked at only if one of them may agree better


def coarse_lattice(config: AdaptiveConfig) -> Lattice:
    return Lattice(min(config.lattice, max(_LEAST_COARSE, config.lattice // _COARSENING)), config.box)


def silhouette_iou(
    views: Sequence[View], shown: Pixels, lattice: Lattice, votes_from: Callable[[int], NDArray[np.uint16]], least: int
) -> Float64Array:
    """[V + 1] IoU of the pixels `shown` to be the object and the silhouettes of points with >= n votes; 0 for n = 0.

    votes_from: counts the votes [X, Y, Z] of the lattice's points, those below its argument as 0. Low numbers take
    longest, so those below `least`, and those that can agree no better than greater ones, have the IoU of the next that
    is looked at. The pixels, those of all views in a row, are taken a pixel wider, as a vote takes them, which counts
    those around a projection. Those that are not to be used are not compared.
    """
    most, chosen, shown_by = len(views), chosen_views(len(views)), by_view(shown, views)
    cameras, used = [views[index].camera for index in chosen], [views[index].used for index in chosen]
    wide = [widened(shown_by[index]) & compared for index, compared in zip(chosen, used, strict=True)]
    seen = sum(int(pixels.sum()) for pixels in wide)

    def iou(floor: int) -> tuple[Float64Array, float]:
        """From this number of votes on; and that of fewer, if these drew nothing more but all that is missing."""
        drawn, shared = np.zeros(most + 1), np.zeros(most + 1)
        by_camera = highest_votes(lattice, votes_from(floor), cameras)
        for pixels, compared, highest in zip(wide, used, by_camera, strict=True):
            highest[~compared] = 0
            drawn += np.bincount(highest.ravel(), minlength=most + 1)
            shared += np.bincount(highest[pixels], minlength=most + 1)
        drawn, shared = (counts[::-1].cumsum()[::-1] for counts in (drawn, shared))
        agreement: Float64Array = shared / np.maximum(drawn + seen - shared, 1)
        agreement[0] = 0
        return agreement, float(seen / max(drawn[floor] + seen - shared[floor], 1))

    many = max(least, math.ceil(_MANY * most))
    agreement, bound = iou(many)
    return agreement if many == least or bound <= agreement.max() else iou(least)[0]


def widened(shown: Pixels) -> Pixels:
    """A view's pixels [H, W] and their neighbours, as a vote takes them."""
    wide: Pixels = binary_dilation(shown, generate_binary_structure(2, 1))
    return wide


def chosen_views(views: int) -> NDArray[np.int64]:
    """The indices of `_MOST_VIEWS` views at most, spread over all."""
    return np.unique(np.linspace(0, views - 1, min(views, _MOST_VIEWS)).round().astype(np.int64))


def highest_votes(lattice: Lattice, votes: NDArray[np.uint16], cameras: Sequence[Camera]) -> list[NDArray[np.uint16]]:
    """Per camera, [H, W] the most votes of the points that cover a pixel; 0 where there is none."""
    voted = np.nonzero(votes)
    positions, numbers = lattice.positions(np.stack(voted, axis=1)), votes[voted]

    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        return list(pool.map(lambda camera: drawn_highest(positions, numbers, lattice.step, camera), cameras))


def drawn_highest(
    positions: Float64Array, numbers: NDArray[np.uint16], step: float, camera: Camera
) -> NDArray[np.uint16]:
    """[H, W] the highest of the numbers [P] of points [P, 3] that cover a pixel; 0 where there is none. step: how wide
    a point is, world units."""
    highest = np.zeros((camera.height, camera.width), np.uint16)
    _draw_highest(positions, numbers, camera.world_to_image, camera.intrinsics, step, highest)
    return highest


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
