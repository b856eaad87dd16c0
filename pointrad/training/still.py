"""What of a scene stands still from one frame to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, uniform_filter
from torch import Tensor

from pointrad.data.scene import Float32Array, View
from pointrad.model.base import Cloud
from pointrad.render.base import Renderer
from pointrad.training.config import StillConfig
from pointrad.training.contributions import contributions, shows_something

_MOSTLY = 0.5  # of a splat's part in the pictures must be where they show something
_NOISE = 3  # pixels along the side of the square over which changes are averaged, so that noise is none


def changed_pixels(before: Float32Array, now: Float32Array, change: float, around: int) -> NDArray[np.bool_]:
    """[H, W] of two [H, W, 3] images: where they differ by more than `change`, and so many pixels around."""
    averaged = uniform_filter(now - before, (_NOISE, _NOISE, 1))
    changed = np.abs(averaged).max(axis=-1) > change
    wide: NDArray[np.bool_] = maximum_filter(changed, 2 * around + 1)
    return wide


def paired(before: Sequence[View], now: Sequence[View]) -> list[tuple[View | None, View]]:
    """Each view of `now` with that of the same camera among `before`; None where there is none of its size."""
    seen = {_key(view): view for view in before}
    return [(seen.get(_key(view)), view) for view in now]


def changed_shares(
    cloud: Cloud, config: StillConfig, before: Sequence[View], now: Sequence[View], renderer: Renderer
) -> Tensor:
    """[N]: how much changed of what each splat shows, as a share; 0 of those that no view sees. Infinite of those that
    mostly show nothing: what is left of a splat where the object was is not still.

    before, now: the training views of both frames. What a camera sees that was not there before has changed.
    """

    def pixels(view: View) -> Tensor:
        earlier, something = earlier_of[view.name], shows_something(view, renderer)
        everywhere = torch.ones_like(something)
        changed = everywhere
        if earlier is not None:
            changed = torch.from_numpy(changed_pixels(earlier.image, view.image, config.change, config.around))
        return torch.stack([changed, something, everywhere])

    earlier_of = {view.name: earlier for earlier, view in paired(before, now)}
    changed, something, everywhere = contributions(cloud, now, renderer, pixels)
    shares = torch.where(changed > 0, changed / something, 0)
    return torch.where(something < _MOSTLY * everywhere, torch.inf, shares)


def _key(view: View) -> tuple[bytes, int, int]:
    return view.camera.camera_to_world.tobytes(), view.camera.width, view.camera.height
