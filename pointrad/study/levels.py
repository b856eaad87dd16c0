"""Levels of corruptions that a study leaves to be found: as wrong as the masks of a folder, or of a given IoU.

Both are found when the study is planned, on the training views of each scene.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pointrad.config import RunConfig
from pointrad.corruption.matching import matching_level
from pointrad.corruption.models import AnyCorruptionConfig
from pointrad.data.capture import Capture, load_scene
from pointrad.data.scene import Scene, Split
from pointrad.errors import UserError
from pointrad.masks.folder import FolderMasksConfig
from pointrad.masks.iou import mask_iou, with_true_masks
from pointrad.progress import announce
from pointrad.study.config import IOU, IOU_OF, LEVEL
from pointrad.study.plan import Variant


class LevelFinder:
    """Finds levels, each once."""

    def __init__(self) -> None:
        self._scenes: dict[Capture, Scene] = {}
        self._ious: dict[tuple[Capture, str], float] = {}
        self._levels: dict[tuple[Capture, float, AnyCorruptionConfig], float] = {}

    def resolved(self, variant: Variant, compose: Callable[[Variant], RunConfig]) -> Variant:
        """The variant, with a number for a level that is given as {iou: NUMBER} or {iou_of: FOLDER}.

        Raises UserError where no level has that IoU, and whatever loading masks raises.
        """
        asked = variant.settings.get(LEVEL)
        if not isinstance(asked, Mapping):
            return variant
        config = compose(replace(variant, settings=variant.settings | {LEVEL: 0}))
        level = self._level(config, asked)
        return replace(variant, settings=variant.settings | {LEVEL: level})

    def _level(self, config: RunConfig, asked: Mapping[str, Any]) -> float:
        capture = config.capture
        iou = float(asked[IOU]) if IOU in asked else self._iou_of(capture, str(asked[IOU_OF]))
        corruption = config.corruption.model_copy(update={"targets": "clean"})  # which changes no mask
        key = capture, iou, corruption
        if key not in self._levels:
            self._levels[key] = self._found(capture, iou, corruption)
        return self._levels[key]

    def _found(self, capture: Capture, iou: float, corruption: AnyCorruptionConfig) -> float:
        level = matching_level(corruption, self._scene(capture), iou)
        if level is None:
            raise UserError(
                f"{LEVEL}: found none at which {corruption.name} has a mean IoU of {iou:.4f} on {capture.name}; "
                "expected a higher IoU, or another corruption"
            )
        announce(
            f"{capture.name}: {corruption.name}, corruption.seed={corruption.seed}, has a mean IoU of {iou:.4f} at "
            f"level {level:g}"
        )
        return level

    def _iou_of(self, capture: Capture, folder: str) -> float:
        if (capture, folder) not in self._ious:
            if not isinstance(capture.masks, FolderMasksConfig):
                raise UserError(
                    f"{LEVEL}: found {{{IOU_OF}: {folder}}}, and masks of no folder to compare with; expected "
                    "masks=folder"
                )
            announce(f"{capture.name}: measuring how wrong the masks in {folder} are")
            given = capture.masks.model_copy(update={"folder": folder, "reference": capture.masks.folder})
            wrong = self._scene(replace(capture, masks=given)).train
            self._ious[capture, folder] = mask_iou(wrong, with_true_masks(wrong))
        return self._ious[capture, folder]

    def _scene(self, capture: Capture) -> Scene:
        if capture not in self._scenes:
            self._scenes[capture] = load_scene(capture, Split.TRAIN)
        return self._scenes[capture]
