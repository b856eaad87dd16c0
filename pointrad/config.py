"""The keys of a run, composed of those of its parts, and what names its result.

Hydra composes the YAML; `RunConfig.parse` takes the plain result and checks it in full before any work starts.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pointrad.artifacts.config import ArtifactsConfig, TurntableConfig
from pointrad.corruption.models import AnyCorruptionConfig
from pointrad.data.capture import Capture
from pointrad.data.layout import CaptureLayout
from pointrad.data.layouts import AnyDatasetConfig
from pointrad.data.moving import MovingLayout
from pointrad.data.scene import SceneContent, Split
from pointrad.errors import UserError
from pointrad.idle import SCENE_DEFAULTS, idle_across
from pointrad.init.config import AnyInitConfig, KeptShare, ObjectBounds
from pointrad.masks.none import NoMasksConfig
from pointrad.masks.sources import AnyMasksConfig
from pointrad.method import METHOD_VERSION, REPAIR_VERSION, UNDECISIVE
from pointrad.model import groups
from pointrad.model.config import ModelConfig, SplatRadius
from pointrad.plugins import PluggableConfig
from pointrad.render.config import RendererConfig
from pointrad.schema import Config, Count, GivenPath, NonNegative, Share, digest
from pointrad.tracking.config import NoTrackerConfig, WandbTrackerConfig
from pointrad.training.config import ScheduleConfig, SilhouetteLossConfig, StageConfig


class SceneConfig(Config):
    """What is set per scene, for `init` and `model` to take: where the object is, whether it leaves pictures, and what
    the published code sets, the share of hull points kept and the splat radius (NDC)."""

    name: str
    bounds: ObjectBounds
    outside: Literal["published", "abstain"]
    kept_share: KeptShare
    splat_radius: SplatRadius


class EvalConfig(Config):
    split: Split
    lpips: bool
    fps_seconds: NonNegative


class CacheConfig(Config):
    """Where preparation that runs share is kept; None keeps none."""

    dir: GivenPath | None


class MaskRepairConfig(Config):
    """rounds: how many trainings there may be, each but the first from the masks that the one before put right."""

    rounds: Count


class CheckpointConfig(Config):
    """max_attempts: how many processes may work on a run, the first and those that resume it, before it fails."""

    every_seconds: NonNegative
    max_attempts: Count


class DatasetConfig(PluggableConfig):
    """The keys of where scenes are, alone."""

    dataset: AnyDatasetConfig


class CaptureConfig(DatasetConfig):
    """The keys of what is loaded: which scene, from where, with which masks."""

    scene: SceneConfig
    masks: AnyMasksConfig

    @property
    def capture(self) -> Capture:
        return Capture(self.dataset, self.masks, self.scene.name)


class RunConfig(CaptureConfig):
    """All of one run."""

    corruption: AnyCorruptionConfig
    init: AnyInitConfig
    model: ModelConfig
    renderer: RendererConfig
    schedule: ScheduleConfig
    repair: MaskRepairConfig
    eval: EvalConfig
    artifacts: ArtifactsConfig
    checkpoint: CheckpointConfig
    cache: CacheConfig
    tracker: Annotated[NoTrackerConfig | WandbTrackerConfig, Field(discriminator="name")]
    seed: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _renderer_draws_the_model(self) -> Self:
        names = self.model.renderers
        graphs = (False, True) if "triton" in names else (False,)
        for key, valid in {"name": names, "graphs": graphs}.items():
            if (found := getattr(self.renderer, key)) not in valid:
                raise ValueError(
                    f"renderer.{key}: found {found!r}, which model={self.model.name} does not have, expected "
                    f"{' or '.join(map(repr, valid))}"
                )
        return self

    @model_validator(mode="after")
    def _no_masks_are_asked_for(self) -> Self:
        if not isinstance(self.masks, NoMasksConfig):
            return self
        if self.corruption.level > 0:
            raise ValueError("corruption: found masks=none, which leaves none to corrupt; expected corruption=none")
        if self.repair.rounds > 1:
            raise ValueError(
                f"repair.rounds: found {self.repair.rounds} with masks=none, which leaves none to put right; expected 1"
            )
        if self.init.asks_masks:
            raise ValueError(
                f"init: found {self.init.name} with masks=none; expected init=random, or init=adaptive init.source=none"
            )
        return self

    @model_validator(mode="after")
    def _stages_train_the_model(self) -> Self:
        for key, stage in self.all_stages.items():
            self._check_rates(key, stage)
            self._check_loss(key, stage)
            self._check_operations(key, stage)
        return self

    @model_validator(mode="after")
    def _every_group_is_stored(self) -> Self:
        after, wanted = self.schedule.next, [group.name for group in self.model.groups]
        if after is not None and set(after.steps) != set(wanted):
            raise ValueError(
                f"schedule.next.steps: found {', '.join(after.steps) or 'nothing'}; model={self.model.name} has "
                f"{', '.join(wanted)}, expected one of each"
            )
        if after is not None and after.widen and "scale" not in wanted:
            raise ValueError(
                f"schedule.next.widen: found {after.widen:g}; model={self.model.name} has no sizes, expected 0"
            )
        return self

    def captures(self) -> tuple[Capture, ...]:
        """What is trained on: the scene as if nothing moved, or, of a sequence, each instant that is chosen."""
        if self.schedule.next is None:
            return (self.capture,)
        frames = self.capture.frames(self.schedule.next.window)
        if len(frames) == 1:
            raise UserError(
                f"schedule: found {self.schedule.name}, for a scene that moves, but dataset={self.dataset.name} shows "
                f"one instant of {self.scene.name}; expected more of them, or a schedule of a static scene"
            )
        return frames

    @property
    def all_stages(self) -> dict[str, StageConfig]:
        """The enabled stages by their dotted names, those of a sequence's next frames, too."""
        after = self.schedule.next
        stages = {"schedule": self.schedule} | ({"schedule.next": after} if after else {})
        return {
            f"{part}.stages.{name}": stage
            for part, schedule in stages.items()
            for name, stage in schedule.enabled_stages.items()
        }

    @model_validator(mode="after")
    def _only_a_static_scene_trains_again(self) -> Self:
        if self.repair.rounds > 1 and self.schedule.next is not None:
            raise ValueError(
                f"repair.rounds: found {self.repair.rounds} with schedule={self.schedule.name}, for a scene that "
                "moves, whose frames are trained once; expected 1"
            )
        return self

    def _check_rates(self, key: str, stage: StageConfig) -> None:
        wanted = groups.rates(self.model.groups)
        if set(stage.lr) != set(wanted):
            raise ValueError(
                f"{key}.lr: found rates of {', '.join(stage.lr) or 'nothing'}; model="
                f"{self.model.name} has {', '.join(wanted)}, expected one of each (0 trains none); schedule="
                f"{self.schedule.name} may be one of another model"
            )

    def _check_loss(self, key: str, stage: StageConfig) -> None:
        ridge = stage.loss.ridge if isinstance(stage.loss, SilhouetteLossConfig) else 0.0
        if ridge and not self.model.trains_ridge:
            raise ValueError(
                f"{key}.loss.ridge: found {ridge:g}; model={self.model.name} trains without one, expected 0"
            )

    def _check_operations(self, key: str, stage: StageConfig) -> None:
        names = {group.name for group in self.model.groups}
        for operation in stage.operations:
            if missing := set(operation.needs) - names:
                raise ValueError(
                    f"{key}: operation {operation.op} works on {', '.join(sorted(missing))}, "
                    f"which model={self.model.name} does not have"
                )
            if operation.of_steps and not self.model.steps_note:
                raise ValueError(
                    f"{key}: operation {operation.op} goes by what steps note, and those of model={self.model.name} "
                    "note nothing"
                )
        for place, todo in (("before", stage.before), ("after", stage.after)):
            if wrong := [operation.op for operation in todo if operation.of_steps]:
                raise ValueError(
                    f"{key}.{place}: found {wrong[0]}, which goes by what steps of the stage noted; "
                    f"expected it in {key}.every.ops"
                )

    def idle(self) -> dict[str, str]:
        return super().idle() | idle_across(self)

    def identity(self, content: SceneContent) -> str:
        """16 hex digits that name the result: equal for two runs exactly when their training and evaluation are the
        same, and the data of both. Studies compute each identity once."""
        scores = self.eval.model_dump(mode="json", exclude={"fps_seconds"})
        evaluation = {"eval": scores, "evaluated": content.evaluation}
        return digest(self._trained(content) | evaluation | self._put_right())

    def training_identity(self, content: SceneContent, number: int = 1) -> str:
        """16 hex digits that name the trained cloud of a round, whatever it is evaluated on; a checkpoint belongs to
        one. The first round is the same, however many follow."""
        round_of_repairs = {} if number == 1 else {"round": number, "repair": REPAIR_VERSION}
        return digest(self._trained(content) | round_of_repairs)

    def _put_right(self) -> dict[str, Any]:
        """What decides which masks are put right and how: nothing of one round by the first version of repairs, which
        finished runs do not name."""
        if self.repair.rounds > 1:
            return {"rounds": self.repair.rounds, "repair": REPAIR_VERSION}
        return {"repair": REPAIR_VERSION} if self.repairs_masks and REPAIR_VERSION > 1 else {}

    @property
    def repairs_masks(self) -> bool:
        """Whether masks that are put right are a result. Frames that borrow photographs of other instants put none."""
        window = 0 if self.schedule.next is None else self.schedule.next.window
        return self.artifacts.repaired_masks and not isinstance(self.masks, NoMasksConfig) and window == 0

    def _trained(self, content: SceneContent) -> dict[str, Any]:
        """What decides the trained cloud, as plain values: configuration, data and method.

        Left out: device, CUDA graphs, threads, folders, pictures, checkpoints and trackers; a scene's defaults, which
        act through `init` and `model`; stages that are not enabled; and how a corruption of level 0 would corrupt.
        """
        values = self.model_dump(mode="json", exclude={"repair", "eval", *UNDECISIVE})
        values["scene"] = self.scene.name
        values["dataset"] = self.dataset.decisive()
        values["masks"] = self.masks.decisive(self.dataset.background)
        del values["renderer"]["device"], values["renderer"]["graphs"]
        values["schedule"] |= {"stages": self.schedule.enabled_in_order}
        del values["schedule"]["name"], values["plugins"]
        if self.schedule.next is None:
            del values["schedule"]["next"]
        else:
            values["schedule"]["next"] = self.schedule.next.decisive()
        values["corruption"] = self.corruption.decisive() | {"targets": self.corruption.targets}
        plugins = {"plugins": [plugin.digest for plugin in self.plugins]} if self.plugins else {}
        return values | plugins | {"content": content.train, "method": METHOD_VERSION}


