"""A run folder told to W&B after the fact, from the files that are the truth about the run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pointrad.bundled import CONFIG_FOLDER
from pointrad.config import RunConfig
from pointrad.errors import UserError
from pointrad.run.recorded import of_this_version
from pointrad.run.status import PROVENANCE_FILE, SUMMARY_FILE, RunState, read_status, read_summary
from pointrad.tracking.base import Tracker
from pointrad.tracking.build import build_tracker
from pointrad.tracking.jsonl import FILE_NAME, MetricsFile

_TRACKER_FILE = CONFIG_FOLDER / "tracker" / "wandb.yaml"


def find_runs(folder: Path) -> list[Path]:
    """The run folders in `folder`, itself included; raises UserError if there is none."""
    found = sorted(path.parent for path in folder.rglob(FILE_NAME))
    if not found:
        raise UserError(f"{folder}: no run in or below it; expected a folder with {FILE_NAME}")
    return found


def replay(run_dir: Path, overrides: Sequence[str]) -> None:
    """Log what W&B lacks of the run in `run_dir`, to the W&B run that training it would have had.

    overrides: such as tracker.group=NAME, over what the run's own configuration and conf/tracker/wandb.yaml say.
    """
    status = read_status(run_dir)
    if status.state is RunState.RUNNING:
        raise UserError(f"{run_dir}: a process is computing this run, and logs it itself")
    tracker = build_tracker(_config(run_dir, overrides), _identity(run_dir), run_dir)
    exit_code = 1
    try:
        _log_results(tracker, run_dir)
        exit_code = 0 if status.state is RunState.DONE else 1
    finally:
        tracker.finish(exit_code)


def _identity(run_dir: Path) -> str:
    """As the run had it; its data may be elsewhere by now."""
    for name in (PROVENANCE_FILE, SUMMARY_FILE):  # in the former only since it covers data
        try:
            return str(json.loads((run_dir / name).read_text(encoding="utf-8"))["identity"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return "unknown"


def _log_results(tracker: Tracker, run_dir: Path) -> None:
    if (run_dir / SUMMARY_FILE).exists():
        records = MetricsFile(run_dir).read()
        last = records[-1].epoch if records else 0
        tracker.log_image("masks", run_dir / "pictures" / "masks.png", last)
        if (run_dir / "turntable.mp4").exists():
            tracker.log_video("turntable", run_dir / "turntable.mp4", last)
        tracker.log_file("cloud", run_dir / "cloud.ply")
        tracker.summarise(read_summary(run_dir))


def _config(run_dir: Path, overrides: Sequence[str]) -> RunConfig:
    """The run's configuration with a W&B tracker, whatever it was trained with."""
    path = run_dir / "config.yaml"
    if not path.exists():
        raise UserError(f"{path}: not found; expected the configuration of a run")
    try:
        values: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise UserError(f"{path}: found no YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(values, dict) or not isinstance(values.get("tracker"), dict):
        raise UserError(f"{path}: found no `tracker`; expected the configuration of a run")
    try:
        ours: Any = OmegaConf.to_container(OmegaConf.load(_TRACKER_FILE), resolve=True)
        given: Any = OmegaConf.to_container(OmegaConf.from_dotlist(list(overrides)), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{' '.join(overrides)}: {error}") from None
    # What the folder says is taken as it is: interpolated, a stranger's file could name any variable of ours.
    theirs = values["tracker"] if values["tracker"].get("name") == "wandb" else {}
    tracker = {**ours, **theirs, **given.get("tracker", {})}
    return RunConfig.parse(of_this_version({**values, "tracker": tracker}, run_dir))
