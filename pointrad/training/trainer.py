"""The training loop: stages in order, epochs in a stage, views in an epoch."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from pointrad.camera import Camera
from pointrad.config import RunConfig
from pointrad.data.scene import View
from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.progress import announce
from pointrad.render.base import Renderer
from pointrad.training import memory, operations
from pointrad.training.checkpoint import Checkpoint, Progress
from pointrad.training.config import Operation, StageConfig
from pointrad.training.lineage import Bonds, lasting
from pointrad.training.preemption import Preempted
from pointrad.training.record import EpochRecord
from pointrad.training.steps.base import EXP_AVG, EXP_AVG_SQ, Step
from pointrad.training.steps.build import build_step
from pointrad.training.target import Target, targets


class Listener(Protocol):
    """Who is told how training goes."""

    def on_step(self, stage: str, stage_epoch: int, points: int) -> None: ...

    def on_epoch(self, record: EpochRecord) -> None: ...

    def on_stage_end(self, stage: str, cloud: Cloud, epoch: int) -> None: ...


def train(state: Checkpoint, views: tuple[View, ...], config: RunConfig, renderer: Renderer, run_dir: Path | None,
          listener: Listener) -> Cloud:  # fmt: skip
    """Train from `state` to the end of the schedule and return the cloud; `state` is saved to `run_dir` as it goes, if
    that is given.

    Views come in an order drawn from the seed and the epoch alone, so a resumed training repeats nothing and skips
    nothing. A listener that raises Preempted on a step ends the training with a checkpoint of that very step. Listeners
    hear of an epoch or stage before the checkpoint that ends it, hence again if killed in between.
    """
    return _Training(state, views, config, renderer, run_dir, listener).run()


class _Training:
    def __init__(self, state: Checkpoint, views: tuple[View, ...], config: RunConfig, renderer: Renderer,
                 run_dir: Path | None, listener: Listener) -> None:  # fmt: skip
        self.state, self.views, self.config = state, views, config
        self.renderer, self.run_dir, self.listener = renderer, run_dir, listener
        self.known_share = state.facts.get("known_share", 1.0)
        self.saved_at = time.monotonic()

    def run(self) -> Cloud:
        model = self.config.model.build()
        cloud = Cloud(model, model.join(self.state.parameters), lasting(self.state.statistics))
        cloud = cloud.to(self.renderer.device)
        progress = self.state.progress
        for index, (name, stage) in enumerate(self.config.schedule.enabled_stages.items()):
            if index < progress.stage:
                continue
            cloud = self._run_stage(cloud, name, stage)
            progress.points[name] = len(cloud)
            self.listener.on_stage_end(name, cloud, progress.epoch)
            progress.stage, progress.stage_epoch = index + 1, 0
            self._save(cloud, None)
        return cloud

    def _run_stage(self, cloud: Cloud, name: str, stage: StageConfig) -> Cloud:
        progress = self.state.progress
        started = time.perf_counter()
        if progress.stage_epoch == 0 and not self.state.losses:
            cloud = self._apply_all(stage.before, cloud)
        key = self.config.schedule.key_of(name)
        cameras, _ = _stage_cameras(self.views, stage, key)
        weighted = [view.weight is not None for view in self.views]
        need = memory.estimate(cameras, weighted, cloud, self.renderer.settings)
        need = memory.fitted(need, memory.free(self.renderer.device))
        self._note_bits(need, name)
        if self.config.renderer.graphs:
            need = memory.with_graphs(need)
        with memory.within(need, self.renderer.device, key):
            training = _training_views(self.views, stage, key, self.renderer.device, need.dtype)
            step = build_step(self._with_state(cloud), self.renderer, stage, self.config.schedule.adam)
            step.steps = self.state.steps
            started = self._run_epochs(step, training, name, stage, started)
            cloud = replace(step.cloud, state=lasting(step.cloud.state))
        cloud = self._apply_all(stage.after, cloud)
        progress.seconds += time.perf_counter() - started
        return cloud

    def _apply_all(self, todo: tuple[Operation, ...], cloud: Cloud, step: int = 0) -> Cloud:
        """step: of the stage, 0 before and after it. What operations draw depends on the seed and on when they come."""
        progress = self.state.progress
        when = [self.config.seed, progress.stage, progress.stage_epoch, step]
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(when)))
        for operation in todo:
            cloud = operations.apply(operation, cloud, self.views, self.renderer, rng)
        return cloud

    def _note_bits(self, need: memory.Need, stage: str) -> None:
        """A summary tells of the coarsest targets that the run had; who watches hears of them at once."""
        bits = 8 * need.dtype.itemsize
        self.state.facts["target_bits"] = min(bits, self.state.facts.get("target_bits", bits))
        if need.dtype == torch.uint8:
            announce(
                f"Stage {stage}: short of memory, so its training images are kept as 8 bits a value; those that are "
                "not multiples of 1/255 (averages, or on a white background) are rounded by up to 0.5/255"
            )

    def _run_epochs(
        self, step: Step, training: list[tuple[Camera, Target]], name: str, stage: StageConfig, started: float
    ) -> float:
        """The stage's remaining epochs; `started` is when training time was last added up, returned as it is then."""
        progress, bonds = self.state.progress, Bonds.of(step.cloud)
        while progress.stage_epoch < stage.length(len(training)):
            try:
                losses, bonds = self._epoch(step, bonds, training, name, stage)
            except Preempted:
                progress.seconds += time.perf_counter() - started
                self._save(step.cloud, step)
                raise
            progress.epoch += 1
            progress.stage_epoch += 1
            progress.seconds += time.perf_counter() - started
            started = time.perf_counter()
            self._report(name, stage, step.cloud, losses)
            if time.monotonic() - self.saved_at >= self.config.checkpoint.every_seconds:
                self._save(step.cloud, step)
                started = time.perf_counter()
        return started

    def _epoch(
        self, step: Step, bonds: Bonds, training: list[tuple[Camera, Target]], name: str, stage: StageConfig
    ) -> tuple[list[list[float]], Bonds]:
        """The steps of the epoch that are left; the losses of all, and the bonds of the splats that there are then. A
        listener that raises does so between steps."""
        earlier, losses = self.state.losses, list[Tensor]()
        stage_epoch = self.state.progress.stage_epoch
        try:
            for index in self._order(stage)[len(earlier) :]:
                camera, target = training[index]
                decay = dict.fromkeys(stage.lr, stage.decay(step.steps, len(training), self.known_share))
                losses.append(step(camera, target.unpacked(), decay))
                bonds.put_back(step.cloud)
                if stage.every and step.steps % stage.every.steps == 0:
                    step.go_on_with(self._apply_all(stage.every.ops, step.cloud, step.steps))
                    bonds = Bonds.of(step.cloud)
                self.listener.on_step(name, stage_epoch + 1, len(step.cloud))
            bonds.move_together(step.cloud)
        except Preempted:
            self.state.losses = [*earlier, *_read(losses)]
            raise
        self.state.losses = []
        return [*earlier, *_read(losses)], bonds

    def _order(self, stage: StageConfig) -> list[int]:
        """The views of the steps of an epoch: all in some order, then again in another one, for as long as it lasts."""
        views = len(self.views)
        steps = stage.epoch_steps(views, self.known_share)
        seed = np.random.SeedSequence([self.config.seed, self.state.progress.epoch])
        rng = np.random.Generator(np.random.PCG64(seed))
        order: list[int] = np.concatenate([rng.permutation(views) for _ in range(0, steps, views)])[:steps].tolist()
        return order

    def _report(self, name: str, stage: StageConfig, cloud: Cloud, losses: list[list[float]]) -> None:
        progress = self.state.progress
        loss, mse = (math.fsum(column) / len(losses) for column in zip(*losses, strict=True))
        lost = int((~torch.isfinite(cloud.parameters)).any(dim=0).sum())
        if lost or not math.isfinite(loss):
            raise UserError(
                f"training diverged: after epoch {progress.stage_epoch} of stage {name} the loss is {loss} and {lost} "
                f"of {len(cloud)} points have parameters that are not finite; lower a rate of "
                f"{self.config.schedule.key_of(name)}.lr "
                f"(found {', '.join(f'{key}: {rate}' for key, rate in stage.lr.items())})"
            )
        views = len(self.views)
        steps = stage.epoch_steps(views, self.known_share)
        decay = stage.decay((progress.stage_epoch - 1) * steps, views, self.known_share)
        self.listener.on_epoch(
            EpochRecord(
                epoch=progress.epoch,
                stage=name,
                stage_epoch=progress.stage_epoch,
                loss=loss,
                psnr_db=-10 * math.log10(max(mse, 1e-12)),
                points=len(cloud),
                lr={rate: value * decay for rate, value in stage.lr.items()},
                seconds=progress.seconds,
                stage_epochs=stage.length(views),
            )
        )

    def _save(self, cloud: Cloud, step: Step | None) -> None:
        if self.run_dir is None:
            return
        split = cloud.model.split
        self.state.parameters = split(cloud.parameters.cpu())
        self.state.steps = step.steps if step else 0
        kept = {name: values.cpu() for name, values in cloud.state.items()} if step else {}
        self.state.exp_avg = split(kept.pop(EXP_AVG)) if step else None
        self.state.exp_avg_sq = split(kept.pop(EXP_AVG_SQ)) if step else None
        self.state.statistics = kept
        self.state.save(self.run_dir)
        self.saved_at = time.monotonic()

    def _with_state(self, cloud: Cloud) -> Cloud:
        """With what the checkpoint keeps of a stage under way, if it is within one."""
        if self.state.exp_avg is None or self.state.exp_avg_sq is None:
            return cloud
        moments = {name: cloud.model.join(getattr(self.state, name)) for name in (EXP_AVG, EXP_AVG_SQ)}
        kept = {name: values.to(self.renderer.device) for name, values in (moments | self.state.statistics).items()}
        self.state.exp_avg = self.state.exp_avg_sq = None
        return replace(cloud, state=kept)


