"""What views say of lattice points, counted in the plainest way; and cases to compare with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pointrad.camera import Camera
from pointrad.data.scene import Split, View
from pointrad.init.votes import Lattice
from tests.scenes import off_centre

NO_MARGIN = {"outside": "published", "outside_margin": 0.0, "least_seen": None}


def votes_of_one_view(view: View, lattice: Lattice, outside_margin: float) -> NDArray[np.bool_]:
    """The definition, point by point in float64 (docs/method.md)."""
    at, mask = view.camera, view.mask > 0
    longest = max(high - low for low, high in lattice.bounds)
    sides = zip(lattice.bounds, lattice.shape, strict=True)
    lines = [low + longest * np.arange(count) / lattice.size for (low, _), count in sides]
    x, y, z = np.meshgrid(*lines, indexing="ij")
    m = at.world_to_image
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        across, down, depth = (m[r, 0] * x + m[r, 1] * y + m[r, 3] + m[r, 2] * z for r in range(3))
        u, v = at.fx * across / depth + at.cx, at.fy * down / depth + at.cy
    margin = outside_margin * (at.width / 2)
    in_front = depth > 0
    inside = in_front & (u >= 0) & (u <= at.width) & (v >= 0) & (v <= at.height)
    near = in_front & (u >= -margin) & (u <= at.width + margin) & (v >= -margin) & (v <= at.height + margin)
    votes: NDArray[np.bool_] = near & ~inside
    column, row = (np.floor(at_centre[inside] - 0.5).astype(int) + 1 for at_centre in (u, v))  # of the mask with a rim
    rimmed = np.pad(mask, 1)
    votes[inside] = (
        rimmed[row, column] | rimmed[row, column + 1] | rimmed[row + 1, column] | rimmed[row + 1, column + 1]
    )
    return votes


@st.composite
def views_and_lattice(draw: st.DrawFn) -> tuple[list[View], Lattice, float]:
    """Cameras of any size anywhere, also amid the lattice and looking away, at masks of blobs and single pixels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    highest = st.sampled_from([-0.9, 0.5, 1.0, 1.7])
    bounds = ((-1.0, draw(highest)), (-1.0, draw(highest)), (-1.0, draw(highest)))
    lattice = Lattice(draw(st.sampled_from([2, 7, 8, 9, 17])), bounds)
    views = []
    for n in range(draw(st.integers(1, 4))):
        width, height = draw(st.integers(1, 24)), draw(st.integers(1, 24))
        pose = np.eye(4)
        pose[:3, :3] = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
        if draw(st.booleans()):
            pose[:3, :3] = Rotation.from_euler("z", 90 * n, degrees=True).as_matrix()  # grids fall on pixel edges
        pose[:3, 3] = pose[:3, 2] * draw(st.sampled_from([0.0, 0.25, 2.0, 4.0])) + rng.normal(0, 0.2, 3)
        mask = rng.random((height, width)) < draw(st.sampled_from([0.0, 0.02, 0.5, 1.0]))
        if draw(st.booleans()):
            mask[height // 4 : height // 2 + 1, width // 4 : width // 2 + 1] = True
        at = Camera.centred(pose, width * draw(st.sampled_from([0.5, 1.0, 3.0])), width, height)
        at = off_centre(at) if draw(st.booleans()) else at
        views.append(View(f"v{n}", Split.TRAIN, at, np.zeros((height, width, 3), np.float32), mask.astype(np.float32)))
    return views, lattice, draw(st.sampled_from([0.0, 0.05, 0.5]))


def sees(view: View, lattice: Lattice) -> NDArray[np.bool_]:
    """Which points the view has in its picture."""
    return votes_of_one_view(replace(view, mask=np.ones_like(view.mask)), lattice, 0.0)


def tells(view: View, lattice: Lattice, outside: str = "abstain", margin: float = 0.0) -> NDArray[np.bool_]:
    """Of which points the view tells something: of none behind pixels that are not used, unless it votes for it; of
    those outside its picture by the published rule, or if neither mask nor such pixels reach the picture's border."""
    unused, voting = ~view.used, (view.mask > 0) & view.used
    votes = votes_of_one_view(replace(view, mask=voting), lattice, margin)
    hidden = votes_of_one_view(replace(view, mask=unused), lattice, 0.0) & ~votes
    maybe = voting | unused
    leaves = maybe[0].any() or maybe[-1].any() or maybe[:, 0].any() or maybe[:, -1].any()
    told = sees(view, lattice) if outside == "abstain" and leaves else np.ones(lattice.shape, bool)
    return told & ~hidden
