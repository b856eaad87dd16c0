"""Whether the bounds hold the object, and which bounds would.

The hull of a scene in millimetres, or of one far from the origin, fills the lattice, touches its faces or has a handful
of points. Training would go on with it and end in a poor cloud, so the user hears of it before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pointrad.camera import Float64Array
from pointrad.data.poses import nearest_to_axes
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.init.counts import leaving
from pointrad.init.votes import Lattice, Votes, count_votes, described
from pointrad.progress import warn
from pointrad.schema import Bounds

_FULL = 0.95  # of the lattice's points: a hull that fills it shows where the bounds end, not the object
_FEW = 100  # points: so small a hull has no shape
_TOUCHING = 0.001  # of the hull's points lie on the lattice's faces
_COARSE = 64  # points along the lattice on which the object is looked for
_AGREEING = 0.9  # of the views must not see background there, since some masks may be wrong,
_SEEING = 0.75  # and of so many must have the point in their pictures
_MARGIN = 0.35  # of the object's size, on each side of the suggested bounds: rates and voxels suit such


def check_placement(votes: Votes, views: Sequence[View]) -> None:
    """Compare the hull of `votes` with its lattice. views: the training views with their given masks, world frame.

    Warns if the hull touches the lattice's faces or has few points. Raises UserError if it fills the lattice. Both
    suggest bounds.
    """
    hull = votes.counts > 0
    points, bounds = int(hull.sum()), described(votes.lattice.bounds)
    if points >= _FULL * hull.size:
        raise UserError(
            f"init.bounds: found {bounds}, and the hull fills all of it: every view sees the object in every direction "
            f"there, as if the bounds lay inside it; {_advice(votes, views)}"
        )
    if points < _FEW:
        warn(f"init.bounds: found {bounds}, in which the hull has {points} points only; {_advice(votes, views)}")
    elif _on_faces(hull) > _TOUCHING * points:
        warn(
            f"init.bounds: found {bounds}, and the hull touches their faces, so part of the object may lie outside; "
            f"{_advice(votes, views)}"
        )


def suggested_bounds(views: Sequence[View]) -> Bounds | None:
    """Bounds (world units) of what nearly all masks agree on, or of what the cameras look at if they agree on nothing.

    None if the cameras do not look at a common place.
    """
    focus = _focus(views)
    if focus is None:
        return None
    distance = float(np.median([np.linalg.norm(view.camera.position - focus) for view in views]))
    lattice = Lattice(_COARSE, _cube(focus, distance))
    agreeing = math.ceil(_AGREEING * len(views))
    surely, maybe = ([replace(view, mask=np.where(view.used, view.mask, n)) for view in views] for n in (0, 1))
    abstain = leaving(maybe, [view.mask > 0 for view in maybe])
    possible = count_votes(maybe, lattice, 0.0, agreeing, beyond=abstain).counts
    found = count_votes(surely, lattice, 0.0, math.ceil(_SEEING * agreeing), possible).counts > 0
    agreed = np.stack(np.nonzero(found & (possible > 0)), axis=1)
    if len(agreed) == 0 or _on_faces(found):
        return _rounded(_cube(focus, distance / 2))
    low, high = lattice.positions(agreed.min(axis=0) - 1), lattice.positions(agreed.max(axis=0) + 1)
    margin = _MARGIN * float((high - low).max())
    return _rounded(_box(low - margin, high + margin))


def object_bounds(views: Sequence[View]) -> Bounds:
    """`suggested_bounds`, for init.bounds=auto. Raises UserError where there are none."""
    bounds = suggested_bounds(views)
    if bounds is None:
        why = (
            "one camera says not how far the object is"
            if len(views) == 1
            else "the cameras do not look at a common place"
        )
        raise UserError(f"init.bounds: found auto, but {why}; expected bounds (world units) that hold the object")
    return bounds


def _advice(votes: Votes, views: Sequence[View]) -> str:
    bounds = suggested_bounds(views)
    if bounds is None:
        return "expected bounds (world units) that hold the object; the cameras do not look at a common place"
    if described(bounds) == described(votes.lattice.bounds):
        return "the cameras and masks tell no others; expected bounds (world units) that hold the object"
    return f"the cameras and masks suggest init.bounds={described(bounds)} (world units)"


def _on_faces(hull: np.ndarray) -> int:
    """How many points of the hull lie on the six faces of its lattice, edges counted more than once."""
    ends = (hull.take(end, axis=axis) for axis in range(3) for end in (0, -1))
    return sum(int(face.sum()) for face in ends)


def _focus(views: Sequence[View]) -> Float64Array | None:
    """[3] the point that the cameras look at, None if it is behind most of them or their axes are parallel."""
    poses = np.stack([view.camera.camera_to_world for view in views])
    focus = nearest_to_axes(poses)
    if focus is None:
        return None
    ahead = -((focus - poses[:, :3, 3]) * poses[:, :3, 2]).sum(axis=1) > 0
    return focus if ahead.mean() > 0.5 else None


def _cube(centre: Float64Array, half: float) -> Bounds:
    return _box(centre - half, centre + half)


def _box(low: Float64Array, high: Float64Array) -> Bounds:
    x, y, z = ((float(a), float(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def _rounded(bounds: Bounds) -> Bounds:
    """Outwards to a hundredth of the longest side's power of ten, as one would write them."""
    digit = 10.0 ** (math.floor(math.log10(max(high - low for low, high in bounds))) - 1)
    low, high = np.array(bounds).T
    slack = 1e-6  # so that the last bit of a sum moves nothing
    return _box(np.floor(low / digit + slack) * digit, np.ceil(high / digit - slack) * digit)
