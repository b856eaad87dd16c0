"""From a study's YAML to launched runs: what `sweep.py` does, by way of Hydra's composition and launchers."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.errors import ConfigCompositionException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from launcher.composition import Composer, plain_values, without_effect
from launcher.mistakes import explained, given_keys
from pointrad.config import DatasetConfig, RunConfig
from pointrad.data.capture import Capture
from pointrad.data.content import FileDigests, scene_content
from pointrad.data.layout import FolderLayout
from pointrad.data.scene import SceneContent, Split
from pointrad.errors import UserError
from pointrad.progress import announce, warn
from pointrad.run.status import RunState
from pointrad.study.conclude import bring_report_up_to_date, report, report_is_current, table
from pointrad.study.config import LABEL, StudyConfig, SweepConfig
from pointrad.study.levels import LevelFinder
from pointrad.study.plan import STOP_FILE, Plan, PlannedRun, Variant, expand, make_plan
from pointrad.study.reuse import set_aside, take_over
from pointrad.study.watch import StudyBar, print_states
from pointrad.terminal import printable
from pointrad.tracking.config import WandbTrackerConfig

_FAILED = (RunState.FAILED, RunState.BROKEN)
_NO_STRINGS = {"null", "true", "false", "inf", "nan"}  # to Hydra, unless quoted
_LOGS = "hydra.launcher.submitit_folder"
_SECONDS_BETWEEN_LOOKS = 5  # at the queue; SLURM's controllers dislike more


class Sweep:
    """One call of `sweep.py`: expands the study, shows what is done and what will run, launches the rest through the
    launcher given to Hydra, and writes the report."""

    def __init__(self, context: HydraContext, task_function: TaskFunction, composed: DictConfig) -> None:
        """context, task_function and the composed configuration are those that Hydra gives to a sweeper."""
        self._context, self._task_function, self._composed = context, task_function, composed
        values = plain_values(composed)
        self._config = SweepConfig.parse({key: values[key] for key in SweepConfig.model_fields})
        self._study = self._config.study

    def run(self, arguments: Sequence[str]) -> int:
        """Do what `arguments`, the command line's overrides, ask for; returns the exit code.

        It is 0 only if every run is done and what was asked for is written, or if no more was asked than to submit, to
        cancel or to show what would run.

        Raises UserError before anything is launched if the study or the configuration of any of its runs is wrong.
        """
        if self._config.dry_run and self._config.action != "run":
            raise UserError(f"dry_run: found true with {self._config.action}; expected it only where runs are launched")
        if self._config.action != "run":
            self._warn_of_other_keys(given_keys(arguments))
        if self._config.action == "cancel":
            return self._cancel()
        if self._config.action != "run":
            return self._conclude(Plan.read(self._study.dir))
        chosen = _Chosen.on_command_line(arguments, self._study)
        for line in without_effect(self._config.idle(), chosen.values):
            warn(line)
        self._refuse_what_has_no_effect(chosen)
        plan = self._plan(chosen)
        if self._config.dry_run:
            self._show(plan)
            return 0
        plan.write()
        take_over(plan, self._config.reuse)
        runs = _to_launch(plan, self._config.retry == "failed")
        if runs:
            self._show(plan)
            (plan.study.dir / STOP_FILE).unlink(missing_ok=True)
        if self._on_slurm:
            queued = self._submit(plan, runs)
            if queued and self._config.detach:
                return 0
        elif runs:
            self._launch(plan, runs, chosen)
        return self._conclude(plan)

    def _refuse_what_has_no_effect(self, chosen: _Chosen) -> None:
        if self._on_slurm:
            if _LOGS in chosen.values:
                raise UserError(f"{_LOGS}: has no effect on a study's jobs, whose logs are in its folder; leave it out")
            return
        given: dict[str, Any] = {key: chosen.values[key] for key in ("runs_per_job", "rounds") if key in chosen.values}
        given |= {"detach": True} if self._config.detach else {}
        for key, value in given.items():
            name = self._composed.hydra.runtime.choices["hydra/launcher"]
            raise UserError(
                f"{key}: found {_written(value)} with hydra/launcher={name}; expected a launcher that submits to SLURM"
            )

    def _warn_of_other_keys(self, given: Sequence[str]) -> None:
        """Whoever looks after a study may give the command that launched it, with an action."""
        others = [key for key in given if key not in ("action", "study", "study.dir", "study.name")]
        if others:
            warn(
                f"{', '.join(others)}: no effect with {self._config.action}, which looks after the study as it was "
                f"launched in {self._study.dir}"
            )

    def _cancel(self) -> int:
        from launcher.queue import cancel

        cancelled = cancel(self._study.dir)
        print(f"Cancelled: {' '.join(cancelled) or 'nothing was queued'}")
        return 0

    def _plan(self, chosen: _Chosen) -> Plan:
        variants = expand(self._study, *self._scenes())
        command = shlex.join(["python", *sys.argv])
        composer = Composer(self._context.config_loader, partial(self._compose, chosen=chosen), chosen.values)
        kept_in = self._composed.cache.dir
        digests = FileDigests(Path(kept_in).expanduser() if kept_in else None)
        content = partial(content_if_here if self._config.dry_run else scene_content, digests=digests)

        def compose(variant: Variant) -> RunConfig:
            return checked_run(composer.values(variant.settings))

        levels = LevelFinder()
        resolved = (levels.resolved(variant, compose) for variant in variants)
        plan = make_plan(self._study, resolved, compose, content, command)
        varied = [key for together in (*self._study.axes.values(), self._study.seeds) for key in together]
        for line in without_effect(_idle_in_all(plan), [*given_keys(chosen.runs), *varied]):
            warn(f"{line} in any run of the study")
        return plan

    def _scenes(self) -> tuple[Sequence[str], Sequence[str]]:
        """The study's scenes, and those of them that have no file in conf/scene."""
        dataset, root = self._composed.dataset.name, self._composed.dataset.get("root")
        names = self._all_scenes() if self._study.scenes == "all" else self._study.scenes
        files = self._context.config_loader.get_group_options("scene")
        own = [name for name in names if name not in files]
        for name in own:
            if root is None or not _is_scene(Path(root).expanduser(), name):
                where = f"dataset={dataset}" if root is None else f"dataset.root ({root})"
                raise UserError(
                    f"study.scenes: found {name!r}, which is neither in conf/scene nor in {where}; expected "
                    f"{', '.join(files)}, or a folder of dataset.root"
                )
        if own:
            values = self._composed.hydra.runtime.choices.scene
            print(f"Not in conf/scene: {', '.join(own)}; what scene.* does not set is as of scene={values}")
        return names, own

    def _all_scenes(self) -> Sequence[str]:
        values = plain_values(self._composed)
        layout = DatasetConfig.parse({key: values[key] for key in DatasetConfig.model_fields}).dataset
        if not isinstance(layout, FolderLayout):
            raise UserError(f"study.scenes: found all, but dataset={layout.name} has no dataset.root to look in")
        return layout.scenes()

    def _compose(self, settings: Mapping[str, object], chosen: _Chosen) -> DictConfig:
        loader, overrides = self._context.config_loader, chosen.overrides(settings)
        try:
            return loader.load_sweep_config(self._composed, overrides)
        except ConfigCompositionException as error:
            raise UserError(explained(error, loader, self._composed.hydra.job.config_name, overrides)) from None

    @property
    def _on_slurm(self) -> bool:
        return str(self._composed.hydra.launcher._target_).endswith("SlurmLauncher")

    def _launch(self, plan: Plan, runs: list[PlannedRun], chosen: _Chosen) -> None:
        jobs = [[*chosen.overrides(run.variant.settings), override("hydra.sweep.subdir", run.folder)] for run in runs]
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=self._task_function, config=self._composed
        )
        try:
            with StudyBar(plan, runs):
                ended = launcher.launch(jobs, initial_job_idx=0)
            errors = [job._return_value for job in ended if job.status is JobStatus.FAILED]
        except Exception as error:  # a worker process died, say; what the others did is not lost
            errors = [error]
        for told in dict.fromkeys(f"{type(error).__name__}: {error}" for error in errors):
            print(printable(f"Error: the launcher ended early: {told}"), file=sys.stderr)

    def _submit(self, plan: Plan, runs: list[PlannedRun]) -> bool:
        """Submit what is missing and, unless detached, wait for its end; returns whether anything is in the queue.

        Not through Hydra's launcher, which gives up on all jobs when one dies, and whose jobs die with it.
        """
        from launcher.queue import PATIENTLY, Queue, array_ids, wait_until_ended
        from launcher.slurm import Submission, look_after

        if not runs and shutil.which("squeue") is None:  # computed on a cluster, concluded here
            return False
        parameters: Any = OmegaConf.to_container(self._composed.hydra.launcher, resolve=False)
        del parameters["submitit_folder"]  # refers to the sweep's folder; ours is the study's
        submission = Submission(parameters, self._config.runs_per_job, self._config.rounds, self._config.fail_fast)
        jobs = look_after(plan, runs, submission)
        if computing := [job for job in jobs if job.folders]:
            count = sum(len(job.folders) for job in computing)
            arrays = " ".join(array_ids(job.job for job in computing))
            print(f"Submitted {count} runs as {len(computing)} jobs: {arrays}. Logs: {Path(jobs[0].log).parent}")
        elif jobs:
            print(f"Submitted the job that concludes the study, which was missing: {jobs[0].job}")
        if not jobs and not Queue.ask(plan.study.dir, PATIENTLY).states:
            return False
        command = f"python sweep.py status study={plan.study.name} study.dir={plan.study.dir}"
        print(f"Their state: {command} (also: collect, report, cancel)")
        if not self._config.detach:
            with StudyBar(plan, runs):
                wait_until_ended(plan.study.dir, _SECONDS_BETWEEN_LOOKS)
        return True

    def _show(self, plan: Plan) -> bool:
        """Show what has become of the runs, with what SLURM says of their jobs where there is one that answers;
        returns whether all are done."""
        from launcher.queue import NoAnswerError, queue_states

        try:
            jobs = queue_states(plan.study.dir)
        except NoAnswerError as error:
            print(printable(f"{error}. What follows is told from the run folders alone."))
            jobs = {}
        states = print_states(plan, jobs)
        queued = {folder for folder, job in jobs.items() if job.in_queue}
        if queued and "" not in queued:
            print("No job in the queue will conclude the study; the command that launched it adds one.")
        return all(state is RunState.DONE for state in states.values())

    def _conclude(self, plan: Plan) -> int:
        """Show what has become of the runs, write what was asked for, and say whether all is done."""
        done = self._show(plan)
        try:
            self._write(plan)
        except PermissionError as error:
            raise UserError(
                f"{error.filename}: cannot be written ({error.strerror}); `status` shows all that is there"
            ) from None
        return 0 if done else 1

    def _write(self, plan: Plan) -> None:
        match self._config.action:
            case "run":
                page = bring_report_up_to_date(plan)
                print(f"Report: {page}" if page else "Report: none before the first run is done")
            case "status" if (current := report_is_current(plan)) is not None:
                print(
                    "Report: current" if current else "Report: out of date; `report` in place of `status` draws it anew"
                )
            case "collect":
                print(f"Table: {table(plan)}")
            case "report":
                print(f"Report: {report(plan)}")


