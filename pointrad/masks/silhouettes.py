"""Where the object is in photographs that have no mask: where the hull of the other masks falls.

A video's held-out cameras often have no masks. Their photographs are cut out by that silhouette, so that they are
scored on the object and not on a room that nothing was trained on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from pointrad.data.scene import Scene, View
from pointrad.errors import UserError

_LATTICE = 200  # points along the longest side of the box about the hull, but no more than pixels


def with_silhouettes(scene: Scene, lacking: Collection[str], cut: bool) -> Scene:
    """The scene, the masks of those evaluation views that are `lacking` one being silhouettes of the training masks'
    hull. What too few training views see to tell has a weight of 0.

    cut: their images are background outside. Raises UserError if the masks leave no hull.
    """
    if not any(view.name in lacking for view in scene.evaluation):
        return scene
    from pointrad.inspection.hull import Hull, Look, fit  # not above: slow to import, and few scenes need it

    pixels = max(max(view.mask.shape) for view in scene.train)
    found = fit([Look(view.camera, view.mask > 0) for view in scene.train], size=min(_LATTICE, pixels))
    if found is None:
        raise UserError(
            f"masks: found none of {len(lacking)} photographs that are held out, and the other masks agree on nothing "
            "that could stand in for them; expected masks of these, too, or eval.split=train"
        )

    def cut_out(view: View, hull: Hull) -> View:
        silhouette, unknown = hull.of_others(Look(view.camera, view.mask > 0), voted=False)
        background = np.asarray(scene.background, np.float32)
        image = np.where(silhouette[..., None], view.image, background) if cut else view.image
        return replace(view, image=image, mask=silhouette.astype(np.float32)).weighing(unknown, 0)

    views = tuple(cut_out(view, found.hull) if view.name in lacking else view for view in scene.evaluation)
    return replace(scene, evaluation=views)
