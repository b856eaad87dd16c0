"""Where soft masks become hard, and where views go whose masks say nothing of the object.

A loader's masks are soft: the alpha, which images are composited by. From here on a mask is 0 or 1, and what asks for
`mask > 0` (votes, corruptions, IoU, pictures) asks for the object.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pointrad.data.scene import Scene, View
from pointrad.errors import UserError
from pointrad.progress import warn

Mask = NDArray[np.bool_]

_ALIKE = 4  # times as large or as small, areas of one object in several views still are


def with_hard_masks(scene: Scene, threshold: float) -> Scene:
    """The scene with masks of 1 where they were above `threshold`, in [0, 1), and of 0 elsewhere.

    Training views whose mask is empty, full or, by the looks of it, inverted abstain: they are left out, so that they
    neither vote, nor decide how many votes are enough, nor are a training target (their images were composited by the
    same mask). A warning names them. Evaluation views all stay.

    Raises UserError if more than half of the masks are empty or full. If more than half look inverted, the object may
    well be like that: they stay, with a warning.
    """
    masks: list[Mask] = [view.mask > threshold for view in scene.train]
    empty = [index for index, mask in enumerate(masks) if not mask.any()]
    full = [index for index, mask in enumerate(masks) if mask.all()]
    if 2 * (len(empty) + len(full)) > len(masks):
        raise _unusable(scene.train, empty, full, threshold)
    inverted = looks_inverted(masks)
    if 2 * len(inverted) > len(masks) - len(empty) - len(full):
        warn(
            f"{len(inverted)} of {len(masks)} training masks look inverted, the object all around and nothing within "
            f"({_names(scene.train, inverted)}); composited by them images lack the object, and scores mean nothing; "
            "expected alpha above masks.threshold on the object (masks.invert=true turns those of a folder round)"
        )
        inverted = []
    for abstaining, kind in ((empty, "empty"), (full, "full"), (inverted, "inverted by the looks of it")):
        if abstaining:
            warn(
                f"{len(abstaining)} of {len(masks)} training views are left out, their masks being {kind} "
                f"(at masks.threshold {threshold:g}): {_names(scene.train, abstaining)}"
            )
    out = {*empty, *full, *inverted}
    train = tuple(
        _with_mask(scene.train[index], mask, threshold) for index, mask in enumerate(masks) if index not in out
    )
    if scene.evaluation is scene.train:
        return replace(scene, train=train, evaluation=train)
    return replace(scene, train=train, evaluation=_hard_evaluation(scene.evaluation, threshold))


def with_hard_reference(scene: Scene, threshold: float) -> Scene:
    """The scene with hard masks; no view is left out, and nothing is said of the masks."""

    def hard(views: Sequence[View]) -> tuple[View, ...]:
        return tuple(_with_mask(view, view.mask > threshold, threshold) for view in views)

    return replace(scene, train=hard(scene.train), evaluation=hard(scene.evaluation))


def _hard_evaluation(views: Sequence[View], threshold: float) -> tuple[View, ...]:
    masks = [view.mask > threshold for view in views]
    hard = tuple(_with_mask(view, mask, threshold) for view, mask in zip(views, masks, strict=True))
    empty = [index for index, mask in enumerate(masks) if not mask.any()]
    for odd, kind in ((empty, "are empty"), (looks_inverted(masks), "look inverted")):
        if odd:
            warn(
                f"{len(odd)} of {len(hard)} evaluation masks {kind}, so that their images lack the object, and its "
                f"absence scores best: {_names(hard, odd)}"
            )
    return hard


def _with_mask(view: View, mask: Mask, threshold: float) -> View:
    reference = None if view.reference is None else (view.reference > threshold).astype(np.float32)
    return replace(view, mask=mask.astype(np.float32), reference=reference)


def _unusable(views: Sequence[View], empty: Sequence[int], full: Sequence[int], threshold: float) -> UserError:
    kinds = ((empty, "empty"), (full, "full"))
    found = " and ".join(f"{len(some)} {kind} ({_names(views, some)})" for some, kind in kinds if some)
    lowest, highest = min(float(view.mask.min()) for view in views), max(float(view.mask.max()) for view in views)
    return UserError(
        f"masks.threshold: found {found} of {len(views)} training masks at {threshold:g}; expected an object before a "
        f"background in most of them (their alpha goes from {lowest:.3g} to {highest:.3g})"
    )


def _names(views: Sequence[View], chosen: Collection[int], most: int = 3) -> str:
    """The names of the views chosen; of those beyond `most`, how many they are."""
    names = [views[index].name for index in sorted(chosen)]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def looks_inverted(masks: Sequence[Mask]) -> list[int]:
    """The indices of those masks that look as if object and background were exchanged; empty and full ones do not.

    Such a mask is on most of its image's border, more so than within. Where others are not like that, what it leaves
    free must also be about as large as what they cover, which is not so of a close view of the object.
    """
    usable = {index: mask for index, mask in enumerate(masks) if mask.any() and not mask.all()}
    coverage = {index: float(mask.mean()) for index, mask in usable.items()}
    borders = {index: float(border(mask).mean()) for index, mask in usable.items()}
    suspects = [index for index, border in borders.items() if border > max(0.5, coverage[index])]
    others = [coverage[index] for index in usable if index not in suspects]
    if not others:
        return suspects
    typical = float(np.median(others))

    def alike(free: float) -> bool:
        return typical / _ALIKE <= free <= typical * _ALIKE and abs(free - typical) < abs(1 - free - typical)

    return [index for index in suspects if alike(1 - coverage[index])]


def border(pixels: NDArray[Any]) -> NDArray[Any]:
    """Of an image or a mask [H, W, ...], the pixels along its four sides [P, ...]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
