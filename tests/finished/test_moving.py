"""`python runs.py`, as a person calls it on a scene that moves: a sphere that shrinks, seen at the second and third
instant, under masks that flicker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import yaml
from PIL import Image

from launcher.runs import main
from pointrad.corruption import corrupt_views
from pointrad.data.scene import Shot, Split
from pointrad.finished.evaluate import load_views
from pointrad.finished.load import load_run
from pointrad.finished.masks import given_masks
from pointrad.run.run import run
from tests.commands import Ended, called
from tests.data.captures import COUNT, HELD_OUT, write_panoptic
from tests.runs import config, one_epoch_each, quick

pytestmark = pytest.mark.integration

CAMERAS = COUNT - len(HELD_OUT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_panoptic(tmp_path_factory.mktemp("scenes"))
    of_next = ("slack=1", "stages.catch_up.epochs=1", "stages.settle.epochs=1")
    words = (f"dataset.root={root}", "dataset=panoptic", "dataset.frames=1:3", *one_epoch_each("sequence"))
    wrong = ("corruption=holes", "corruption.level=0.3", "corruption.in_time=flicker")
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(config(*quick(*words, *wrong, *(f"schedule.next.{word}" for word in of_next))), folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained, tmp_path / "run"))


def of_runs(*words: object) -> Ended:
    return called(main, "runs.py", *map(str, words), "threads=1")


def test_all_frames_are_scored_and_none_is_of_other_data(folder: Path) -> None:
    done = of_runs("evaluate", folder, "eval.lpips=false")
    assert done.code == 0, done.err
    own, again = folder / "evaluation.json", folder / "evaluations" / "test" / "evaluation.json"
    assert json.loads(own.read_text()) == json.loads(again.read_text())
    assert "trained on other data" not in done.err


def test_data_with_other_frames_than_the_run_is_refused(folder: Path) -> None:
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["dataset"]["frames"] = None
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    done = of_runs("evaluate", folder, "eval.lpips=false")
    assert done.code == 1
    assert "has 2 frames, but 3 are in" in done.err


def test_runs_are_compared_by_all_frames(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    done = of_runs("compare", folder, other, "hydra.run.dir=compared")
    assert done.code == 0, done.err
    assert (tmp_path / "compared" / "comparison.png").is_file()


def seen(folder: Path, *words: str) -> np.ndarray:
    """The pictures of a video of a camera that stays where it is."""
    pose = json.loads((folder / "cameras.json").read_text())["frames"][0]
    path = folder / "still.json"
    to_world = [value for row in pose["transform_matrix"] for value in row]
    said = {"camera_path": [{"camera_to_world": to_world, "fov": 40.0, "aspect": 1.5}] * 4}
    path.write_text(json.dumps(said | {"render_width": 60, "render_height": 40}))
    done = of_runs("render", folder, f"path={path}", "images=true", *words)
    assert done.code == 0, done.err
    pictures = sorted((folder / "renders" / "still" / "colour").iterdir())
    assert len(imageio.imread(folder / "renders" / "still" / "colour.mp4", plugin="FFMPEG")) == len(pictures) == 4
    return np.stack([np.asarray(Image.open(picture)) for picture in pictures])


def test_time_goes_on_along_a_path_unless_one_instant_is_chosen(folder: Path) -> None:
    moving, first, second = (seen(folder, *words) for words in ((), ("instant=0",), ("instant=1",)))
    assert (first == first[0]).all()
    assert not np.array_equal(first, second)
    assert np.array_equal(moving, np.concatenate([first[:2], second[2:]]))


def test_an_instant_that_there_is_not_is_refused(folder: Path) -> None:
    done = of_runs("render", folder, "frames=2", "instant=2")
    assert done.code == 1
    assert "instant: found 2; " in done.err
    assert "has 2, expected 0 to 1" in done.err


def test_masks_are_those_that_the_first_frame_was_given(trained: Path) -> None:
    finished = load_run(trained)
    scene = load_views(finished, None, Split.TEST)
    corruption = finished.config.corruption
    expected = corrupt_views(corruption, scene.train, {view.name: Shot(n, 1) for n, view in enumerate(scene.train)})
    given = given_masks(finished, scene)
    assert len(given) == CAMERAS
    for view in expected:
        assert np.array_equal(given[view.name], view.mask)
    unmoved = corrupt_views(corruption, scene.train, None)
    assert any(not np.array_equal(given[view.name], view.mask) for view in unmoved)