@dataclass(frozen=True)
class _Chosen:
    """What the command line sets: of the study and of every run, in Hydra's grammar, and all values by their keys."""

    study: tuple[str, ...]
    runs: tuple[str, ...]
    values: dict[str, Any]

    @classmethod
    def on_command_line(cls, arguments: Sequence[str], study: StudyConfig) -> _Chosen:
        """Raises UserError for a key that the study varies, and for several values of one key."""
        owners = {key: f"study.axes.{name}" for name, axis in study.axes.items() for key in axis if key != LABEL}
        owners |= dict.fromkeys(study.seeds, "study.seeds") | {"scene": "study.scenes"}
        of_study: list[str] = []
        of_runs: list[str] = []
        values: dict[str, Any] = {}
        for parsed, argument in zip(OverridesParser.create().parse_overrides(list(arguments)), arguments, strict=True):
            key = parsed.key_or_group
            values[key] = parsed.value()
            if parsed.is_sweep_override():
                raise UserError(f"{key}: found several values ({argument}); expected one, or an axis of the study")
            if key in owners:
                raise UserError(f"{key}: the study varies it; change {owners[key]} instead (found {argument})")
            (of_study if key.split(".")[0] in SweepConfig.model_fields else of_runs).append(argument)
        return cls(tuple(of_study), tuple(of_runs), values)

    def overrides(self, settings: Mapping[str, object]) -> list[str]:
        """Hydra's overrides of a run with these settings."""
        return [*self.study, *(override(key, value) for key, value in settings.items()), *self.runs]


