"""Training views whose masks were put right, for another training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pointrad.data.scene import View
from pointrad.init.evidence import Colour
from pointrad.repair.put_right import PutRight


def with_repaired_mask(view: View, found: PutRight, cut: bool, background: Colour) -> View:
    """The view with its mask put right.

    view: with the image that training had. cut: it is what the given mask left of the photograph, and becomes what the
    repaired one leaves of it; what it adds of a photograph that is not known counts nowhere.
    """
    mask = found.repaired.mask
    with_mask = replace(view, mask=mask.astype(np.float32))
    if not cut:
        return with_mask
    anew = found.repaired.changed if found.given is not None else np.ones_like(mask)
    composited = np.where(mask[..., None], found.photograph, np.asarray(background, np.float32))
    image = np.where(anew[..., None], composited, view.image)
    if found.subject.image is None:
        return replace(with_mask, image=image)
    unknown = mask if found.given is None else mask & ~found.given
    return replace(with_mask, image=image).weighing(unknown, 0.0)
