"""What a run shows to a camera, as pictures: colour, depth or opacity."""

from __future__ import annotations

from typing import Literal

import matplotlib
import numpy as np
from numpy.typing import NDArray

from pointrad.artifacts.pictures import as_bytes
from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.finished.load import FinishedRun

Layer = Literal["colour", "depth", "opacity"]
Picture = NDArray[np.uint8]  # [H, W, 3]

_NEAREST, _FURTHEST = 1, 99  # percent of what a picture shows


def drawn(run: FinishedRun, camera: Camera, layer: Layer) -> Picture:
    """One picture of a layer. Depth goes from near (red) to far (blue) within the picture."""
    match layer:
        case "colour":
            (image,) = run.render([camera])
            return as_bytes(image)
        case "opacity":
            (share,) = run.opacity([camera])
            return as_bytes(np.repeat(share[..., None], 3, axis=2))
        case "depth":
            (depth,) = run.depth([camera])
            known = depth[np.isfinite(depth)]
            near, far = np.percentile(known, (_NEAREST, _FURTHEST)) if len(known) else (0.0, 1.0)
            return as_bytes(coloured_depth(depth, float(near), float(far)))


def coloured_depth(depth: Float32Array, near: float, far: float) -> Float32Array:
    """[H, W, 3] float32 in [0, 1]: red at `near`, blue at `far`, black where `depth` is NaN."""
    share = np.clip((depth - near) / max(far - near, 1e-12), 0, 1)
    rgb = matplotlib.colormaps["turbo_r"](np.nan_to_num(share))[..., :3]
    return np.where(np.isnan(depth)[..., None], 0, rgb).astype(np.float32)
