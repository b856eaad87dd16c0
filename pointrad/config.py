"""The schema of a run: every key, its type and its range. Values live in conf/ alone; nothing here has a default.

The classes are frozen pydantic models, so a run's configuration is checked in full before any work starts, and the
library works on typed attributes only. Hydra composes the YAML; `RunConfig.parse` takes the plain result.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from pointrad.errors import UserError, did_you_mean
from pointrad.method import METHOD_VERSION
from pointrad.model import groups
from pointrad.model.groups import Group
from pointrad.scene.types import SceneContent, Split

Share = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
PositiveShare = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
GivenPath = Annotated[Path, AfterValidator(Path.expanduser)]
Interval = tuple[float, float]
Bounds = tuple[Interval, Interval, Interval]  # of x, y and z, world units
Background = Literal["black", "white", "published"]  # published: RGB as it is stored, whatever its alpha


class Config(BaseModel):
    """Base of all configs: immutable, unknown keys, NaN and infinities are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, values: object) -> Self:
        """Check a composed configuration (plain dicts, lists and scalars).

        Raises UserError naming each wrong key, the value found and what would be valid.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UserError("\n".join(_explain(problem, values) for problem in error.errors())) from None


class DemoDatasetConfig(Config):
    """The scene that comes with the repository."""

    name: Literal["demo"]
    downscale: Count
    background: Background


class BlenderDatasetConfig(Config):
    """Scenes in NeRF-synthetic layout: `root` holds one folder per scene."""

    name: Literal["blender"]
    root: GivenPath
    downscale: Count
    background: Background

    @field_validator("root", mode="before")
    @classmethod
    def _root_is_set(cls, root: object) -> object:
        if root is None:
            raise ValueError(
                "not set; give dataset.root=FOLDER (the folder that holds the scenes) or set POINTRAD_DATA"
            )
        return root


DatasetConfig = DemoDatasetConfig | BlenderDatasetConfig


class MasksConfig(Config):
    """The object masks that views come with; "alpha" are the alpha channels of their pictures."""

    name: Literal["alpha"]
    threshold: Annotated[float, Field(ge=0, lt=1)] | None

    def threshold_on(self, background: Background) -> float:
        """The share of alpha above which a pixel is the object's; published results take all that is not 0."""
        if self.threshold is not None:
            return self.threshold
        return 0.0 if background == "published" else 0.5


class SceneConfig(Config):
    """What the published code sets per scene: the share of hull points kept and the splat radius (NDC)."""

    name: str
    kept_share: PositiveShare
    splat_radius: Positive


class MaskErrorConfig(Config):
    """One kind of mask error. Its other keys say how bad it is at level 1; at level 0 it changes nothing."""

    level: Share


class AffineConfig(MaskErrorConfig):
    """The jitter at level 1; `level` scales every part."""

    name: Literal["affine"]
    rotation_degrees: NonNegative
    translation: NonNegative
    shrink: Share
    grow: NonNegative
    shear_degrees: Annotated[float, Field(ge=0, le=90)]


class MorphologyConfig(MaskErrorConfig):
    """By how much the silhouette shrinks or grows at level 1, as shares of the object's size."""

    name: Literal["morphology"]
    direction: Literal["erode", "dilate", "either"]
    erode: Share
    dilate: NonNegative


class BoundaryConfig(MaskErrorConfig):
    """Noise along the contour: its deviation at level 1 and its correlation length, as shares of the object's size."""

    name: Literal["boundary"]
    amplitude: NonNegative
    correlation: PositiveShare


class HolesConfig(MaskErrorConfig):
    """`coverage`: missing at level 1, a share of the object's area. `size`: of a blob, a share of the object's size."""

    name: Literal["holes"]
    coverage: Share
    size: PositiveShare


class SpuriousConfig(MaskErrorConfig):
    """`coverage`: false at level 1, as a multiple of the object's area. `size`: of a blob, a share of its size."""

    name: Literal["spurious"]
    coverage: NonNegative
    size: PositiveShare


class DropoutConfig(MaskErrorConfig):
    """Whether the masks of the views that lose theirs are empty, full, or either with equal chances."""

    name: Literal["dropout"]
    kind: Literal["empty", "full", "either"]


