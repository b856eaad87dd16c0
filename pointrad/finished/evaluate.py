"""A run scored on a split, whatever it was scored on when it was trained."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pointrad.artifacts.pictures import check_views, drawn_views, write_comparison
from pointrad.data.capture import load_scene
from pointrad.data.content import FileDigests, scene_content
from pointrad.data.scene import Scene, Split
from pointrad.errors import UserError
from pointrad.evaluation import Evaluation, check_scored_views, evaluate
from pointrad.files import write_json
from pointrad.finished.config import EvaluateConfig
from pointrad.finished.load import FinishedRun
from pointrad.method import METHOD_VERSION
from pointrad.progress import announce, warn
from pointrad.run.status import SUMMARY_FILE

EVALUATION_FILE = "evaluation.json"


def evaluate_run(run: FinishedRun, config: EvaluateConfig, folder: Path) -> Evaluation:
    """The scores of the run on a split; `folder` gets them by view and in mean, and pictures beside the truth.

    Raises UserError if the folder holds scores of other data or of another version of the method, and for views that
    the split does not have.
    """
    split = config.eval.split
    capture = run.capture(config.dataset.root)
    content = scene_content(capture, split, FileDigests(None))
    what = {"split": split.value, "content": content.evaluation, "method": METHOD_VERSION}
    _check_folder(folder, what)
    if run.content is not None and run.content.train != content.train:
        warn(f"{run.folder}: trained on other data than lies in {capture.folder} now")
    scene = load_views(run, config.dataset.root, split)
    check_views("views", config.views, scene, split)
    drawn = drawn_views(config.views, len(scene.evaluation))
    evaluation = evaluate(run.render, run.opacity, scene.evaluation, config.eval.lpips)
    write_json(folder / EVALUATION_FILE, evaluation.by_view())
    write_comparison(folder / "comparison.png", run.render, [scene.evaluation[n] for n in drawn], f"{split} split")
    write_json(folder / SUMMARY_FILE, what | asdict(evaluation.means))
    return evaluation


def load_views(run: FinishedRun, root: Path | None, split: Split) -> Scene:
    """The run's scene with the views of this split. root: where its data lies now, None for where it lay.

    Raises UserError for what is wrong with the data.
    """
    announce(f"{run.config.scene.name}: loading the {split} split")
    scene = load_scene(run.capture(root), split)
    check_scored_views(scene.evaluation)
    return scene


def _check_folder(folder: Path, what: dict[str, Any]) -> None:
    """That what it holds is replaced by its like."""
    path = folder / SUMMARY_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for key in what:
        if found.get(key) != what[key]:
            raise UserError(
                f"{folder}: holds scores with {key} {found.get(key)}, where {what[key]} is asked for; they would be "
                "lost: expected another hydra.run.dir, or the folder moved"
            )
