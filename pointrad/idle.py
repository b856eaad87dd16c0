"""Keys of a run that change nothing, since another part of its configuration does without them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pointrad.data.moving import MovingLayout
from pointrad.init.config import AdaptiveConfig, RandomConfig

if TYPE_CHECKING:
    from pointrad.config import RunConfig

# What is set per scene, and the part of a run that takes it.
SCENE_DEFAULTS = {"bounds": "init", "outside": "init", "kept_share": "init", "splat_radius": "model"}


def idle_across(config: RunConfig) -> dict[str, str]:
    """Such keys, and what makes them so, as `Config.idle` has them."""
    return {
        **_of_scene(config),
        **_of_corruption(config),
        **_of_model(config),
        **_of_sequence(config),
        **dict(_rates(config)),
    }


def _of_scene(config: RunConfig) -> dict[str, str]:
    """Those that no part takes, or in whose place another value stands."""
    idle = {}
    for key, place in SCENE_DEFAULTS.items():
        part = getattr(config, place)
        if not hasattr(part, key):
            idle[f"scene.{key}"] = f"{place}={part.name}"
        elif getattr(part, key) != getattr(config.scene, key):
            idle[f"scene.{key}"] = f"{place}.{key}={part.model_dump(mode='json')[key]}"
    return idle


def _of_corruption(config: RunConfig) -> dict[str, str]:
    corruption, init = config.corruption, config.init
    still = {} if isinstance(config.dataset, MovingLayout) else {"corruption.in_time": f"dataset={config.dataset.name}"}
    if corruption.level == 0:
        scaled = set(type(corruption).model_fields) - {"name", "level", "targets"}
        return {f"corruption.{key}": "corruption.level=0" for key in scaled}
    masks_count = init.asks_masks or init.bounds == "auto" or config.model.asks_views
    if masks_count or corruption.targets == "masked":
        return still
    return {"corruption": f"init={init.name}, which asks no masks, and corruption.targets=clean"}


def _of_model(config: RunConfig) -> dict[str, str]:
    """Those that the start decides on."""
    match config.init:
        case AdaptiveConfig(source="none"):
            return {"model.darkening": "init.source=none"}
        case AdaptiveConfig(cut_pixels="background"):
            return {"model.darkening": "init.cut_pixels=background"}
        case AdaptiveConfig():
            return {}
    idle = {"model.darkening": f"init={config.init.name}"}
    if not hasattr(config.init, "kept_share"):
        idle["init.kept_share"] = f"init={config.init.name}"  # a model may set it for all starts
    if isinstance(config.init, RandomConfig):
        transparent = any(group.name == "opacity" for group in config.model.groups)
        key, cause = "model.opacity", f"init.opacity={config.init.opacity:g}"
        idle |= {key: cause} if transparent else {"init.opacity": f"model={config.model.name}"}
    return idle


def _of_sequence(config: RunConfig) -> dict[str, str]:
    """Those of moving scenes in a run of one that stands still, and the other way round."""
    name = f"schedule={config.schedule.name}"
    if config.schedule.next is None:
        return {"artifacts.sequence": name}
    window = config.schedule.next.window
    borrowed = {"artifacts.repaired_masks": f"schedule.next.window={window}"} if window else {}
    return {"eval.lpips": name} | borrowed


def _rates(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Of harmonics alone, where a stage renders none."""
    groups = config.model.groups
    others = {group.rate for group in groups if group.name != "harmonics"}
    without = {group.rate for group in groups if not group.width}
    for key, stage in config.all_stages.items():
        for rate in stage.lr:
            if rate in without:
                yield f"{key}.lr.{rate}", "model.sh_degree=0"
            elif rate not in others and not stage.harmonics:
                yield f"{key}.lr.{rate}", f"{key}.harmonics=false"