MaskError = Annotated[
    AffineConfig | MorphologyConfig | BoundaryConfig | HolesConfig | SpuriousConfig | DropoutConfig,
    Field(discriminator="name"),
]


class CorruptionConfig(MaskErrorConfig):
    """What the corruption of a run has besides its kind of error: its seed, and what the wrong masks touch.

    targets: "clean" leaves the training images as they are, as the published study does; "masked" sets what lies
    outside the corrupted mask to the background, as a pipeline does that has no other mask.
    """

    seed: Annotated[int, Field(ge=0)]
    targets: Literal["clean", "masked"]

    def decisive(self) -> dict[str, Any]:
        """What decides the corrupted masks, as plain values; level 0 of all models is the same."""
        return self.model_dump(mode="json", exclude={"targets"}) if self.level else {"level": 0}


class NoCorruptionConfig(CorruptionConfig):
    name: Literal["none"]
    level: Literal[0]


class AffineCorruptionConfig(CorruptionConfig, AffineConfig):
    pass


class MorphologyCorruptionConfig(CorruptionConfig, MorphologyConfig):
    pass


class BoundaryCorruptionConfig(CorruptionConfig, BoundaryConfig):
    pass


class HolesCorruptionConfig(CorruptionConfig, HolesConfig):
    pass


class SpuriousCorruptionConfig(CorruptionConfig, SpuriousConfig):
    pass


class DropoutCorruptionConfig(CorruptionConfig, DropoutConfig):
    pass


class MixedCorruptionConfig(CorruptionConfig):
    """Several kinds of error, one after another. `level` scales the level of each.

    A mapping rather than a list, so that `corruption.parts.holes.level=0` works in Hydra.
    """

    name: Literal["mixed"]
    parts: Annotated[dict[str, MaskError], Field(min_length=1)]

    def decisive(self) -> dict[str, Any]:
        """As of any model; the parts by their order, not by their names."""
        values = super().decisive()
        if self.level:
            values["parts"] = list(values["parts"].values())
        return values


AnyCorruptionConfig = Annotated[
    NoCorruptionConfig
    | AffineCorruptionConfig
    | MorphologyCorruptionConfig
    | BoundaryCorruptionConfig
    | HolesCorruptionConfig
    | SpuriousCorruptionConfig
    | DropoutCorruptionConfig
    | MixedCorruptionConfig,
    Field(discriminator="name"),
]


class SurfaceConfig(Config):
    """So many of the hull's points that have a neighbour outside it, at random; all of them where there are fewer."""

    surface_points: Count


class StartConfig(Config):
    """What every start has: bounds that hold the object."""

    bounds: Bounds

    @field_validator("bounds", mode="before")
    @classmethod
    def _one_pair_is_for_every_axis(cls, bounds: object) -> object:
        if isinstance(bounds, list | tuple) and len(bounds) == 2:
            return bounds if any(isinstance(end, list | tuple) for end in bounds) else (bounds,) * 3
        return bounds

    @field_validator("bounds")
    @classmethod
    def _bounds_ascend(cls, bounds: Bounds) -> Bounds:
        for low, high in bounds:
            if low >= high:
                raise ValueError(f"must ascend, found {[low, high]}")
        return bounds


class InitConfig(StartConfig):
    """What starts from a hull have: the lattice whose points the views vote on, and which of a hull's points they take.

    kept_share: a share of all of them at random, or a number of those on its surface.
    """

    lattice: Annotated[int, Field(ge=2, le=1024)]
    kept_share: Annotated[
        Annotated[PositiveShare, Tag("share")] | Annotated[SurfaceConfig, Tag("surface")],
        Discriminator(lambda value: "surface" if isinstance(value, dict | SurfaceConfig) else "share"),
    ]
    jitter: NonNegative
    outside_margin: NonNegative


class HullConfig(InitConfig):
    """The soft visual hull of the masks, at a consistency that the user picks (docs/method.md)."""

    name: Literal["hull"]
    consistency: Share


