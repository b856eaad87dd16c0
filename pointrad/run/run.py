"""One run, from a configuration to a folder of results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
import yaml

from pointrad.artifacts.camera_file import CAMERAS_FILE, write_cameras
from pointrad.artifacts.colours import mean_colours
from pointrad.artifacts.pictures import check_views, drawn_views, write_comparison, write_mask_comparison
from pointrad.config import RepairConfig, RunConfig
from pointrad.data.capture import Capture
from pointrad.data.content import of_sequence
from pointrad.data.frame import SceneFrame
from pointrad.data.scene import Scene, SceneContent, View
from pointrad.errors import OtherRunError
from pointrad.evaluation import (
    Evaluation,
    check_scored_views,
    device_name,
    evaluate,
    measure_fps,
    peak_memory_mb,
)
from pointrad.files import replacing, write_json
from pointrad.init.config import HullConfig, InitConfig
from pointrad.init.hull import hull_votes
from pointrad.init.placement import object_bounds
from pointrad.init.start import TrainingViews, start
from pointrad.init.votes import described
from pointrad.masks.iou import mask_iou, with_true_masks
from pointrad.masks.none import NoMasksConfig
from pointrad.method import METHOD_VERSION
from pointrad.model.base import Cloud
from pointrad.plugins import keep
from pointrad.progress import TrainingBar, announce, warn
from pointrad.render.base import Renderer
from pointrad.render.build import build_renderer, build_settings, check_renderer
from pointrad.render.cpu.points import set_threads
from pointrad.repair.rounds import Fit, Rounds, best_cloud, better_rounds
from pointrad.run.cache import Cache
from pointrad.run.compilation import Compilation
from pointrad.run.job import (
    Job,
    first_state,
    opacity_function,
    render_function,
    start_of,
    target_bits,
    with_wrong_masks,
)
from pointrad.run.provenance import Placement, provenance
from pointrad.run.recorded import provenance_of
from pointrad.run.result import RunResult
from pointrad.run.sequence import FRAMES_FILE, Sequel
from pointrad.run.status import CONFIG_FILE, PROVENANCE_FILE, SUMMARY_FILE, read_summary, recording
from pointrad.tracking.base import NullTracker, Tracker
from pointrad.tracking.build import build_tracker, check_tracker, must_be_online
from pointrad.tracking.history import INIT, cloud_path, picture_path, round_folder
from pointrad.tracking.jsonl import MetricsFile
from pointrad.training.checkpoint import Checkpoint
from pointrad.training.preemption import Preempted, raise_if_told
from pointrad.training.record import EpochRecord
from pointrad.training.trainer import train, warm_up

if TYPE_CHECKING:  # slow to import, and training would wait for it
    from pointrad.repair.table import Ranking
    from pointrad.run.mask_repair import Findings, MaskRepair

T = TypeVar("T")


def run(config: RunConfig, run_dir: Path | str, compilation: Compilation | None = None) -> RunResult:
    """Train and evaluate `config` in `run_dir`, going on from its checkpoint if it holds one.

    compilation: of the same configuration, where that began before this module and its libraries were imported.
    What becomes of it is kept in the folder (`status`). Raises UserError for what the user can mend, if the folder
    holds another run, and if another process is computing this one; KeyboardInterrupt leaves a run that the same call
    resumes.
    """
    run_dir = Path(run_dir)
    with (
        compilation or Compilation(config) as ahead,
        recording(run_dir, config.checkpoint.max_attempts) as begin,
        ThreadPoolExecutor(1) as beside,
    ):
        return _run(config, run_dir, begin, ahead, beside, _evaluate if config.schedule.next is None else _follow)


def repair(config: RepairConfig, folder: Path, compilation: Compilation | None = None) -> Ranking:
    """Put right the masks of all photographs of a capture: `folder` gets them, their ranking and its page, no more.

    Raises UserError for what the user can mend. What is trained on the way is lost.
    """
    config = config.of_all_photographs()
    with (
        compilation or Compilation(config) as ahead,
        TemporaryDirectory() as scratch,
        ThreadPoolExecutor(1) as beside,
    ):
        return _run(config, Path(scratch), lambda: None, ahead, beside, partial(_repair, folder))


def _run(
    config: RunConfig,
    run_dir: Path,
    begin: Callable[[], None],
    compilation: Compilation,
    beside: Executor,
    conclude: Callable[[_Outcome], T],
) -> T:
    """beside: does what training waits for in the end, but nothing else before it. conclude: makes of what was
    trained what is asked for."""
    set_threads(config.threads)
    if must_be_online(config):
        check_tracker(config)
    check_renderer(config.renderer, config.model)
    cache = Cache(config.cache.dir)
    captures = config.captures()
    capture = captures[0]
    contents = cache.contents(captures, config.eval.split)
    content = of_sequence(contents)
    identity, training_identity = config.identity(content), config.training_identity(content)
    state = Checkpoint.load(run_dir, training_identity)
    _check_results_are_of(config, content, run_dir)
    loaded = cache.scene(capture, config.eval.split, contents[0])
    scene = capture.prepare(loaded)
    check_views("artifacts.views", config.artifacts.views, scene, config.eval.split)
    check_scored_views(scene.evaluation)
    given, wrong = config, functools.cache(partial(with_wrong_masks, config, scene))  # not every run that goes on asks
    config = _placed(config, wrong)
    settings = build_settings(config.model, scene.background, [view.camera for view in scene.train])
    renderer = build_renderer(config.renderer, settings)
    begin()
    tracker_checked = beside.submit(check_tracker, config)  # while kernels look for a start, which leave a thread free
    picture: Future[None] | None = None
    if state is not None:
        announce(f"Resuming after epoch {state.progress.epoch}: {run_dir}")
    frame = SceneFrame.of(config.init.box)
    decides_targets = config.corruption.targets == "masked" or config.init.decides_targets
    if state is None or decides_targets:  # else a resumed run has all that a start decides
        views = wrong()
        begun = start_of(config, capture, views, contents[0], cache)
        if state is None:
            clean = with_true_masks(scene.train)
            iou = mask_iou(views.corrupted, clean)
            (run_dir / FRAMES_FILE).unlink(missing_ok=True)  # of a training whose checkpoint was deleted
            state = first_state(config, training_identity, begun, frame, iou)
            tracker_checked.result()
            picture = beside.submit(_draw_masks, config, clean, views.corrupted, iou, run_dir)
        scene = replace(scene, train=begun.targets)
    _write_provenance(given, config, identity, content, renderer, run_dir)
    write_cameras(run_dir / CAMERAS_FILE, (*scene.train, *scene.evaluation))
    scene = frame.scene(scene)
    metrics = MetricsFile(run_dir)
    metrics.truncate_after(state.progress.epoch)
    tracker = build_tracker(config, identity, run_dir)
    exit_code, preempted = 1, False
    try:
        if picture is not None:
            picture.result()
            state.save(run_dir)
        compilation.wait()
        masks = functools.cache(partial(_masks, given, capture, loaded, wrong, frame, renderer))
        rounds = Rounds(config.repair.rounds)
        job = Job(config, identity, captures, contents, cache, scene, frame, renderer, state, run_dir, metrics, tracker,
                  wrong, masks, rounds)  # fmt: skip
        result = conclude(_rounds(job, content))
        exit_code = 0
    except Preempted:
        preempted = True
        raise
    finally:
        tracker.finish(exit_code, preempted)
    return result


def _placed(config: RunConfig, wrong: Callable[[], TrainingViews]) -> RunConfig:
    """The configuration with what was left to the views: where the object is, and how large its splats are."""
    init = config.init
    if init.bounds != "auto" and not config.model.asks_views:
        return config
    views = wrong().corrupted
    if init.bounds == "auto":
        init = init.at(object_bounds(views))
        tell = "cameras alone" if isinstance(config.masks, NoMasksConfig) else "cameras and masks"
        announce(f"{config.scene.name}: init.bounds={described(init.box)}, as {tell} show the object")
    object_pixels = float(np.mean([np.count_nonzero(view.mask) for view in views]))
    width = float(np.median([view.camera.width for view in views]))
    return config.model_copy(update={"init": init, "model": config.model.seeing(object_pixels, width)})


def _draw_masks(
    config: RunConfig, clean: tuple[View, ...], corrupted: tuple[View, ...], iou: float, run_dir: Path
) -> None:
    corruption = config.corruption
    spoilt = f"{corruption.name} {corruption.level:g}" if corruption.level else "no corruption"
    title = f"{config.scene.name}: {spoilt}, mean IoU {iou:.3f}"
    write_mask_comparison(run_dir / "pictures" / "masks.png", clean, corrupted, title)


def _train(job: Job) -> Cloud:
    config, scene, state = job.config, job.scene, job.state
    warm_up(config, scene.train, job.renderer)
    known_share = state.facts["known_share"]
    _tell_of_longer_training(config, len(scene.train), known_share)
    with TrainingBar(config.schedule, len(scene.train), known_share, state.progress.epoch) as bar:
        reporter = _Reporter(config, scene, job.renderer, job.run_dir, job.metrics, job.tracker, bar)
        if state.progress.epoch == 0:
            model = config.model.build()
            reporter.draw(INIT, Cloud(model, model.join(state.parameters).to(job.renderer.device)), 0)
        return train(state, scene.train, config, job.renderer, job.run_dir, reporter)


def _tell_of_longer_training(config: RunConfig, views: int, known_share: float) -> None:
    steps, usual = (sum(config.schedule.epoch_steps(views, share)) for share in (known_share, 1.0))
    if steps > usual:
        announce(
            f"Wrong masks have cut the training images, which show {known_share:.0%} of the object: training has "
            f"{steps / usual:.2f} times as many steps"
        )


def _masks(
    config: RunConfig, capture: Capture, loaded: Scene, given: Callable[[], TrainingViews], frame: SceneFrame,
    renderer: Renderer,
) -> MaskRepair:  # fmt: skip
    from pointrad.run.mask_repair import MaskRepair  # not above, as for other artifacts

    return MaskRepair(config, capture, loaded, given(), frame, renderer)


@dataclass(frozen=True)
class _Round:
    """A training that is done."""

    job: Job
    cloud: Cloud

    @functools.cached_property
    def findings(self) -> Findings:
        return self.job.masks().findings(self.cloud, self.job.trained_on().corrupted)

    def fit(self, views: Sequence[View]) -> Fit:
        """How well its cloud shows views in the scene frame."""
        renderer, cloud = self.job.renderer, self.cloud
        render, opacity = render_function(renderer, cloud), opacity_function(renderer, cloud)
        means = evaluate(render, opacity, views, lpips=False).means
        return Fit(means.psnr_db or 0.0, means.psnr_object_db or 0.0)


@dataclass(frozen=True)
class _Outcome:
    """What training ends with: the job and the cloud that count, and the round whose cloud puts masks right."""

    job: Job
    cloud: Cloud
    judge: _Round


def _rounds(job: Job, content: SceneContent) -> _Outcome:
    """Train, and again while masks and cloud agree better by it."""
    first, config, asked = _Round(job, _train(job)), job.config, job.rounds.asked
    if asked == 1:
        return _Outcome(job, first.cloud, first)

    def again(before: _Round, number: int) -> _Round:
        announce(f"Round {number} of {asked}: training from the masks that round {number - 1} put right")
        following = _next_job(before, round_folder(job.run_dir, number), config.training_identity(content, number))
        return _Round(following, _train(following))

    better, agreement = better_rounds(asked, first, again, lambda done: done.findings.agreement)
    judge = better[-1]
    views = job.frame.views(judge.findings.agreed_on)
    rounds = Rounds(asked, len(better), best_cloud([done.fit(views) for done in better]), agreement)
    announce(rounds.said)
    best = better[rounds.cloud - 1]
    return _Outcome(replace(best.job, run_dir=job.run_dir, tracker=job.tracker, rounds=rounds), best.cloud, judge)


def _next_job(before: _Round, folder: Path, identity: str) -> Job:
    """The round after, in a folder of its own. Who tracks the run does not hear of its epochs."""
    job, views = before.job, before.findings.views
    folder.mkdir(parents=True, exist_ok=True)
    begun = start(job.config.init, views, job.config.model.darkening, job.config.seed, hull_votes)
    state = Checkpoint.load(folder, identity)
    if state is None:
        state = first_state(job.config, identity, begun, job.frame, job.state.facts["mask_iou"])
        state.progress.seconds = job.state.progress.seconds
        state.save(folder)
    metrics = MetricsFile(folder)
    metrics.truncate_after(state.progress.epoch)
    scene = replace(job.scene, train=job.frame.views(begun.targets))
    return replace(job, scene=scene, state=state, run_dir=folder, metrics=metrics, tracker=NullTracker(),
                   trained_on=lambda: views)  # fmt: skip


def _repair(folder: Path, outcome: _Outcome) -> Ranking:
    judge, rounds = outcome.judge, outcome.job.rounds
    return judge.job.masks().write(folder, judge.cloud, judge.job.trained_on().corrupted, rounds)


def _follow(outcome: _Outcome) -> RunResult:
    """The frames after the first, then scores and artifacts of all; the summary comes last."""
    job, cloud = outcome.job, outcome.cloud
    sequel = Sequel(job, cloud)
    for record in sequel.follow():
        announce(record.told)
    write_json(job.run_dir / "evaluation.json", sequel.evaluation.by_view())
    _write_curves(job)
    sequel.write_artifacts()
    ranking = sequel.put_right() if job.config.repairs_masks else None
    _tell_doubts(job, ranking)
    of_static = _summarise(job, sequel.cloud.to(job.renderer.device), sequel.evaluation, ranking)
    result = replace(of_static, **sequel.summary())
    write_json(job.run_dir / SUMMARY_FILE, asdict(result))
    job.tracker.summarise(asdict(result))
    return result


def _evaluate(outcome: _Outcome) -> RunResult:
    """Scores and artifacts; the summary comes last."""
    job, cloud = outcome.job, outcome.cloud
    config, folder = job.config, job.run_dir
    render, opacity = render_function(job.renderer, cloud), opacity_function(job.renderer, cloud)
    evaluation = evaluate(render, opacity, job.scene.evaluation, config.eval.lpips)
    write_json(folder / "evaluation.json", evaluation.by_view())
    _write_artifacts(job, cloud)
    ranking = _repair(folder, outcome) if config.repairs_masks else None
    _tell_doubts(job, ranking)
    result = _summarise(job, cloud, evaluation, ranking)
    write_json(folder / SUMMARY_FILE, asdict(result))
    job.tracker.summarise(asdict(result))
    return result


def _tell_doubts(job: Job, ranking: Ranking | None) -> None:
    if ranking is not None and ranking.doubts and job.config.corruption.level == 0:
        warn(f"{job.scene.name}: {ranking.doubts} (masks.html)")


class _Reporter:
    """Hears of training and passes it on: to the progress bar, `metrics.jsonl`, the pictures and the tracker."""

    def __init__(self, config: RunConfig, scene: Scene, renderer: Renderer, run_dir: Path, metrics: MetricsFile,
                 tracker: Tracker, bar: TrainingBar) -> None:  # fmt: skip
        self.config, self.scene, self.renderer, self.run_dir = config, scene, renderer, run_dir
        self.metrics, self.tracker, self.bar = metrics, tracker, bar

    def on_step(self, stage: str, stage_epoch: int, points: int) -> None:
        self.bar.step(stage, stage_epoch, points)
        raise_if_told()

    def on_epoch(self, record: EpochRecord) -> None:
        self.metrics.append(record)
        self.tracker.log_epoch(record)
        self.bar.epoch(record)

    def on_stage_end(self, stage: str, cloud: Cloud, epoch: int) -> None:
        self.draw(stage, cloud, epoch)

    def draw(self, stage: str, cloud: Cloud, epoch: int) -> None:
        if self.config.artifacts.stages:
            with replacing(cloud_path(self.run_dir, self.config.schedule, stage)) as path, path.open("wb") as file:
                torch.save(cloud.model.split(cloud.parameters.detach().cpu()), file)
        drawn = drawn_views(self.config.artifacts.views, len(self.scene.evaluation))
        if not drawn:
            return
        views = [self.scene.evaluation[index] for index in drawn]
        path = picture_path(self.run_dir, self.config.schedule, stage)
        harmonics = stage != INIT and self.config.schedule.stages[stage].harmonics
        write_comparison(path, render_function(self.renderer, cloud, harmonics), views, stage)
        self.tracker.log_image("render", path, epoch)


def _write_artifacts(job: Job, cloud: Cloud) -> None:
    # Not above: these libraries are slow to import, and the first step would wait for them.
    from pointrad.artifacts.paths import turntable_cameras
    from pointrad.artifacts.ply import write_points, write_splats
    from pointrad.artifacts.video import write_video

    asked, folder, views, epoch = job.config.artifacts, job.run_dir, job.scene.train, job.state.progress.epoch
    _write_curves(job)
    in_world = cloud.model.to_world(cloud, job.frame)
    write_points(folder / "cloud.ply", in_world, mean_colours(cloud, views, job.renderer))
    splats = job.renderer.settings.as_gaussians(cloud, [view.camera for view in views])
    write_splats(folder / "splats.ply", splats.model.to_world(splats, job.frame))
    job.tracker.log_image("masks", folder / "pictures" / "masks.png", epoch)
    job.tracker.log_file("cloud", folder / "cloud.ply")
    cameras = turntable_cameras([view.camera for view in views], asked.turntable)
    if cameras:
        path = folder / "turntable.mp4"
        write_video(path, render_function(job.renderer, cloud), cameras, asked.turntable.fps)
        job.tracker.log_video("turntable", path, epoch)


def _write_curves(job: Job) -> None:
    if job.config.artifacts.curves:
        from pointrad.artifacts.curves import write_curves  # not above, as for other artifacts

        write_curves(job.run_dir / "pictures" / "curves.png", job.metrics.read())


def _summarise(job: Job, cloud: Cloud, evaluation: Evaluation, ranking: Ranking | None) -> RunResult:
    config, scene, renderer, state = job.config, job.scene, job.renderer, job.state
    return RunResult(
        scene=scene.name,
        split=config.eval.split.value,
        seed=config.seed,
        corruption=config.corruption.name,
        level=config.corruption.level,
        targets=config.corruption.targets,
        consistency=_consistency(config, scene, state),
        mask_iou=state.facts["mask_iou"],
        **asdict(evaluation.means),
        given_repaired_iou=ranking.given_repaired_iou if ranking else None,
        repaired_iou=ranking.repaired_iou if ranking else None,
        ranking_precision=ranking.precision if ranking else None,
        round=job.rounds.cloud,
        round_of_masks=job.rounds.masks,
        agreement_by_round=list(job.rounds.agreement),
        flicker=None,
        flicker_photographs=None,
        train_seconds=state.progress.seconds,
        frames=1,
        frame_seconds=None,
        frame_cpu_seconds=None,
        frame_mb=None,
        render_fps=measure_fps(
            partial(renderer.render_views, cloud.parameters),
            [view.camera for view in scene.evaluation],
            renderer.synchronise,
            config.eval.fps_seconds,
        ),
        model_mb=cloud.megabytes,
        points=len(cloud),
        points_by_stage=state.progress.points,
        initial_points=state.progress.points["init"],
        hull_points=int(state.facts["hull_points"]),
        target_bits=target_bits(state),
        peak_memory_mb=peak_memory_mb(renderer.device),
        renderer=renderer.name,
        device=device_name(renderer.device),
        identity=job.identity,
        status="done",
    )


def _consistency(config: RunConfig, scene: Scene, state: Checkpoint) -> float:
    """The ratio that was asked for, or the greatest that the votes exceed which the adaptive start asked for; 0 where
    nobody votes."""
    if isinstance(config.init, HullConfig):
        return config.init.consistency
    if not isinstance(config.init, InitConfig):
        return 0.0
    return (state.facts["needed"] - 1) / max(len(scene.train) - 1, 1)


def _write_provenance(
    given: RunConfig, placed: RunConfig, identity: str, content: SceneContent, renderer: Renderer, run_dir: Path
) -> None:
    with replacing(run_dir / CONFIG_FILE) as path:
        path.write_text(yaml.safe_dump(given.model_dump(mode="json"), sort_keys=False))
    keep(given.plugins, run_dir)
    placement = Placement(bounds=placed.init.box, model=placed.model)
    what = {"identity": identity, "content": asdict(content), "method": METHOD_VERSION}
    what["placement"] = placement.model_dump(mode="json")
    write_json(run_dir / PROVENANCE_FILE, what | provenance(renderer.device))


def _check_results_are_of(config: RunConfig, content: SceneContent, run_dir: Path) -> None:
    """Results on another split, or on other data of this one, must not be lost."""
    split = config.eval.split
    try:
        found = read_summary(run_dir).get("split")
    except (OSError, ValueError):
        return  # no results, or damaged ones, which are written anew
    if found not in (None, split.value):
        raise OtherRunError(
            f"eval.split: found {split}, but {run_dir} holds results on {found}, which would be lost; "
            f"expected {found}, or another hydra.run.dir"
        )
    recorded = provenance_of(run_dir).get("content", {}).get("evaluation")
    if recorded not in (None, content.evaluation):
        raise OtherRunError(
            f"eval.split: found a {split} split with other data than {run_dir} holds results on, which would be lost; "
            "expected the same data, or another hydra.run.dir"
        )
