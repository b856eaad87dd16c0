"""The keys of `schedule=`: stages, their losses, rates and operations."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from pointrad.schema import Config, Count, NonNegative, OneOf, Positive, PositiveShare, Share

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pointrad.camera import Camera
    from pointrad.data.scene import View
    from pointrad.model.base import Cloud
    from pointrad.render.base import Renderer


class PhotometricLossConfig(Config):
    """MSE plus `gradient_weight` times the mean absolute differences of shifted errors."""

    name: Literal["photometric"]
    gradient_weight: NonNegative
    shifts: tuple[Count, ...]

    def idle(self) -> dict[str, str]:
        if self.gradient_weight == 0:
            return {"shifts": "gradient_weight=0"}
        return {} if self.shifts else {"gradient_weight": "shifts=[]"}


class SilhouetteLossConfig(Config):
    """Position pretraining: MSE of tanh(sharpness max RGB), plus `ridge` times the mean squared position."""

    name: Literal["silhouette"]
    sharpness: Positive
    ridge: NonNegative


class L1SsimLossConfig(Config):
    """(1 - `ssim_share`) times the mean absolute error, plus `ssim_share` times 1 - SSIM (3D Gaussian Splatting)."""

    name: Literal["l1_ssim"]
    ssim_share: Share


class CustomLossConfig(Config, ABC):
    """A loss of a user's own (docs/plugins.md)."""

    name: str

    @abstractmethod
    def of(self, image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The loss of a rendered image [H, W, 3] against a target of its shape, a scalar that torch differentiates.

        weight: [H, W], what a pixel's error is multiplied by: 0 where the target is unknown.
        """
        ...


LossConfig = Annotated[
    PhotometricLossConfig | SilhouetteLossConfig | L1SsimLossConfig | CustomLossConfig, OneOf("name")
]


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


class ShrinkConfig(OperationConfig):
    """Multiply all sizes, so that splats stay as small as what they show."""

    needs: ClassVar[tuple[str, ...]] = ("scale",)

    op: Literal["shrink"]
    factor: PositiveShare


class CustomOperationConfig(OperationConfig, ABC):
    """An operation of a user's own (docs/plugins.md)."""

    op: str

    @abstractmethod
    def apply(self, cloud: Cloud, views: Sequence[View], renderer: Renderer, rng: np.random.Generator) -> Cloud:
        """Another cloud, which is never changed in place: `cloud.select(...)`, or `cloud.changed(opacity=...)`.

        views: those that train. rng: what is drawn at random comes from it, so that the run can be repeated.
        """
        ...


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
    | FadeConfig
    | ShrinkConfig
    | CustomOperationConfig,
    OneOf("op"),
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
    """As many whole epochs as come nearest to so many steps, whatever the number of views; at least one.

    These are steps on whole images: epochs are longer where wrong masks have cut some of them.
    """

    steps: Count


class EveryConfig(Config):
    """Operations within a stage, after every so many steps; splats keep their optimiser's state."""

    steps: Count
    ops: tuple[Operation, ...]


class DownscaleConfig(Config):
    """By this factor, or by a smaller one, so that pictures keep `least` pixels along their longer side: on fewer,
    splats lose more than they can get back at full resolution."""

    by: Count
    least: Count


class StageConfig(Config):
    """A stage of training; each starts a fresh optimiser.

    lr: learning rates by the names that the model's groups of parameters have for them. lr_decay: of all rates, by a
    factor per epoch or along a curve. downscale: the factor that pictures are averaged by. every: operations within the
    stage; a stage without the key has none.
    """

    enabled: bool
    epochs: Annotated[
        Annotated[int, Field(ge=0), Tag("epochs")] | Annotated[StepsConfig, Tag("steps")],
        Discriminator(lambda value: "steps" if isinstance(value, dict | StepsConfig) else "epochs"),
    ]
    harmonics: bool
    lr: dict[str, NonNegative]
    lr_decay: Decay
    downscale: Annotated[
        Annotated[Count, Tag("factor")] | Annotated[DownscaleConfig, Tag("bounded")],
        Discriminator(lambda value: "bounded" if isinstance(value, dict | DownscaleConfig) else "factor"),
    ]
    loss: LossConfig
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

    def idle(self) -> dict[str, str]:
        if not self.enabled:
            return dict.fromkeys(set(type(self).model_fields) - {"enabled"}, "enabled=false")
        if self.epochs == 0:
            return dict.fromkeys(("lr", "lr_decay", "downscale", "loss", "every"), "epochs=0")
        decays = self.epochs != 1 or isinstance(self.lr_decay, ExponentialConfig)
        return super().idle() | ({} if decays else {"lr_decay": "epochs=1"})

    @property
    def operations(self) -> tuple[Operation, ...]:
        """All that are done before, within and after the stage."""
        return self.before + (self.every.ops if self.every else ()) + self.after

    @property
    def most_downscale(self) -> int:
        """Of pictures of any size."""
        return self.downscale if isinstance(self.downscale, int) else self.downscale.by

    def factor(self, cameras: Sequence[Camera]) -> int:
        """What the pictures of all these cameras are averaged by."""
        if isinstance(self.downscale, int):
            return self.downscale
        pixels = min(max(camera.width, camera.height) for camera in cameras)
        return max(1, min(self.downscale.by, pixels // self.downscale.least))

    def length(self, views: int) -> int:
        """In epochs, of a training on so many views."""
        return self.epochs if isinstance(self.epochs, int) else max(1, round(self.epochs.steps / views))

    def epoch_steps(self, views: int, known_share: float) -> int:
        """In an epoch: one for each view; where `epochs` asks for steps, so many more that they show as much of the
        object as if wrong masks had cut nothing off the images. known_share: what they have left of it."""
        return views if isinstance(self.epochs, int) else round(views / known_share)

    def decay(self, step: int, views: int, known_share: float) -> float:
        """The learning rates of this step of the stage, the first being 0, as a share of the first's."""
        steps = self.epoch_steps(views, known_share)
        epoch = step // steps
        match self.lr_decay:
            case CosineConfig(cosine_to=float(least)):
                return least + (1 - least) * (1 + math.cos(math.pi * epoch / self.length(views))) / 2
            case ExponentialConfig(exponential_to=float(least)):
                return float(least ** (step / (self.length(views) * steps)))
            case float(factor):
                return float(factor**epoch)


class AdamConfig(Config):
    beta1: Annotated[float, Field(ge=0, lt=1)]
    beta2: Annotated[float, Field(ge=0, lt=1)]
    epsilon: Positive


class StagesConfig(Config):
    """Stages in order. A mapping rather than a list, so that `schedule.stages.base.epochs=5` works in Hydra."""

    adam: AdamConfig
    stages: dict[str, StageConfig]

    @model_validator(mode="after")
    def _some_stage_is_enabled(self) -> Self:
        if not self.enabled_stages:
            raise ValueError("no stage is enabled; enable at least one")
        return self

    @property
    def enabled_stages(self) -> dict[str, StageConfig]:
        return {name: stage for name, stage in self.stages.items() if stage.enabled}

    def epoch_steps(self, views: int, known_share: float) -> list[int]:
        """Of each epoch of the enabled stages (`StageConfig.epoch_steps`)."""
        stages = self.enabled_stages.values()
        return [stage.epoch_steps(views, known_share) for stage in stages for _ in range(stage.length(views))]

    @property
    def enabled_in_order(self) -> list[list[Any]]:
        """The enabled stages as plain values."""
        return [
            [name, stage.model_dump(mode="json", exclude={"enabled"})] for name, stage in self.enabled_stages.items()
        ]


class StillConfig(Config):
    """Which splats stay as they were in the frame before, since they show little that changed, and which of the others
    move as their neighbours do.

    change: by how much a pixel's colour must differ from the frame before, in [0, 1], to have changed. around: pixels
    about it that count as changed, too. share: of what a splat shows, the most that may have changed if it is still.
    together: the same of one that moves as its neighbours do.
    """

    change: PositiveShare
    around: Annotated[int, Field(ge=0)]
    share: Share
    together: Share


class NextConfig(StagesConfig):
    """How each frame of a sequence after the first is trained: by these stages, from the cloud of the frame before.

    window: how many instants on each side of a frame it is trained on as well; for scenes of one view an instant.
    start: or anew, as the first frame was, by the schedule's own stages. slack: lattice steps around the hull of a
    frame that still belong to it; splats that its motion leaves outside go, and points come where it newly is. motion:
    the share of their last motion that splats go on with. still: which splats are not trained, or move as their
    neighbours do; null: each moves on its own. steps: of each group of parameters, what its values are rounded to
    multiples of as they are stored, and used from then on. widen: of the first frame, too: a splat that n views see has
    its size multiplied by 1 + widen / n once it is trained, and divided again before it trains further.
    """

    window: Annotated[int, Field(ge=0)]
    start: Literal["before", "scratch"]
    slack: Annotated[int, Field(ge=0)]
    motion: Share
    still: StillConfig | None
    steps: dict[str, Positive]
    widen: NonNegative

    _OF_BEFORE: ClassVar = ("adam", "stages", "slack", "motion", "still")  # what a frame from scratch does not read

    def idle(self) -> dict[str, str]:
        return super().idle() if self.start == "before" else dict.fromkeys(self._OF_BEFORE, "start=scratch")

    def decisive(self) -> dict[str, Any]:
        """What decides the clouds, as plain values."""
        values = self.model_dump(mode="json") | {"stages": self.enabled_in_order}
        return values if self.start == "before" else {key: values[key] for key in values if key not in self._OF_BEFORE}

    @model_validator(mode="after")
    def _change_is_seen_by_cameras_that_stay(self) -> Self:
        if self.window and self.still is not None and self.start == "before":
            raise ValueError(
                f"window: found {self.window}, whose frames share photographs, so that these tell no change; expected "
                "still=null with it"
            )
        return self

    @property
    def schedule(self) -> ScheduleConfig:
        """What trains one such frame."""
        return NextScheduleConfig(name="next", adam=self.adam, stages=self.stages)


class ScheduleConfig(StagesConfig):
    """The stages of a static scene. next: of a moving one, how it goes on after its first frame; else null.

    key: what has these stages in a configuration.
    """

    key: ClassVar[str] = "schedule"

    name: str
    next: NextConfig | None = None

    def key_of(self, stage: str) -> str:
        """The dotted name of a stage."""
        return f"{self.key}.stages.{stage}"


class NextScheduleConfig(ScheduleConfig):
    """The stages of a frame after the first."""

    key: ClassVar[str] = "schedule.next"