class AdaptiveConfig(InitConfig):
    """The hull that agrees best with what the training views show (docs/robustness.md).

    source: whether masks are asked at all. cut_pixels: what the training pixels count as that wrong masks may have cut
    off: as unknown, or as the background they show.
    """

    name: Literal["adaptive"]
    source: Literal["masks", "none"]
    cut_pixels: Literal["unknown", "background"]


class RandomConfig(StartConfig):
    """So many points, drawn uniformly in the bounds. No mask is read.

    opacity: of a fresh splat, in place of the model's own, if it has opacities: most splats have to go.
    """

    name: Literal["random"]
    points: Count
    opacity: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="before")
    @classmethod
    def _takes_no_part_of_a_hull(cls, values: Any) -> Any:
        """A model may set for all starts which of a hull's points they take; here there is no hull."""
        return (
            {key: value for key, value in values.items() if key != "kept_share"} if isinstance(values, dict) else values
        )


class SplatModelConfig(Config):
    """What every model has.

    darkening: the share of a splat's colour that it may lose to views of which wrong masks have cut it.
    """

    darkening: PositiveShare


class PointsConfig(SplatModelConfig):
    """Points as discs of one radius, without opacity."""

    name: Literal["points"]
    splat_radius: Positive
    points_per_pixel: Annotated[int, Field(ge=1, le=255)]
    view_direction: Literal["point", "pixel"]

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameters of a splat."""
        return groups.POINTS


class GaussiansConfig(SplatModelConfig):
    """Anisotropic Gaussians with opacity.

    sh_degree: of the harmonics. opacity: of a fresh Gaussian. max_points, max_mb: what growth stops at, null for none.
    """

    name: Literal["gaussians"]
    sh_degree: Annotated[int, Field(ge=0, le=3)]
    opacity: Annotated[float, Field(gt=0, lt=1)]
    max_points: Count | None
    max_mb: Positive | None

    @property
    def groups(self) -> tuple[Group, ...]:
        """The parameters of a splat."""
        return groups.gaussians(self.sh_degree)

    @property
    def most(self) -> int | None:
        """How many Gaussians there may be."""
        bytes_each = 4 * sum(group.width for group in self.groups)
        fitting = None if self.max_mb is None else int(self.max_mb * 2**20 / bytes_each)
        return min((limit for limit in (self.max_points, fitting) if limit is not None), default=None)

    @model_validator(mode="after")
    def _caps_count(self) -> Self:
        if self.most == 0:
            raise ValueError(f"max_mb: found {self.max_mb}, in which no Gaussian fits")
        if self.max_points is not None and self.most != self.max_points:
            raise ValueError(
                f"max_points: found {self.max_points}; max_mb={self.max_mb:g} holds {self.most} Gaussians, expected at "
                "most so many, or a larger max_mb (null: no limit)"
            )
        return self


ModelConfig = Annotated[PointsConfig | GaussiansConfig, Field(discriminator="name")]


class RendererConfig(Config):
    """graphs: whether training steps are replayed as CUDA graphs, which renderer=triton can on CUDA."""

    name: Literal["auto", "cpu", "triton", "pytorch3d", "gsplat"]
    device: str
    graphs: bool


class PhotometricLossConfig(Config):
    """MSE plus `gradient_weight` times the mean absolute differences of shifted errors."""

    name: Literal["photometric"]
    gradient_weight: NonNegative
    shifts: tuple[Count, ...]


class SilhouetteLossConfig(Config):
    """Position pretraining: MSE of tanh(sharpness max RGB), plus `ridge` times the mean squared position."""

    name: Literal["silhouette"]
    sharpness: Positive
    ridge: NonNegative


LossConfig = PhotometricLossConfig | SilhouetteLossConfig


class OperationConfig(Config):
    """needs: the groups of parameters that the operation works on, besides those that every model has.

    of_steps: whether it goes by what a stage's steps noted, so that it has its place within the stage only.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    of_steps: ClassVar[bool] = False


class RemoveOutliersConfig(OperationConfig):
    op: Literal["remove_outliers"]
    voxel: Positive
    neighbours: Count
    deviations: NonNegative


class DuplicateConfig(OperationConfig):
    op: Literal["duplicate"]
    copies: Annotated[int, Field(ge=2)]


