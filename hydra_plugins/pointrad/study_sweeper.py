"""Hydra's way to run a study: a sweeper that expands `conf/study/*.yaml` and launches what is missing.

`sweep.py` selects it in conf/sweep.yaml. Hydra imports every plugin at start, so what is heavy is imported late.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from pointrad.config import RunConfig
    from pointrad.study.config import StudyConfig, SweepConfig
    from pointrad.study.plan import Plan, PlannedRun


class StudySweeper(Sweeper):
    """Expands the study, shows what is done and what will run, launches the rest through the launcher given to Hydra,
    and writes the report. Ends the program: 0 if every run is done, 1 if one failed, 130 on Ctrl-C."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task_function, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        from pointrad.errors import UserError

        try:
            sys.exit(self._sweep(arguments))
        except UserError as error:
            sys.exit(f"Error: {error}")
        except KeyboardInterrupt:
            print("\nStopped. The same command goes on with what is missing.", file=sys.stderr)
            sys.exit(130)

    def _sweep(self, arguments: list[str]) -> int:
        from pointrad.study.config import SweepConfig
        from pointrad.study.plan import Plan
        from pointrad.study.reuse import take_over
        from pointrad.study.watch import print_states

        values = _plain(self._config)
        sweep = SweepConfig.parse({key: values[key] for key in SweepConfig.model_fields})
        if sweep.action != "run":
            plan = Plan.read(sweep.study.dir)
            print_states(plan)
            return _conclude(plan, sweep)
        chosen = _Chosen.on_command_line(arguments, sweep.study)
        plan = self._plan(sweep.study, chosen)
        if sweep.dry_run:
            print_states(plan)
            return 0
        plan.write()
        take_over(plan, sweep.reuse)
        print_states(plan)
        self._launch(plan, _to_launch(plan, sweep), chosen)
        return _conclude(plan, sweep)

    def _plan(self, study: StudyConfig, chosen: _Chosen) -> Plan:
        from pointrad.study.plan import expand, make_plan

        variants = expand(study, self._scenes(study, chosen))
        return make_plan(study, variants, lambda variant: run_config(self._compose(variant.settings, chosen)))

    def _scenes(self, study: StudyConfig, chosen: _Chosen) -> Sequence[str]:
        from pointrad.errors import UserError
        from pointrad.scene.blender import find_scenes

        if study.scenes != "all":
            return study.scenes
        dataset = self._compose(study.fixed, chosen).dataset
        if dataset.get("root") is None:
            raise UserError(f"study.scenes: found all, but dataset={dataset.name} has no dataset.root to look in")
        return find_scenes(Path(dataset.root))

    def _compose(self, settings: Mapping[str, object], chosen: _Chosen) -> DictConfig:
        from pointrad.errors import UserError

        try:
            return self._context.config_loader.load_sweep_config(self._config, chosen.overrides(settings))
        except ConfigCompositionException as error:
            raise UserError(str(error)) from None

    def _launch(self, plan: Plan, runs: list[PlannedRun], chosen: _Chosen) -> None:
        from pointrad.study.job import STOP_FILE
        from pointrad.study.watch import StudyBar

        (plan.study.dir / STOP_FILE).unlink(missing_ok=True)
        if not runs:
            return
        jobs = [[*chosen.overrides(run.variant.settings), override("hydra.sweep.subdir", run.folder)] for run in runs]
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=self._task_function, config=self._config
        )
        with StudyBar(plan, runs):
            launcher.launch(jobs, initial_job_idx=0)


@dataclass(frozen=True)
class _Chosen:
    """What the command line sets: of the study, as given, and of every run, by key."""

    study: tuple[str, ...]
    runs: dict[str, str]

    @classmethod
    def on_command_line(cls, arguments: Sequence[str], study: StudyConfig) -> _Chosen:
        """Raises UserError for a key that the study varies, and for several values of one key."""
        from pointrad.errors import UserError
        from pointrad.study.config import LABEL, SweepConfig

        owners = {key: f"study.axes.{name}" for name, axis in study.axes.items() for key in axis if key != LABEL}
        owners |= dict.fromkeys(study.seeds, "study.seeds") | {"scene": "study.scenes"}
        of_study, runs = [], {}
        for parsed, argument in zip(OverridesParser.create().parse_overrides(arguments), arguments, strict=True):
            key = parsed.key_or_group
            if parsed.is_sweep_override():
                raise UserError(f"{key}: found several values ({argument}); expected one, or an axis of the study")
            if key in owners:
                raise UserError(f"{key}: the study varies it; change {owners[key]} instead (found {argument})")
            if key.split(".")[0] in SweepConfig.model_fields:
                of_study.append(argument)
            else:
                runs[key] = argument
        return cls(tuple(of_study), runs)

    def overrides(self, settings: Mapping[str, object]) -> list[str]:
        """Hydra's overrides of a run with these settings; the command line wins."""
        own = [override(key, value) for key, value in settings.items() if key not in self.runs]
        return [*self.study, *own, *self.runs.values()]


def run_config(composed: DictConfig) -> RunConfig:
    """The run's part of a configuration composed from conf/sweep.yaml, checked."""
    from pointrad.config import RunConfig
    from pointrad.study.config import SweepConfig

    values = _plain(composed)
    return RunConfig.parse({key: value for key, value in values.items() if key not in SweepConfig.model_fields})


def _plain(composed: DictConfig) -> dict[str, Any]:
    job = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
    values: Any = OmegaConf.to_container(job, resolve=True)
    return dict(values)


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
    return text if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text) else "'" + text.replace("'", r"\'") + "'"


def _to_launch(plan: Plan, sweep: SweepConfig) -> list[PlannedRun]:
    """The distinct runs that are neither done nor being computed; failed ones only on request."""
    from pointrad.status import RunState, read_status
    from pointrad.study.reuse import set_aside

    wanted = {RunState.MISSING, RunState.STOPPED}
    if sweep.retry == "failed":
        wanted |= {RunState.FAILED, RunState.BROKEN}
    states = {run.identity: read_status(plan.run_dir(run)).state for run in plan.distinct()}
    for run in plan.distinct():
        if states[run.identity] is RunState.BROKEN and RunState.BROKEN in wanted:
            set_aside(plan.run_dir(run))
    return [run for run in plan.distinct() if states[run.identity] in wanted]


def _conclude(plan: Plan, sweep: SweepConfig) -> int:
    """Bring table and report up to date; returns the exit code."""
    from pointrad.study.results import collect

    command = shlex.join(["python", *sys.argv])
    results = collect(plan)
    print(results.done)
    return 1 if len(results.failed) else 0
