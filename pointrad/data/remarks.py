"""What is worth saying of a scene before work starts, though it is no error."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from pointrad.data.scene import Background, Float32Array, Scene
from pointrad.progress import warn

_FEW_VIEWS = 5


def remark(scene: Scene, background: Background) -> None:
    """Say what is odd about a scene as it was loaded, masks still soft."""
    if background == "published":
        _remark_colour_under_alpha_0(scene)
    if len(scene.train) < _FEW_VIEWS:
        count = "1 training view" if len(scene.train) == 1 else f"{len(scene.train)} training views"
        warn(f"{scene.name} has {count}: the hull of so few is far larger than the object")


def _is_coloured(image: Float32Array) -> NDArray[np.bool_]:
    """[H, W], where an image [H, W, 3] is not black; several times as fast as `any` along its last axis."""
    red, green, blue = np.moveaxis(image, -1, 0)
    coloured: NDArray[np.bool_] = (red != 0) | (green != 0) | (blue != 0)
    return coloured


def _remark_colour_under_alpha_0(scene: Scene) -> None:
    views = scene.train if scene.evaluation is scene.train else tuple(chain(scene.train, scene.evaluation))
    counts = np.array([np.count_nonzero((view.mask == 0) & _is_coloured(view.image)) for view in views])
    if counts.any():
        share = counts.sum() / sum(view.mask.size for view in views)
        warn(
            f"dataset.background=published counts colour under alpha 0 as truth: {counts.sum():,} pixels "
            f"({share:.2%}) in {np.count_nonzero(counts)} of {len(views)} pictures are not black there"
        )
