"""Every model of mask errors on one scene: drawn at several levels, or matched.

Either way, each line of the output is a model, a level and the mean IoU there.
"""

from __future__ import annotations

from pointrad.artifacts.contact_sheet import Cell, write_contact_sheet
from pointrad.config import CorruptionsConfig
from pointrad.corruption import corrupted_at, matching_level
from pointrad.data.capture import load_scene
from pointrad.data.scene import Scene, Split
from pointrad.errors import UserError
from pointrad.masks.iou import mask_iou
from pointrad.progress import announce


def compare(config: CorruptionsConfig) -> None:
    """Draw the models' sheet, or print the levels at which their masks are equally wrong."""
    scene = load_scene(config.capture, Split.TRAIN)
    if config.matched_iou is None:
        _draw(config, scene)
    else:
        _match(config, scene, config.matched_iou)


def _draw(config: CorruptionsConfig, scene: Scene) -> None:
    views = scene.train
    if config.view >= len(views):
        raise UserError(f"view: found {config.view}; expected less than {len(views)}, the number of training views")
    rows: dict[str, list[Cell]] = {}
    for name, model in config.models.items():
        rows[name] = []
        for level in config.levels:
            corrupted = corrupted_at(model, scene, level)
            rows[name].append(Cell(corrupted[config.view], mask_iou(corrupted, views)))
            print(f"{name} {level:g} {rows[name][-1].iou:.4f}", flush=True)
    view = views[config.view]
    title = f"{config.scene.name}, {view.name}; IoU: mean over {len(views)} views"
    write_contact_sheet(config.picture, view, rows, config.levels, title)
    print(f"Picture: {config.picture}")


def _match(config: CorruptionsConfig, scene: Scene, iou: float) -> None:
    for name, model in config.models.items():
        level = matching_level(model, scene, iou)
        reached = mask_iou(corrupted_at(model, scene, 1 if level is None else level), scene.train)
        if level is None:
            announce(f"{name}: no level has a mean IoU of {iou:g}; level 1 has {reached:.4f}")
        else:
            print(f"{name} {level:g} {reached:.4f}", flush=True)
