"""Training views whose masks were put right, for another training, and for its cloud to be judged by."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pointrad.data.scene import View
from pointrad.init.evidence import Colour
from pointrad.repair.decision import OUTLINE
from pointrad.repair.put_right import PutRight


def with_repaired_mask(view: View, found: PutRight, composited: bool, background: Colour) -> View:
    """The view with its mask put right.

    view: with the image that training had. composited: it is what the given mask left of the photograph, and becomes
    what the repaired one leaves of it. Of a photograph that is known within the given mask alone, what is outside of it
    counts nowhere but far from the object: outlines of repaired masks are not exact.
    """
    mask = found.repaired.mask
    with_mask = replace(view, mask=mask.astype(np.float32))
    if not composited:
        return with_mask
    nothing = np.asarray(background, np.float32)
    if found.subject.image is None:
        anew = np.ones_like(mask) if found.given is None else found.repaired.changed
        left = np.where(mask[..., None], found.photograph, nothing)
        return replace(with_mask, image=np.where(anew[..., None], left, view.image))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * OUTLINE + 1,) * 2, np.uint8)) > 0
    unknown = near if found.given is None else near & ~found.given
    return replace(with_mask, image=np.where(near[..., None], view.image, nothing)).weighing(unknown, 0.0)


def agreed_on(view: View, found: PutRight) -> View | None:
    """The view with its mask put right, pixels on which the given mask does not agree with it having weight 0; None
    where the two agree on nothing.

    view: with the image that training had.
    """
    mask = found.repaired.mask
    if found.given is None or not (found.given == mask).any():
        return None
    return replace(view, mask=mask.astype(np.float32), reference=None).weighing(found.given ^ mask, 0.0)
