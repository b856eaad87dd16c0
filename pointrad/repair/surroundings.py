"""Where a photograph has the colours of the surroundings rather than of the object."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from pointrad.data.scene import Float32Array
from pointrad.masks.iou import Mask

_BINS = 16  # of each channel of CIELAB
_SPREAD = 0.7  # bins: standard deviation by which colours are alike
_NONE = 1e-7  # of all pixels: colours that are less frequent tell nothing,
_LEAST = 0.01  # of the picture: nor do fewer pixels


def like_surroundings(photograph: Float32Array, outside: Mask, inside: Mask) -> Float32Array:
    """[H, W] in [0, 1]: how likely a pixel of such a colour is to be the surroundings, if both are as frequent.

    photograph: [H, W, 3] in [0, 1]. outside, inside: pixels of the surroundings and of the object; 0 everywhere where
    there are too few of either.
    """
    if min(outside.mean(), inside.mean()) < _LEAST:
        return np.zeros(outside.shape, np.float32)
    lab = cv2.cvtColor((255 * photograph).clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2LAB)
    lab = cv2.blur(lab, (3, 3))  # noise is no colour
    surroundings, object_ = (_frequencies(lab, pixels) for pixels in (outside, inside))
    likely = (surroundings + _NONE) / (surroundings + object_ + 2 * _NONE)
    bins = lab.astype(np.intp) * _BINS // 256
    found: Float32Array = likely[bins[..., 0], bins[..., 1], bins[..., 2]]
    return found


def _frequencies(lab: np.ndarray, pixels: Mask) -> Float32Array:
    """[bins, bins, bins], whose sum is about 1."""
    count = cv2.calcHist([lab], [0, 1, 2], pixels.astype(np.uint8), [_BINS] * 3, [0, 256] * 3)
    frequencies: Float32Array = gaussian_filter(count, _SPREAD, mode="constant") / np.float32(pixels.sum())
    return frequencies
