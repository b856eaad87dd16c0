"""Finished runs of other studies, taken over instead of computed again."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from pointrad.run.status import LOCK_FILE, STATUS_FILE, SUMMARY_FILE, RunState, read_summary
from pointrad.study.plan import Plan

_WITHIN = ("pictures", "wandb", "report")  # folders of runs and studies that hold no runs


def take_over(plan: Plan, folders: Sequence[Path]) -> list[Path]:
    """Give each unfinished run of `plan` the folder of a finished one of its identity found below `folders`.

    Files are hard links where the disk allows, so a study stays whole when another is deleted. W&B's files stay where
    the run was computed. Returns the folders taken over, as the study now has them.
    """
    wanted = {run.identity: plan.run_dir(run) for run in plan.distinct()}
    states = {run.identity: plan.status(run).state for run in plan.distinct()}
    wanted = {key: path for key, path in wanted.items() if states[key].is_left or states[key] is RunState.FAILED}
    taken = []
    for folder in folders:
        for run_dir in _finished(folder) if wanted else ():
            target = wanted.get(_identity(run_dir))
            if target is not None and target.resolve() != run_dir.resolve():
                _link_tree(run_dir, target)
                taken.append(target)
                del wanted[_identity(run_dir)]
    return taken


def set_aside(run_dir: Path) -> Path:
    """Rename a folder that cannot be read, so that its run can be computed anew and nothing is lost."""
    numbers = (n for n in range(1, 1000) if not run_dir.with_name(f"{run_dir.name}.broken-{n}").exists())
    aside = run_dir.with_name(f"{run_dir.name}.broken-{next(numbers)}")
    run_dir.rename(aside)
    return aside


def _finished(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _WITHIN and not name.startswith(".")]
        if SUMMARY_FILE in files:
            folders.clear()
            yield Path(path)


def _identity(run_dir: Path) -> str:
    """Of the run's summary; empty, which no run has, where it cannot be read."""
    try:
        return str(read_summary(run_dir)["identity"])
    except (OSError, ValueError):
        return ""


def _link_tree(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    ignored = shutil.ignore_patterns("wandb", LOCK_FILE, STATUS_FILE)
    shutil.copytree(source, temporary, copy_function=_link, ignore=ignored)
    if target.exists():
        shutil.rmtree(target)  # of an unfinished run, which the finished one makes worthless
    temporary.rename(target)


def _link(source: str, target: str) -> None:
    # Every other file is only ever replaced whole; a metrics file grows in place, and two runs must not share one.
    if not source.endswith((".jsonl", ".log")):
        try:
            os.link(source, target)
            return
        except OSError:  # another disk, or one without hard links
            pass
    shutil.copy2(source, target)
