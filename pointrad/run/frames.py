"""One instant of a moving scene, and how the cloud of the one before becomes its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pointrad.data.frame import SceneFrame
from pointrad.data.scene import Scene, View
from pointrad.errors import UserError
from pointrad.init.renewal import among, scattered, told_to_leave, widened
from pointrad.init.start import TrainingViews
from pointrad.init.votes import Votes
from pointrad.masks.iou import mask_iou, with_true_masks
from pointrad.model.base import Cloud
from pointrad.run.job import Job, first_state, start_of, target_bits, with_wrong_masks
from pointrad.training.checkpoint import Checkpoint, Progress
from pointrad.training.config import NextConfig
from pointrad.training.contributions import widening
from pointrad.training.lineage import BEGUN, ORIGIN, STILL, TOGETHER
from pointrad.training.preemption import raise_if_told
from pointrad.training.record import EpochRecord
from pointrad.training.still import changed_shares
from pointrad.training.trainer import initial_state, train

if TYPE_CHECKING:  # slow to import, and training would wait for it
    from pointrad.repair.put_right import ByCloud

_EPOCHS = 10_000  # of a frame, at most: so that views come in another order in each


class Frame:
    """One instant, loaded, its masks gone wrong as the run asks. train, evaluation: its views, in the scene frame.

    earlier: the cloud of the frame before, which tells what masks do not; None of the first.
    """

    def __init__(self, job: Job, number: int, earlier: Cloud | None) -> None:
        config, capture, scene = job.config, job.captures[number], _prepared(job, number)
        self.number, self.time = number, capture.time
        views = with_wrong_masks(config, scene)
        if earlier is not None:
            views = informed(views, earlier, job.frame)
        self.start = start_of(config, capture, views, job.contents[number], job.cache)
        self.train, self.evaluation = job.frame.views(self.start.targets), job.frame.views(scene.evaluation)
        self.mask_iou = mask_iou(views.corrupted, with_true_masks(scene.train))

    @cached_property
    def votes(self) -> Votes | None:
        """Those that its hull is of; None where the start has none."""
        return None if self.start.find_votes is None else self.start.find_votes()


def informed(views: TrainingViews, earlier: Cloud, frame: SceneFrame) -> TrainingViews:
    """The training views of a frame, told what the cloud of the frame before knows of them. frame: the cloud's."""
    positions = frame.to_world(earlier["position"].T.cpu().double().numpy())
    corrupted, targets = (told_to_leave(of, positions) for of in (views.corrupted, views.targets))
    return replace(views, corrupted=corrupted, targets=targets)


def _loaded(job: Job, number: int) -> Scene:
    return job.cache.scene(job.captures[number], job.config.eval.split, job.contents[number])


def _prepared(job: Job, number: int) -> Scene:
    return job.captures[number].prepare(_loaded(job, number))


def evaluated_views(job: Job, number: int) -> tuple[View, ...]:
    """The views for evaluation of one instant alone, in the scene frame, as its `Frame` has them."""
    return job.frame.views(_prepared(job, number).evaluation)


def put_right(job: Job, number: int, cloud: Cloud) -> ByCloud:
    """The photographs of one instant, and the cloud of its frame, which puts their masks right."""
    from pointrad.run.mask_repair import MaskRepair  # not above, as for other artifacts

    capture, loaded = job.captures[number], _loaded(job, number)
    given = with_wrong_masks(job.config, capture.prepare(loaded))
    repair = MaskRepair(job.config, capture, loaded, given, job.frame, job.renderer)
    return repair.by(cloud.to(job.renderer.device), given.corrupted)


@dataclass(frozen=True)
class Trained:
    """The cloud of a frame, whose splats tell their origins. still: the share that was not trained; gone, come: how
    many splats left the cloud before and joined it; seconds: of the training loop; target_bits: of its targets."""

    cloud: Cloud
    still: float
    gone: int
    come: int
    seconds: float
    target_bits: int


def trained_onwards(job: Job, frame: Frame, before: Frame, cloud: Cloud, velocity: Tensor | None) -> Trained:
    """The cloud of a frame, trained from that of the frame before. velocity: [3, N] of its splats, scene units."""
    config = _next(job)
    cloud = cloud.to(job.renderer.device)
    cloud = replace(cloud, state=_how_to_move(job, frame, before, cloud))
    if velocity is not None:
        moved = config.motion * velocity.to(job.renderer.device) * ~cloud.state[STILL]
        cloud = cloud.changed(position=cloud["position"] + moved)
    renewed, gone, come = _renewed(job, frame, before, cloud, config.slack)
    if not len(renewed):
        raise UserError(
            f"none of {len(cloud)} splats is within schedule.next.slack={config.slack} steps of "
            "the hull of its masks; expected masks that show the object, or a greater one"
        )
    state = _state(job, frame, _as_trained(job, renewed, frame.train))
    only_next = job.config.model_copy(update={"schedule": config.schedule})
    trained = as_shown(job, train(state, frame.train, only_next, job.renderer, None, _Listener()), frame.train)
    share = float(trained.state[STILL].float().mean())
    return Trained(trained.to(torch.device("cpu")), share, gone, come, state.progress.seconds, target_bits(state))