class DropFaintHarmonicsConfig(OperationConfig):
    """Drop the points whose harmonics' norm lies below this quantile (in the published code, unused there)."""

    op: Literal["drop_faint_harmonics"]
    quantile: Share


class PruneUnsupportedConfig(OperationConfig):
    """Drop the points of whose contributions to the training images less than `share` shows an object there."""

    op: Literal["prune_unsupported"]
    share: Share


class ReplenishConfig(OperationConfig):
    """Drop the points that hardly show in the training images, and copy those that show most.

    least: what a point must show on average over the views, as a share of what it would show with nothing before it.
    growth: how many points there are afterwards for each one that stays; 1 copies none.
    """

    op: Literal["replenish"]
    least: Share
    growth: Annotated[Positive, Field(ge=1)]


class ClearHarmonicsConfig(OperationConfig):
    """Start from harmonics of 0 instead of the random ones that the published code starts from."""

    op: Literal["clear_harmonics"]


class SplitConfig(OperationConfig):
    """Replace splats by two halves each, along their longest axis, up to the model's cap.

    Drawn without repetition, with chances in proportion to how much the loss pulled at their centres on screen since
    the last time. share: how many are split, of those there are. least_opacity: splats of less go before, and as many
    more are split, halves again where few are left. offset: of each half from the middle, in standard deviations along
    the axis. along, across: what their scales are multiplied by, on that axis and on the others. opacity: what their
    opacity is multiplied by.
    """

    needs: ClassVar[tuple[str, ...]] = ("scale", "rotation", "opacity")
    of_steps: ClassVar[bool] = True

    op: Literal["split"]
    share: PositiveShare
    least_opacity: Share
    offset: NonNegative
    along: Positive
    across: Positive
    opacity: PositiveShare


class RelocateConfig(OperationConfig):
    """Move splats of at most this opacity onto others, and add more up to the model's cap (3DGS-MCMC).

    The others are drawn in proportion to their opacity. All that lie at one place then get the opacity and scale at
    which they look as the one did. growth: how many are added, of those there are.
    """

    needs: ClassVar[tuple[str, ...]] = ("scale", "opacity")

    op: Literal["relocate"]
    opacity: PositiveShare
    growth: NonNegative


class PruneTransparentConfig(OperationConfig):
    """Drop the splats of less than this opacity."""

    needs: ClassVar[tuple[str, ...]] = ("opacity",)

    op: Literal["prune_transparent"]
    opacity: PositiveShare


class LimitOpacityConfig(OperationConfig):
    """Lower every opacity above this one to it (the reset of 3D Gaussian Splatting)."""

    needs: ClassVar[tuple[str, ...]] = ("opacity",)

    op: Literal["limit_opacity"]
    opacity: PositiveShare


class FadeConfig(OperationConfig):
    """Multiply all opacities, so that splats fade that nothing needs."""

    needs: ClassVar[tuple[str, ...]] = ("opacity",)

    op: Literal["fade"]
    factor: PositiveShare


Operation = Annotated[
    RemoveOutliersConfig
    | DuplicateConfig
    | DropFaintHarmonicsConfig
    | PruneUnsupportedConfig
    | ReplenishConfig
    | ClearHarmonicsConfig
    | SplitConfig
    | RelocateConfig
    | PruneTransparentConfig
    | LimitOpacityConfig
    | FadeConfig,
    Field(discriminator="op"),
]


class CosineConfig(Config):
    """Down half a cosine over the epochs of a stage, towards this share of the rate that it begins with."""

    cosine_to: PositiveShare


class ExponentialConfig(Config):
    """Down an exponential curve, step by step over a stage, to this share of the rate that it begins with."""

    exponential_to: PositiveShare


def _kind_of_decay(value: object) -> str:
    """So that a wrong value is told what it should be, and not also what else there is."""
    if isinstance(value, CosineConfig) or (isinstance(value, dict) and "exponential_to" not in value):
        return "cosine"
    return "exponential" if isinstance(value, dict | ExponentialConfig) else "factor"


