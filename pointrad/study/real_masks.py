"""The axis of a study that compares given masks: those of several folders, corruptions that are as wrong, and none.

How wrong masks are is measured when the study is planned: a corruption's level may be left to that (`iou_of`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pointrad.config import RunConfig
from pointrad.corruption.matching import matching_level
from pointrad.corruption.models import AnyCorruptionConfig
from pointrad.data.capture import Capture, load_scene
from pointrad.data.scene import Split, View
from pointrad.errors import UserError
from pointrad.masks.folder import FolderMasksConfig
from pointrad.masks.iou import mask_iou, with_true_masks
from pointrad.progress import announce
from pointrad.study.config import IOU_OF, LEVEL
from pointrad.study.plan import Variant


class MaskMeasure:
    """Levels of corruptions that are as wrong as masks of a folder, each found once."""

    def __init__(self) -> None:
        self._views: dict[Capture, tuple[View, ...]] = {}
        self._levels: dict[tuple[Capture, str, AnyCorruptionConfig], float] = {}

    def resolved(self, variant: Variant, compose: Callable[[Variant], RunConfig]) -> Variant:
        """The variant, with a number for the level where that is to have the IoU of other masks.

        Raises UserError where no level is as wrong, and whatever loading masks raises.
        """
        asked = variant.settings.get(LEVEL)
        if not isinstance(asked, Mapping):
            return variant
        config = compose(replace(variant, settings=variant.settings | {LEVEL: 0}))
        level = self._level(config.capture, str(asked[IOU_OF]), config.corruption)
        return replace(variant, settings=variant.settings | {LEVEL: level})

    def _level(self, capture: Capture, folder: str, corruption: AnyCorruptionConfig) -> float:
        key = capture, folder, corruption
        if key not in self._levels:
            self._levels[key] = self._measured(capture, folder, corruption)
        return self._levels[key]

    def _measured(self, capture: Capture, folder: str, corruption: AnyCorruptionConfig) -> float:
        assert isinstance(capture.masks, FolderMasksConfig)
        announce(f"{capture.name}: measuring how wrong the masks in {folder} are")
        given = capture.masks.model_copy(update={"folder": folder, "reference": capture.masks.folder})
        wrong = self._training_views(replace(capture, masks=given))
        iou = mask_iou(wrong, with_true_masks(wrong))
        level = matching_level(corruption, self._training_views(capture), iou)
        if level is None:
            raise UserError(
                f"study.matched: the masks in {folder} have a mean IoU of {iou:.4f}, which {corruption.name} does not "
                "reach at any level; expected another corruption"
            )
        announce(
            f"{capture.name}: masks in {folder} have a mean IoU of {iou:.4f}; {corruption.name} has it at {level:g}"
        )
        return level

    def _training_views(self, capture: Capture) -> tuple[View, ...]:
        if capture not in self._views:
            self._views[capture] = load_scene(capture, Split.TRAIN).train
        return self._views[capture]
