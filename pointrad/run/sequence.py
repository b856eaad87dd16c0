"""A moving scene after its first frame: each next one from the cloud before, stored and scored as it is trained.

A run that is killed goes on after the last frame that is done: its cloud is stored, and its line is in `frames.jsonl`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
from torch import Tensor

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.evaluation import Evaluation, Scores, ViewScores, evaluate
from pointrad.files import append_line, read_json_lines
from pointrad.model.base import Cloud
from pointrad.run.frames import Frame, Trained, trained_anew, trained_onwards
from pointrad.run.job import Job, opacity_function, render_function
from pointrad.run.stored import StoredSequence, carried
from pointrad.training.config import StillConfig
from pointrad.training.lineage import ORIGIN
from pointrad.training.still import changed_pixels, paired

FRAMES_FILE = "frames.jsonl"
_STANDS_STILL = StillConfig(change=0.04, around=2, share=0)  # pixels that flicker is measured on


@dataclass(frozen=True)
class FrameRecord:
    """A line of `frames.jsonl`: a frame that is trained, stored and scored.

    time: its instant. psnr_db to silhouette_iou: means over its views for evaluation, whose own are in `views`; None
    where it has none. flicker: by how much what stands still on the object changed since the frame before in renders,
    and in photographs: of a channel, mean over pixels; None of the first frame. mask_iou: of the masks that training
    had. points: splats. still: the share of them that was not trained. gone, come: splats that the hull left behind, or
    that were added. train_seconds: of the training loop. seconds, cpu_seconds: of all until the frame was stored,
    loading included; None of the first. mb: of its file, 2^20 bytes.
    """

    frame: int
    time: float
    psnr_db: float | None
    ssim: float | None
    psnr_object_db: float | None
    silhouette_iou: float | None
    flicker: float | None
    flicker_photographs: float | None
    mask_iou: float
    points: int
    still: float
    gone: int
    come: int
    train_seconds: float
    seconds: float | None
    cpu_seconds: float | None
    mb: float
    views: list[dict[str, Any]]

    @property
    def told(self) -> str:
        """In a line, for people."""
        scored = "" if self.psnr_db is None else f"{self.psnr_db:.2f} dB, "
        scored += "" if self.psnr_object_db is None else f"{self.psnr_object_db:.2f} dB of the object, "
        took = "" if self.seconds is None else f", {self.seconds:.1f} s"
        return f"frame {self.frame}: {scored}{self.points:,} points, {self.mb:.2f} MB{took}"


class Sequel:
    """What follows on the first frame of a sequence. cloud: of the last frame that is done."""

    def __init__(self, job: Job, first: Cloud) -> None:
        self.job, self.first, self.cloud = job, first, first
        self.stored = StoredSequence.of(job.run_dir, first.model)
        self.records = [FrameRecord(**line) for line in read_json_lines(job.run_dir / FRAMES_FILE)]
        self._velocity: Tensor | None = None

    def follow(self) -> Iterator[FrameRecord]:
        """Train, store and score the frames that are left, one by one."""
        before: Frame | None = None
        for number in range(len(self.job.captures)):
            if number < len(self.records):
                self._go_on_with(number)
                continue
            if number and before is None:
                before = Frame(self.job, number - 1)
            before, record = self._frame(number, before)
            append_line(self.job.run_dir / FRAMES_FILE, json.dumps(asdict(record)))
            self.records.append(record)
            yield record

    def _go_on_with(self, number: int) -> None:
        """Have the cloud of a frame that is stored, and what is known of its motion."""
        earlier = self.cloud
        self.cloud = self.stored.read(number, earlier if number else None)
        if number:
            origin = self.cloud.state[ORIGIN]
            moved = self.cloud["position"] - carried(earlier, origin)[self.cloud.model.rows["position"]]
            self._velocity = moved * (origin > 0)

    def _frame(self, number: int, before: Frame | None) -> tuple[Frame, FrameRecord]:
        wall, cpu, earlier = time.perf_counter(), time.process_time(), self.cloud
        frame = Frame(self.job, number)
        trained = self._trained(frame, before)
        self._go_on_with(number)
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        evaluation = self._evaluate(frame)
        scores = evaluation.means if evaluation.views else None
        rendered, photographed = self._flicker(frame, before, earlier)
        record = FrameRecord(
            frame=number,
            time=frame.time,
            psnr_db=scores.psnr_db if scores else None,
            ssim=scores.ssim if scores else None,
            psnr_object_db=scores.psnr_object_db if scores else None,
            silhouette_iou=scores.silhouette_iou if scores else None,
            flicker=rendered,
            flicker_photographs=photographed,
            mask_iou=frame.mask_iou,
            points=len(self.cloud),
            still=trained.still,
            gone=trained.gone,
            come=trained.come,
            train_seconds=trained.seconds,
            seconds=seconds if number else None,
            cpu_seconds=cpu_seconds if number else None,
            mb=self.stored.megabytes(number),
            views=evaluation.by_view(),
        )
        return frame, record

    def _trained(self, frame: Frame, before: Frame | None) -> Trained:
        """What is stored of a frame."""
        after = self.job.config.schedule.next
        assert after is not None
        if before is None:
            self.stored.write_first(self.first)
            return Trained(self.first, 0.0, 0, len(self.first), self.job.state.progress.seconds)
        if after.start == "scratch":
            trained = trained_anew(self.job, frame)
        else:
            velocity = self._velocity if after.motion else None
            trained = trained_onwards(self.job, frame, before, self.cloud, velocity)
        self.stored.write_next(frame.number, trained.cloud, self.cloud, after.steps)
        return trained

    def _evaluate(self, frame: Frame) -> Evaluation:
        renderer = self.job.renderer
        cloud = self.cloud.to(renderer.device)
        render, opacity = render_function(renderer, cloud), opacity_function(renderer, cloud)
        return evaluate(render, opacity, frame.evaluation, lpips=False)

    def _flicker(self, frame: Frame, before: Frame | None, earlier: Cloud) -> tuple[float | None, float | None]:
        """By how much renders and photographs change where the object stands still; None where it does nowhere."""
        pairs = [] if before is None else paired(before.evaluation, frame.evaluation)
        found = []
        for then, now in pairs:
            if then is None:
                continue
            changed = changed_pixels(then.image, now.image, _STANDS_STILL.change, _STANDS_STILL.around)
            pixels = ~changed & (then.mask > 0) & (now.mask > 0)
            renders = self._drawn(earlier, [then.camera]), self._drawn(self.cloud, [now.camera])
            pictures = [next(drawn) for drawn in renders], (then.image, now.image)
            found.append([np.abs(first - second)[pixels].ravel() for first, second in pictures])
        changes = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        if not changes or not changes[0].size:
            return None, None
        return float(changes[0].mean()), float(changes[1].mean())

    def _drawn(self, cloud: Cloud, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        return iter(render_function(self.job.renderer, cloud.to(self.job.renderer.device))(cameras))

    @property
    def evaluation(self) -> Evaluation:
        """The scores of the views of all frames."""
        views = [dict(view) for record in self.records for view in record.views]
        return Evaluation(tuple(ViewScores(view.pop("name"), Scores(**view)) for view in views))

    def summary(self) -> dict[str, Any]:
        """What `summary.json` says of a sequence in place of a static run's, and besides."""
        records, later = self.records, self.records[1:]
        return {
            "mask_iou": fmean(record.mask_iou for record in records),
            "flicker": _mean(record.flicker for record in later),
            "flicker_photographs": _mean(record.flicker_photographs for record in later),
            "train_seconds": sum(record.train_seconds for record in records),
            "frames": len(records),
            "frame_seconds": _mean(record.seconds for record in later),
            "frame_cpu_seconds": _mean(record.cpu_seconds for record in later),
            "frame_mb": fmean(record.mb for record in later),
            "model_mb": sum(record.mb for record in records),
        }

    def write_artifacts(self) -> None:
        """Videos: a held-out view beside the truth, and a camera that moves through time; and PLY files on request."""
        # Not above: these libraries are slow to import, and the first frame would wait for them.
        from pointrad.artifacts.paths import turntable_cameras
        from pointrad.artifacts.pictures import drawn_views
        from pointrad.artifacts.video import write_video

        job, asked = self.job, self.job.config.artifacts
        for view in drawn_views(asked.views, len(job.scene.evaluation))[:1]:
            path, shown = job.run_dir / "beside_truth.mp4", sum(len(record.views) > view for record in self.records)
            cameras = [job.scene.evaluation[view].camera] * shown
            write_video(path, partial(self._beside_truth, view), cameras, asked.sequence.fps)
            job.tracker.log_video("beside_truth", path, job.state.progress.epoch)
        moving = turntable_cameras([view.camera for view in job.scene.train], asked.turntable)
        if moving:
            path = job.run_dir / "through_time.mp4"
            write_video(path, self._through_time, moving, asked.turntable.fps)
            job.tracker.log_video("through_time", path, job.state.progress.epoch)
        if asked.sequence.ply:
            self._write_plys()

    def _beside_truth(self, view: int, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        """Render and photograph of each frame that has this view; they are as many as cameras."""
        for number, cloud in enumerate(self.stored.clouds()):
            if len(self.records[number].views) > view:
                seen = Frame(self.job, number).evaluation[view]
                yield np.concatenate([*self._drawn(cloud, [seen.camera]), seen.image], axis=1)

    def _through_time(self, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        """What cameras see while time goes from the first frame to the last."""
        frames = np.linspace(0, len(self.records), len(cameras), endpoint=False).astype(int)
        for number, cloud in enumerate(self.stored.clouds()):
            yield from self._drawn(cloud, [at for at, frame in zip(cameras, frames, strict=True) if frame == number])

    def _write_plys(self) -> None:
        from pointrad.artifacts.colours import mean_colours
        from pointrad.artifacts.ply import write_points

        renderer = self.job.renderer
        for number, cloud in enumerate(self.stored.clouds()):
            in_world = cloud.model.to_world(cloud, self.job.frame)
            colours = mean_colours(cloud.to(renderer.device), self.job.scene.train, renderer)
            write_points(self.job.run_dir / "ply" / f"{number:04}.ply", in_world, colours)


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that are known."""
    known = [float(value) for value in values if value is not None]
    return fmean(known) if known else None
