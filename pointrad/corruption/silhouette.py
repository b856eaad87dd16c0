"""What the models of mask errors measure on a silhouette, and how they change one.

A silhouette is [H, W] bool, where the mask is above 0, the way the hull reads it. Lengths are in pixels.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pointrad.camera import Float64Array
from pointrad.data.scene import View

Silhouette = NDArray[np.bool_]


def object_size(silhouette: Silhouette) -> float:
    """The size that shares are taken of: the square root of the object's area, in pixels; 0 if there is none."""
    return math.sqrt(np.count_nonzero(silhouette))


def signed_distance(silhouette: Silhouette) -> Float64Array:
    """[H, W] float64: pixels to the contour, positive inside; infinite where a full or empty image has no contour.

    The contour runs half-way between pixels; the image's edge, beyond which nothing is known, is none.
    """
    if silhouette.all() or not silhouette.any():
        return np.where(silhouette, np.inf, -np.inf)
    from scipy.ndimage import distance_transform_edt  # not above: slow to import, and configurations would wait for it

    inside: Float64Array = distance_transform_edt(silhouette)
    outside: Float64Array = distance_transform_edt(~silhouette)
    return np.where(silhouette, inside - 0.5, 0.5 - outside)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> Float64Array:
    """Gaussian noise of mean 0, smoothed over `correlation` pixels and of standard deviation about 1 if the image is
    several of these wide. Its statistics are the same everywhere in the image (it is periodic)."""
    white = rng.standard_normal(shape)
    from scipy.ndimage import gaussian_filter  # as above

    smooth: Float64Array = gaussian_filter(white, correlation, mode="wrap")
    return smooth * max(1.0, 2 * math.sqrt(math.pi) * correlation)  # averaging white noise took this factor away


def highest(field: Float64Array, within: Silhouette, count: int) -> Silhouette:
    """The `count` pixels of `within` (all, if it has fewer) where the field is highest. More contain fewer."""
    inside = np.flatnonzero(within)
    chosen = np.zeros(within.size, np.bool_)
    chosen[inside[np.argsort(-field.ravel()[inside], kind="stable")[:count]]] = True
    return chosen.reshape(within.shape)


def blobs(rng: np.random.Generator, silhouette: Silhouette, within: Silhouette, size: float, area: float) -> Silhouette:
    """Blobs inside `within`: where smooth noise, of a correlation length `size` times the object's, is highest.

    They cover `area` times the object's area, or all of `within` if that is less; more area only adds to less.
    """
    noise = smooth_noise(rng, silhouette.shape, size * object_size(silhouette))
    return highest(noise, within, round(area * np.count_nonzero(silhouette)))


def with_silhouette(view: View, silhouette: Silhouette) -> View:
    """A new view whose mask is 0 outside the silhouette and above 0 inside: as it was, or 1 where it was 0.

    The photograph stays: what is wrong is what someone says about it.
    """
    inside = np.where(view.mask > 0, view.mask, np.float32(1))
    return replace(view, mask=np.where(silhouette, inside, np.float32(0)))
