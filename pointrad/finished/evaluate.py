"""A run scored on a split, whatever it was scored on when it was trained."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from pointrad.artifacts.pictures import check_views, drawn_views, write_comparison
from pointrad.data.capture import load_scene
from pointrad.data.content import FileDigests, of_sequence, scene_contents
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
    """The scores of the run on a split, of all frames of a scene that moves; `folder` gets them by view and in mean,
    and pictures beside the truth, of the first frame.

    Raises UserError if the folder holds scores of other data or of another version of the method, for views that the
    split does not have, and if a scene that moves has fewer frames now, or more.
    """
    split, captures = config.eval.split, run.captures(config.dataset.root)
    capture = captures[0]
    if len(captures) != run.frames:
        raise UserError(f"{run.folder}: has {run.frames} frames, but {len(captures)} are in {capture.folder} now")
    content = of_sequence(scene_contents(captures, split, FileDigests(None)))
    what = {"split": split.value, "content": content.evaluation, "method": METHOD_VERSION}
    _check_folder(folder, what)
    if run.content is not None and run.content.train != content.train:
        warn(f"{run.folder}: trained on other data than lies in {capture.folder} now")
    scene = load_views(run, config.dataset.root, split)
    check_views("views", config.views, scene, split)
    drawn = drawn_views(config.views, len(scene.evaluation))
    scenes = chain([scene], (load_scene(later, split) for later in captures[1:]))
    frames = (run.at_frame(number) for number in range(run.frames))
    scored = [
        evaluate(frame.render, frame.opacity, shown.evaluation, config.eval.lpips)
        for frame, shown in zip(frames, scenes, strict=True)
    ]
    evaluation = Evaluation(tuple(view for one in scored for view in one.views))
    write_json(folder / EVALUATION_FILE, evaluation.by_view())
    write_comparison(folder / "comparison.png", run.render, [scene.evaluation[n] for n in drawn], f"{split} split")
    write_json(folder / SUMMARY_FILE, what | asdict(evaluation.means))
    return evaluation


def load_views(run: FinishedRun, root: Path | None, split: Split) -> Scene:
    """The run's scene, or its first frame, with the views of this split. root: where its data lies now, None for where
    it lay.

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