def _idle_in_all(plan: Plan) -> dict[str, str]:
    """What is idle (`Config.idle`) in each run."""
    first, *others = (run.config.idle() for run in plan.runs)
    return {key: cause for key, cause in first.items() if all(key in other for other in others)}


def _is_scene(root: Path, name: str) -> bool:
    """Whether `root` holds a folder of that name, or is a capture's own."""
    return (root / name).is_dir() or root.resolve().name == name


def content_if_here(capture: Capture, split: Split, digests: FileDigests) -> SceneContent:
    """What a plan to be shown needs; that can be done where the data is not."""
    folder = capture.folder
    if folder.is_dir():
        return scene_content(capture, split, digests)
    announce(f"{folder}: no such folder; which runs are done already is unknown without their data")
    return SceneContent("unknown", "unknown")


def run_config(composed: DictConfig) -> RunConfig:
    """The run's part of a configuration composed from conf/sweep.yaml, checked. W&B groups a study's runs by its name
    unless told otherwise."""
    return checked_run(plain_values(composed))


def checked_run(values: Mapping[str, Any]) -> RunConfig:
    """`run_config` of plain values."""
    config = RunConfig.parse({key: value for key, value in values.items() if key not in SweepConfig.model_fields})
    if not isinstance(config.tracker, WandbTrackerConfig) or config.tracker.group:
        return config
    grouped = config.tracker.model_copy(update={"group": values["study"]["name"]})
    return config.model_copy(update={"tracker": grouped})


def override(key: str, value: object) -> str:
    """A setting in Hydra's override grammar."""
    return f"{key}={_written(value)}"


def _written(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{','.join(_written(item) for item in value)}]"
        case dict():
            return f"{{{','.join(f'{key}:{_written(item)}' for key, item in value.items())}}}"
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) and text.lower() not in _NO_STRINGS
    return text if plain else "'" + text.replace("'", r"\'") + "'"


def _to_launch(plan: Plan, retry_failed: bool) -> list[PlannedRun]:
    """The distinct runs that are neither done nor being computed; failed and unreadable ones only on request."""
    runs = []
    for run in plan.distinct():
        state = plan.status(run).state
        if state.is_left or (retry_failed and state in _FAILED):
            runs.append(run)
            if state is RunState.BROKEN:
                set_aside(plan.run_dir(run))
    return runs