def _how_to_move(job: Job, frame: Frame, before: Frame, cloud: Cloud) -> dict[str, Tensor]:
    """Where the splats of the frame before come from, and which of them are still, or move as their neighbours do."""
    still, origin = _next(job).still, torch.arange(1, len(cloud) + 1, device=cloud.parameters.device)
    if still is None:
        return {ORIGIN: origin, STILL: torch.zeros_like(origin, dtype=torch.bool)}
    changed = changed_shares(cloud, still, before.train, frame.train, job.renderer)
    little = changed <= still.share
    return {ORIGIN: origin, STILL: little, TOGETHER: (changed <= still.together) & ~little}


def trained_anew(job: Job, frame: Frame) -> Trained:
    """The cloud of a frame, trained as the first one was."""
    fresh = first_state(job.config, job.state.identity, frame.start, job.frame, frame.mask_iou)
    state = replace(fresh, progress=_progress(frame))
    cloud = as_shown(job, train(state, frame.train, job.config, job.renderer, None, _Listener()), frame.train)
    cloud = cloud.to(torch.device("cpu"))
    cloud = replace(cloud, state={ORIGIN: torch.zeros(len(cloud), dtype=torch.int64)})
    return Trained(cloud, 0.0, 0, len(cloud), state.progress.seconds, target_bits(state))


def as_shown(job: Job, cloud: Cloud, views: Sequence[View]) -> Cloud:
    """The cloud as it is stored, which was trained on these views (scene frame): what few of them see is larger."""
    return _resized(job, cloud, views, torch.add)


def _as_trained(job: Job, cloud: Cloud, views: Sequence[View]) -> Cloud:
    """The cloud as it goes on training: else splats would become larger from frame to frame."""
    return _resized(job, cloud, views, torch.sub)


def _resized(job: Job, cloud: Cloud, views: Sequence[View], by: Callable[[Tensor, Tensor], Tensor]) -> Cloud:
    if not (share := _next(job).widen):
        return cloud
    logarithm = widening(cloud.to(job.renderer.device), share, views, job.renderer)
    return cloud.changed(scale=by(cloud["scale"], logarithm.to(cloud.parameters.device)))


def _renewed(job: Job, frame: Frame, before: Frame, cloud: Cloud, slack: int) -> tuple[Cloud, int, int]:
    """The cloud without what the hull has left, if it is not still, and with more where the hull newly is, as many as
    went, or as dense as elsewhere if that are more; and how many went and came."""
    if frame.votes is None or before.votes is None:
        return cloud, 0, 0
    now, lattice = widened(frame.votes, slack), frame.votes.lattice
    inside = torch.from_numpy(among(now, lattice, job.frame.to_world(cloud["position"].T.cpu().double().numpy())))
    kept = cloud.select(inside.to(cloud.parameters.device) | cloud.state[STILL])
    new = (frame.votes.counts > 0) & ~widened(before.votes, slack)
    density = len(cloud) / max(int((before.votes.counts > 0).sum()), 1)
    count = max(len(cloud) - len(kept), round(density * int(new.sum())))
    found = scattered(new, lattice, count, job.config.seed + frame.number)
    more = _copies(cloud, torch.from_numpy(job.frame.from_world(found)))
    parameters = torch.cat([kept.parameters, more.parameters], dim=1).contiguous()
    state = {name: torch.cat([kept.state[name], more.state[name]]) for name in kept.state}
    return Cloud(cloud.model, parameters, state), len(cloud) - len(kept), len(more)


def _copies(cloud: Cloud, positions: Tensor) -> Cloud:
    """New splats at positions [M, 3] (scene units) that look as the nearest one of the cloud does: what moves takes its
    colours along."""
    from scipy.spatial import KDTree  # not above: slow to import, and the first frame would wait for it

    nearest = KDTree(cloud["position"].T.cpu().double().numpy()).query(positions.numpy())[1]
    copies = cloud.select(torch.from_numpy(nearest).to(cloud.parameters.device)).changed(position=positions.T)
    return replace(copies, state={name: torch.zeros_like(values) for name, values in copies.state.items()})


def _state(job: Job, frame: Frame, cloud: Cloud) -> Checkpoint:
    state = initial_state(cloud, job.state.identity, {})
    begun = {BEGUN: cloud["position"].clone()}
    return replace(state, progress=_progress(frame), statistics=dict(cloud.state) | begun)


def _progress(frame: Frame) -> Progress:
    return Progress(epoch=_EPOCHS * frame.number)


def _next(job: Job) -> NextConfig:
    assert job.config.schedule.next is not None
    return job.config.schedule.next


class _Listener:
    """Ends the training of a frame where the run is told to stop; it begins anew then."""

    def on_step(self, stage: str, stage_epoch: int, points: int) -> None:
        raise_if_told()

    def on_epoch(self, record: EpochRecord) -> None:
        pass

    def on_stage_end(self, stage: str, cloud: Cloud, epoch: int) -> None:
        pass
