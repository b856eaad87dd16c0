"""A moving scene after its first frame: each next one from the cloud before, stored and scored as it is trained.

A run that is killed goes on after the last frame that is done: its cloud is stored, and its line is in `frames.jsonl`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array
from pointrad.errors import UserError
from pointrad.evaluation import Evaluation, Scores, ViewScores, evaluate, mean_of_known
from pointrad.files import append_line, read_json_lines, replacing
from pointrad.model.base import Cloud
from pointrad.run.frames import Frame, Trained, as_shown, evaluated_views, put_right, trained_anew, trained_onwards
from pointrad.run.job import Job, opacity_function, render_function, target_bits
from pointrad.run.stored import StoredSequence, carried
from pointrad.training.lineage import ORIGIN
from pointrad.training.still import changed_pixels, paired

if TYPE_CHECKING:  # slow to import, and training would wait for it
    from pointrad.repair.table import Ranking

FRAMES_FILE = "frames.jsonl"
_CHANGE, _AROUND = 0.04, 2  # of pixels that flicker is not measured on, as `changed_pixels` has them


@dataclass(frozen=True)
class FrameRecord:
    """A line of `frames.jsonl`: a frame that is trained, stored and scored.

    time: its instant. psnr_db to silhouette_iou: means over its views for evaluation, whose own are in `views`; None
    where it has none. flicker: by how much what stands still on the object changed since the frame before in renders,
    and in photographs: of a channel, mean over pixels; None of the first frame. mask_iou: of the masks that training
    had. points: splats. still: the share of them that was not trained. gone, come: splats that the hull left behind, or
    that were added. train_seconds: of the training loop. seconds, cpu_seconds: of all until the frame was stored,
    loading included; None of the first. target_bits: of a value of the images that training had. mb: of its file, 2^20
    bytes.
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
    target_bits: int
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
        self.records = _whole(job.run_dir / FRAMES_FILE)
        self._earlier: Cloud | None = None  # of the frame before that
        self._velocity: Tensor | None = None

    def follow(self) -> Iterator[FrameRecord]:
        """Train, store and score the frames that are left, one by one."""
        before: Frame | None = None
        for number in range(len(self.job.captures)):
            if number < len(self.records):
                self._go_on_with(number)
                continue
            if number and before is None:
                before = Frame(self.job, number - 1, self._earlier)
            with _told_of(number):
                before, record = self._frame(number, before)
            append_line(self.job.run_dir / FRAMES_FILE, json.dumps(asdict(record)))
            self.records.append(record)
            yield record

    def _go_on_with(self, number: int) -> None:
        """Have the cloud of a frame that is stored, and what is known of its motion."""
        self._earlier = earlier = self.cloud if number else None
        self.cloud = self.stored.read(number, earlier)
        if earlier is not None:
            origin = self.cloud.state[ORIGIN]
            moved = self.cloud["position"] - carried(earlier, origin)[self.cloud.model.rows["position"]]
            self._velocity = moved * (origin > 0)

    def _frame(self, number: int, before: Frame | None) -> tuple[Frame, FrameRecord]:
        wall, cpu, earlier = time.perf_counter(), time.process_time(), self.cloud
        frame = Frame(self.job, number, self.cloud if number else None)
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
            target_bits=trained.target_bits,
            mb=self.stored.megabytes(number),
            views=evaluation.by_view(),
        )
        return frame, record

    def _trained(self, frame: Frame, before: Frame | None) -> Trained:
        """What is stored of a frame."""
        after = self.job.config.schedule.next
        assert after is not None
        if before is None:
            first, state = as_shown(self.job, self.first, frame.train), self.job.state
            self.stored.write_first(first)
            return Trained(first, 0.0, 0, len(first), state.progress.seconds, target_bits(state))
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
        both = [] if before is None else paired(before.evaluation, frame.evaluation)
        pairs = [(then, now) for then, now in both if then is not None]
        renders = zip(
            self._drawn(earlier, [then.camera for then, _ in pairs]),
            self._drawn(self.cloud, [now.camera for _, now in pairs]),
            strict=True,
        )
        found = []
        for (then, now), rendered in zip(pairs, renders, strict=True):
            changed = changed_pixels(then.image, now.image, _CHANGE, _AROUND)
            pixels = ~changed & (then.mask > 0) & (now.mask > 0)
            pictures = rendered, (then.image, now.image)
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
            "flicker": mean_of_known(record.flicker for record in later),
            "flicker_photographs": mean_of_known(record.flicker_photographs for record in later),
            "train_seconds": sum(record.train_seconds for record in records),
            "frames": len(records),
            "frame_seconds": mean_of_known(record.seconds for record in later),
            "frame_cpu_seconds": mean_of_known(record.cpu_seconds for record in later),
            "frame_mb": fmean(record.mb for record in later),
            "model_mb": sum(record.mb for record in records),
            "target_bits": min(record.target_bits for record in records),
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

    def put_right(self) -> Ranking:
        """Masks of the photographs of all frames, their ranking and its page, each by the cloud of its frame."""
        from pointrad.repair.artifact import write_repaired_masks  # not above, as for other artifacts

        job = self.job
        by_clouds = (put_right(job, number, cloud) for number, cloud in enumerate(self.stored.clouds()))
        return write_repaired_masks(job.run_dir, job.scene.name, by_clouds, job.rounds)

    def _beside_truth(self, view: int, cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        """Render and photograph of each frame that has this view; they are as many as cameras."""
        for number, cloud in enumerate(self.stored.clouds()):
            if len(self.records[number].views) > view:
                seen = evaluated_views(self.job, number)[view]
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


def _whole(path: Path) -> list[FrameRecord]:
    """The records of frames from the first on, up to one that is missing; the file is left with these alone.

    A kill can leave half a line: what came after it would be taken for the frame before.
    """
    names = {field.name for field in fields(FrameRecord)}
    numbered = enumerate(read_json_lines(path))
    lines = [line for _, line in takewhile(lambda one: one[1].keys() == names and one[1]["frame"] == one[0], numbered)]
    if path.exists():
        with replacing(path) as temporary:
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return [FrameRecord(**line) for line in lines]


@contextmanager
def _told_of(frame: int) -> Iterator[None]:
    """An error of the user's tells in which frame it was."""
    try:
        yield
    except UserError as error:
        raise type(error)(f"frame {frame}: {error}") from None