def warm_up(config: RunConfig, views: tuple[View, ...], renderer: Renderer) -> None:
    """Compile or load what every stage will need, and pictures, so that training time is spent on training."""
    for name, stage in config.schedule.enabled_stages.items():
        cloud = config.model.build().start(torch.zeros(2, 3), torch.zeros(2, 3), seed=0)
        cloud = cloud.with_parameters(cloud.parameters.to(renderer.device))
        step = build_step(cloud, renderer, stage, config.schedule.adam)
        camera, target = _training_views(
            views[:1], stage, config.schedule.key_of(name), renderer.device, torch.float32
        )[0]
        step(camera, target, dict.fromkeys(stage.lr, 1.0))
        with torch.no_grad():
            renderer.render(cloud.parameters, camera)


def _read(losses: list[Tensor]) -> list[list[float]]:
    """From their device, all at once: a step on a GPU goes on while the next one is prepared."""
    return torch.stack(losses).tolist() if losses else []


def _training_views(
    views: tuple[View, ...], stage: StageConfig, key: str, device: torch.device, dtype: torch.dtype
) -> list[tuple[Camera, Target]]:
    """Each view's camera and its target at the stage's resolution, packed as `dtype`. key: of the stage."""
    cameras, factor = _stage_cameras(views, stage, key)
    return list(zip(cameras, targets(views, factor, device, dtype), strict=True))


def _stage_cameras(views: tuple[View, ...], stage: StageConfig, key: str) -> tuple[list[Camera], int]:
    """The views' cameras at the stage's resolution, and what this is lower by. key: of the stage."""
    cameras = [view.camera for view in views]
    factor = stage.factor(cameras)
    for camera in cameras:
        if factor > min(camera.width, camera.height):
            raise UserError(
                f"{key}.downscale: found {factor}, more than the {camera.width}x{camera.height} pixels of "
                "a training image have along a side"
            )
    return [camera.averaged(factor) for camera in cameras], factor


def initial_state(cloud: Cloud, identity: str, facts: dict[str, float]) -> Checkpoint:
    """The state before the first stage."""
    by_group = cloud.model.split(cloud.parameters)
    state = Checkpoint(identity=identity, progress=Progress(), parameters=by_group, facts=facts)
    state.progress.points["init"] = len(cloud)
    return state