Decay = Annotated[
    Annotated[PositiveShare, Tag("factor")]
    | Annotated[CosineConfig, Tag("cosine")]
    | Annotated[ExponentialConfig, Tag("exponential")],
    Discriminator(_kind_of_decay),
]


class StepsConfig(Config):
    """As many whole epochs as come nearest to so many steps, whatever the number of views; at least one."""

    steps: Count


class EveryConfig(Config):
    """Operations within a stage, after every so many steps; splats keep their optimiser's state."""

    steps: Count
    ops: tuple[Operation, ...]


class StageConfig(Config):
    """A stage of training; each starts a fresh optimiser.

    lr: learning rates by the names that the model's groups of parameters have for them. lr_decay: of all rates, by a
    factor per epoch or along a curve. every: operations within the stage; a stage without the key has none.
    """

    enabled: bool
    epochs: Annotated[
        Annotated[int, Field(ge=0), Tag("epochs")] | Annotated[StepsConfig, Tag("steps")],
        Discriminator(lambda value: "steps" if isinstance(value, dict | StepsConfig) else "epochs"),
    ]
    harmonics: bool
    lr: dict[str, NonNegative]
    lr_decay: Decay
    downscale: Count
    loss: Annotated[LossConfig, Field(discriminator="name")]
    before: tuple[Operation, ...]
    after: tuple[Operation, ...]
    every: EveryConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_key_has_its_old_name(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        renamed = {"position_lr": "lr.position", "colour_lr": "lr.colour"}
        if old := [f"{key} is called {renamed[key]} now" for key in renamed if key in values]:
            raise ValueError(f"{', '.join(old)}; expected lr: {{position: RATE, colour: RATE}}")
        return values

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All that are done before, within and after the stage."""
        return self.before + (self.every.ops if self.every else ()) + self.after

    def length(self, views: int) -> int:
        """In epochs, of a training on so many views."""
        return self.epochs if isinstance(self.epochs, int) else max(1, round(self.epochs.steps / views))

    def decay(self, step: int, views: int) -> float:
        """The learning rates of this step of the stage, the first being 0, as a share of the first's."""
        epoch = step // views
        match self.lr_decay:
            case CosineConfig(cosine_to=float(least)):
                return least + (1 - least) * (1 + math.cos(math.pi * epoch / self.length(views))) / 2
            case ExponentialConfig(exponential_to=float(least)):
                return float(least ** (step / (self.length(views) * views)))
            case float(factor):
                return float(factor**epoch)


class AdamConfig(Config):
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    epsilon: Positive


class ScheduleConfig(Config):
    """Stages in order. A mapping rather than a list, so that `schedule.stages.base.epochs=5` works in Hydra."""

    name: str
    adam: AdamConfig
    stages: dict[str, StageConfig]

    @model_validator(mode="after")
    def _some_stage_is_enabled(self) -> ScheduleConfig:
        if not self.enabled_stages:
            raise ValueError("no stage is enabled; enable at least one")
        return self

    @property
    def enabled_stages(self) -> dict[str, StageConfig]:
        return {name: stage for name, stage in self.stages.items() if stage.enabled}


class EvalConfig(Config):
    split: Split
    lpips: bool


class TurntableConfig(Config):
    frames: Annotated[int, Field(ge=0)]
    fps: Count
    elevation_degrees: Annotated[float, Field(gt=-90, lt=90)]


class ArtifactsConfig(Config):
    """Which evaluation views are drawn after initialisation and after each stage (None: a few), and the turntable."""

    views: tuple[Annotated[int, Field(ge=0)], ...] | None
    turntable: TurntableConfig


class CacheConfig(Config):
    """Where preparation that runs share is kept; None keeps none."""

    dir: GivenPath | None


class CheckpointConfig(Config):
    """max_attempts: how many processes may work on a run, the first and those that resume it, before it fails."""

    every_seconds: NonNegative
    max_attempts: Count


class NoTrackerConfig(Config):
    name: Literal["none"]


class WandbTrackerConfig(Config):
    name: Literal["wandb"]
    project: Annotated[str, Field(min_length=1, max_length=128)]
    entity: str | None
    group: str | None
    job_type: str | None
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]
    mode: Literal["auto", "online", "offline"]

    @field_validator("project", "entity")
    @classmethod
    def _is_part_of_an_address(cls, name: str | None) -> str | None:
        if found := sorted({*(name or "")} & {*"/\\#?%:"}):
            raise ValueError(f"found {name!r}; expected a name without {' '.join(found)}, which W&B does not take")
        return name or None  # an entity that the environment leaves empty