class RepairConfig(RunConfig):
    """What `repair.py` trains on the way to repaired masks, which are all that it leaves."""

    @model_validator(mode="after")
    def _there_are_masks(self) -> Self:
        if isinstance(self.masks, NoMasksConfig):
            raise ValueError("masks: found none, of which none can be put right; expected auto, alpha or folder")
        return self

    def idle(self) -> dict[str, str]:
        return super().idle() | dict.fromkeys(("eval", "artifacts", "checkpoint", "tracker"), "this command")

    def of_all_photographs(self) -> Self:
        """Trained on all photographs that may be trained on, with masks of the others, too."""
        holds_out = isinstance(self.dataset, CaptureLayout)
        dataset = self.dataset.model_copy(update={"holdout": None}) if holds_out else self.dataset
        try:
            dataset.listing(self.scene.name, Split.TEST)
            split = Split.TEST
        except UserError:  # no photograph is held out
            split = Split.TRAIN
        return self.model_copy(update={"dataset": dataset, "eval": self.eval.model_copy(update={"split": split})})


def _scene_is_idle() -> dict[str, str]:
    """For commands that take no more of a scene than its name."""
    return {f"scene.{key}": "this command" for key in SCENE_DEFAULTS}


class CorruptionsConfig(CaptureConfig):
    """What `corruptions.py` draws or matches: the models, each at every level, on the training views of a scene."""

    models: Annotated[dict[str, AnyCorruptionConfig], Field(min_length=1)]
    levels: Annotated[tuple[Share, ...], Field(min_length=1)]
    view: Annotated[int, Field(ge=0)]
    picture: GivenPath
    matched_iou: Share | None

    def idle(self) -> dict[str, str]:
        matches = self.matched_iou is not None
        idle = dict.fromkeys(("levels", "view", "picture"), f"matched_iou={self.matched_iou}") if matches else {}
        for name in self.models:
            idle[f"models.{name}.level"] = idle.get("levels", "levels, which stand in its place")
            idle[f"models.{name}.targets"] = "this command"
            if not isinstance(self.dataset, MovingLayout):
                idle[f"models.{name}.in_time"] = f"dataset={self.dataset.name}"
        return super().idle() | idle | _scene_is_idle()


class InspectConfig(CaptureConfig):
    """What `inspect_capture.py` looks at.

    max_size: pixels along the longer side of the pictures in which it looks, and which the page shows.
    """

    max_size: Annotated[int, Field(ge=64)]
    threads: Annotated[int, Field(ge=0)]

    def idle(self) -> dict[str, str]:
        idle = super().idle() | _scene_is_idle() | {"dataset.holdout": "this command, which looks at all photographs"}
        return {key: cause for key, cause in idle.items() if key != "scene.bounds"}


class SplatsConfig(CaptureConfig):
    """What `splats.py` renders and scores: a PLY file of 3D Gaussian Splatting, on a split of a scene.

    views: those drawn beside the truth, None for three.
    """

    splats: GivenPath
    split: Split
    lpips: bool
    views: tuple[Annotated[int, Field(ge=0)], ...] | None
    turntable: TurntableConfig
    threads: Annotated[int, Field(ge=0)]

    def idle(self) -> dict[str, str]:
        return super().idle() | _scene_is_idle()

    @field_validator("splats", mode="before")
    @classmethod
    def _file_is_given(cls, splats: object) -> object:
        if splats is None:
            raise ValueError("not given; expected splats=FILE.ply, a file of 3D Gaussian Splatting")
        return splats
