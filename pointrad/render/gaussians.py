"""What a cloud of anisotropic 3D Gaussians is and how it is splatted, for every renderer (docs/gaussians.md).

A cloud is one tensor [D, N] float32, a row per parameter as in `Cloud`:

    position     3   world units
    log scale    3   natural logarithms of the standard deviations along the Gaussian's own axes, world units
    rotation     4   quaternion w x y z of the own axes, of any length but 0
    opacity      1   logit
    base         3   RGB; that of 3D Gaussian Splatting's PLY is 0.5 + 0.28209479 f_dc
    harmonics        RGB of the harmonics of degree 1 and more, coefficient-major as in `Cloud`: 0, 9, 24 or 45 rows

The image, as in Kerbl et al. 2023, "3D Gaussian Splatting for Real-Time Radiance Field Rendering":

- A Gaussian whose centre lies nearer than NEAR is left out. The others are composited front to back by the depth of
  their centres, of equal depths the lower index first.
- Its covariance R S S^T R^T is projected with the Jacobian of the camera at its centre; BLUR is added to the diagonal.
  Where the centre lies outside the image by more than MARGIN of the image's size, the Jacobian is taken there: farther
  out it would stretch the Gaussian without bound.
- alpha = min(MOST_ALPHA, opacity exp(-q / 2)), q the squared Mahalanobis distance of the pixel's centre; less than
  LEAST_ALPHA counts as 0. A pixel takes no more where its transmittance has fallen below OPAQUE.
- Colour: the base plus the harmonics towards the Gaussian's centre, not below 0.

Constant when differentiated: the order, the directions of the harmonics, and where alpha or a colour is cut.
"""

from __future__ import annotations

POSITION = slice(0, 3)
SCALE = slice(3, 6)
ROTATION = slice(6, 10)
OPACITY = 10
BASE = slice(11, 14)
FIRST_HARMONIC = 14
MOST_DEGREE = 3

NEAR = 0.05  # of depth, world units
BLUR = 0.3  # square pixels
MARGIN = 0.15
MOST_ALPHA = 0.99
LEAST_ALPHA = 1 / 255
OPAQUE = 1e-4


def rows(degree: int) -> int:
    """D of a cloud with harmonics up to this degree."""
    return FIRST_HARMONIC + 3 * ((degree + 1) ** 2 - 1)