class RunConfig(Config):
    """All of one run."""

    dataset: Annotated[DatasetConfig, Field(discriminator="name")]
    scene: SceneConfig
    masks: MasksConfig
    corruption: AnyCorruptionConfig
    init: Annotated[HullConfig | AdaptiveConfig | RandomConfig, Field(discriminator="name")]
    model: ModelConfig
    renderer: RendererConfig
    schedule: ScheduleConfig
    eval: EvalConfig
    artifacts: ArtifactsConfig
    checkpoint: CheckpointConfig
    cache: CacheConfig
    tracker: Annotated[NoTrackerConfig | WandbTrackerConfig, Field(discriminator="name")]
    seed: Annotated[int, Field(ge=0)]
    threads: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _renderer_draws_the_model(self) -> Self:
        gaussians = isinstance(self.model, GaussiansConfig)
        names = ("auto", "cpu", "gsplat") if gaussians else ("auto", "cpu", "triton", "pytorch3d")
        for key, valid in {"name": names, "graphs": (False,) if gaussians else (False, True)}.items():
            if (found := getattr(self.renderer, key)) not in valid:
                raise ValueError(
                    f"renderer.{key}: found {found!r}, which model={self.model.name} does not have, expected "
                    f"{' or '.join(map(repr, valid))}"
                )
        return self

    @model_validator(mode="after")
    def _stages_train_the_model(self) -> Self:
        for name, stage in self.schedule.enabled_stages.items():
            self._check_rates(name, stage)
            self._check_loss(name, stage)
            self._check_operations(name, stage)
        return self

    def _check_rates(self, name: str, stage: StageConfig) -> None:
        wanted = groups.rates(self.model.groups)
        if set(stage.lr) != set(wanted):
            raise ValueError(
                f"schedule.stages.{name}.lr: found rates of {', '.join(stage.lr) or 'nothing'}; model="
                f"{self.model.name} has {', '.join(wanted)}, expected one of each (0 trains none); schedule="
                f"{self.schedule.name} may be one of another model"
            )

    def _check_loss(self, name: str, stage: StageConfig) -> None:
        ridge = stage.loss.ridge if isinstance(stage.loss, SilhouetteLossConfig) else 0.0
        if ridge and isinstance(self.model, GaussiansConfig):
            raise ValueError(
                f"schedule.stages.{name}.loss.ridge: found {ridge:g}; model=gaussians trains without one, expected 0"
            )

    def _check_operations(self, name: str, stage: StageConfig) -> None:
        names = {group.name for group in self.model.groups}
        for operation in stage.operations:
            if missing := set(operation.needs) - names:
                raise ValueError(
                    f"schedule.stages.{name}: operation {operation.op} works on {', '.join(sorted(missing))}, "
                    f"which model={self.model.name} does not have"
                )
        for key, todo in (("before", stage.before), ("after", stage.after)):
            if wrong := [operation.op for operation in todo if operation.of_steps]:
                raise ValueError(
                    f"schedule.stages.{name}.{key}: found {wrong[0]}, which goes by what steps of the stage noted; "
                    f"expected it in schedule.stages.{name}.every.ops"
                )

    def identity(self, content: SceneContent) -> str:
        """16 hex digits that name the result: equal for two runs exactly when their training and evaluation are the
        same, and the data of both. Studies compute each identity once."""
        evaluation = {"eval": self.eval.model_dump(mode="json"), "evaluated": content.evaluation}
        return digest(self._trained(content) | evaluation)

    def training_identity(self, content: SceneContent) -> str:
        """16 hex digits that name the trained cloud, whatever it is evaluated on; a checkpoint belongs to one."""
        return digest(self._trained(content))

    def _trained(self, content: SceneContent) -> dict[str, Any]:
        """What decides the trained cloud, as plain values: configuration, data and method.

        Left out: device, CUDA graphs, threads, folders, pictures, checkpoints and trackers; a scene's defaults, which
        act through `init` and `model`; stages that are not enabled; and how a corruption of level 0 would corrupt.
        """
        excluded = {"eval", "artifacts", "checkpoint", "cache", "tracker", "threads"}
        values = self.model_dump(mode="json", exclude=excluded)
        values["scene"] = self.scene.name
        values["dataset"].pop("root", None)
        values["masks"]["threshold"] = self.masks.threshold_on(self.dataset.background)
        del values["renderer"]["device"], values["renderer"]["graphs"]
        values["schedule"]["stages"] = [
            [name, stage.model_dump(mode="json", exclude={"enabled"})]
            for name, stage in self.schedule.enabled_stages.items()
        ]
        del values["schedule"]["name"]
        values["corruption"] = self.corruption.decisive() | {"targets": self.corruption.targets}
        return values | {"content": content.train, "method": METHOD_VERSION}


class CorruptionsConfig(Config):
    """What `corruptions.py` draws or matches: the models, each at every level, on the training views of a scene."""

    dataset: Annotated[DatasetConfig, Field(discriminator="name")]
    scene: SceneConfig
    masks: MasksConfig
    models: Annotated[dict[str, AnyCorruptionConfig], Field(min_length=1)]
    levels: Annotated[tuple[Share, ...], Field(min_length=1)]
    view: Annotated[int, Field(ge=0)]
    picture: GivenPath
    matched_iou: Share | None


class SplatsConfig(Config):
    """What `splats.py` renders and scores: a PLY file of 3D Gaussian Splatting, on a split of a scene.

    views: those drawn beside the truth, None for three.
    """

    dataset: Annotated[DatasetConfig, Field(discriminator="name")]
    scene: SceneConfig
    splats: GivenPath
    split: Split
    lpips: bool
    views: tuple[Annotated[int, Field(ge=0)], ...] | None
    turntable: TurntableConfig
    threads: Annotated[int, Field(ge=0)]

    @field_validator("splats", mode="before")
    @classmethod
    def _file_is_given(cls, splats: object) -> object:
        if splats is None:
            raise ValueError("not given; expected splats=FILE.ply, a file of 3D Gaussian Splatting")
        return splats


def digest(values: object) -> str:
    """16 hex digits that name plain values; the order of a mapping's keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _path(problem: Any, values: Any) -> list[int | str]:
    """Where the key lies that a problem is about.

    Pydantic's location of an error also names the members of unions on the way; `values` has no such keys.
    """
    path, at = [], values
    for place, part in enumerate(problem["loc"], 1):
        if (isinstance(at, dict) and part in at) or (isinstance(at, list | tuple) and part in range(len(at))):
            path.append(part)
            at = at[part]
        elif problem["type"] == "missing" and place == len(problem["loc"]):
            path.append(part)
    return path


def _nearest_beside(path: Sequence[int | str], values: Any) -> str:
    """Which of a mapping's other keys a key that does not belong there may stand for."""
    *parents, last = path
    for part in parents:
        values = values[part]
    beside = [".".join(map(str, [*parents, name])) for name in values if name != last]
    return did_you_mean(".".join(map(str, path)), beside) or f"; expected one of {', '.join(sorted(beside))}"


def _explain(problem: Any, values: object) -> str:
    """One of pydantic's problems as a line: the key, what was found and what is expected."""
    path = _path(problem, values)
    key = ".".join(map(str, path))  # as one writes it on the command line
    message = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "missing":
            return f"{key}: missing; expected a value"
        case "extra_forbidden":
            return f"{key}: unknown key (value {problem['input']!r}){_nearest_beside(path, values)}"
        case "value_error":
            return f"{key}: {message}" if key else message
        case "union_tag_invalid":
            context = problem["ctx"]
            tag = context["discriminator"].strip("'")
            return f"{key}.{tag}: found {context['tag']!r}; expected one of {context['expected_tags']}"
        case _:
            return f"{key}: found {problem['input']!r}; {message[0].lower()}{message[1:]}"
