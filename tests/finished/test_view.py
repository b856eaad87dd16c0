"""`python runs.py view`: what it renders for a browser, and what a browser shows of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from launcher.runs import main
from pointrad.data.frame import SceneFrame
from pointrad.data.scene import Split
from pointrad.finished.config import MovedDataConfig, ViewConfig
from pointrad.finished.evaluate import load_views
from pointrad.finished.layers import drawn
from pointrad.finished.load import FinishedRun, load_run
from pointrad.finished.masks import given_masks, repaired_masks
from pointrad.model.base import Cloud
from pointrad.run.run import run
from pointrad.run.stored import StoredSequence
from pointrad.training.lineage import ORIGIN
from tests.browser import Browser, chromium, find_chromium
from tests.commands import called
from tests.runs import QUICK, config, one_epoch_each
from tests.scenes import write_tiny_scene

pytestmark = pytest.mark.integration

view = pytest.importorskip("pointrad.finished.view", reason="needs viser (requirements-view.txt)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has kept its stages, of a scene in thousandths of a unit, away from the origin."""
    root = write_tiny_scene(tmp_path_factory.mktemp("scenes"), unit=0.001, centre=(5.0, -2.0, 1.0))
    folder = tmp_path_factory.mktemp("runs") / "run"
    words = (f"dataset.root={root}", "init.bounds=auto", "artifacts.stages=true", "artifacts.views=[]")
    wrong = ("corruption=holes", "corruption.level=0.4", "artifacts.repaired_masks=true")
    run(config(*QUICK, *one_epoch_each("demo"), *words, *wrong), folder)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> FinishedRun:
    return load_run(folder)


def eye_of(run: FinishedRun, number: int) -> view.Eye:
    """A training camera as a browser would have it."""
    camera = run.frame.camera(run.training_cameras[number])
    rotation = camera.camera_to_world[:3, :3] @ np.diag([1.0, -1.0, -1.0])
    return view.Eye(rotation, camera.position, 2 * np.arctan(0.5 * camera.height / camera.fy), 32 / 24)


def test_where_a_training_camera_stood_one_sees_what_it_would(trained: FinishedRun) -> None:
    for number, camera in enumerate(trained.training_cameras):
        seen = view.picture([trained], eye_of(trained, number), 32, "colour")
        expected = drawn(trained, camera, "colour")
        assert np.abs(seen.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("aspect", "shown"), [(32 / 24, (32, 24)), (4.0, (96, 24)), (0.5, (32, 64))])
def test_a_window_of_any_shape_shows_all_that_a_training_camera_saw(
    trained: FinishedRun, aspect: float, shown: tuple[float, float]
) -> None:
    camera = trained.training_cameras[0]  # 32x24 pixels
    height = 2 * camera.fy * np.tan(0.5 * view.opening(camera, aspect))
    np.testing.assert_allclose((aspect * height, height), shown)


def test_runs_stand_side_by_side(trained: FinishedRun) -> None:
    eye = eye_of(trained, 0)
    both = view.picture([trained, trained], eye, 64, "opacity")
    assert both.shape == (48, 64, 3)
    left, right = both[:, :32], both[:, 32:]
    assert np.array_equal(left[:, 1:], right[:, 1:])
    assert left[24, 16].min() > 127  # the ball is in the middle of each


def test_runs_with_other_bounds_are_seen_from_the_same_place(
    trained: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []
    monkeypatch.setattr(view, "drawn", lambda run, camera, layer: places.append(camera.position) or np.zeros((2, 2, 3)))
    frame = SceneFrame(trained.frame.centre + 1, 2 * trained.frame.unit)
    view.picture([trained, replace(trained, frame=frame)], eye_of(trained, 0), 32, "colour")
    np.testing.assert_array_equal(places[0], places[1])


def test_stages_are_kept_and_differ(trained: FinishedRun) -> None:
    assert list(trained.stages) == ["init", "base", "full", "refine"]
    eye = eye_of(trained, 0)
    first, last = (view.picture([trained.at(stage)], eye, 32, "colour") for stage in ("init", "refine"))
    assert not np.array_equal(first, last)
    assert np.array_equal(last, view.picture([trained], eye, 32, "colour"))


def test_frames_of_a_moving_scene_are_seen_one_by_one(trained: FinishedRun, tmp_path: Path) -> None:
    first = trained.cloud
    stored = StoredSequence.of(tmp_path, first.model)
    stored.write_first(first)
    state = {ORIGIN: torch.arange(1, len(first) + 1)}
    moved = Cloud(first.model, first.parameters.clone(), state)
    moved["position"][:] += 0.5
    stored.write_next(1, moved, first, {group.name: 0.01 for group in first.model.groups})
    moving = replace(trained, folder=tmp_path)
    assert [trained.frames, moving.frames] == [1, 2]
    eye = eye_of(trained, 0)
    before, after = (view.picture([moving.at_frame(n)], eye, 32, "colour") for n in (0, 1))
    assert np.array_equal(before, view.picture([trained], eye, 32, "colour"))
    assert not np.array_equal(before, after)
    assert np.array_equal(before, view.picture([trained.at_frame(0)], eye, 32, "colour"))
    with pytest.raises(KeyError):
        moving.at_frame(2)


def test_masks_before_and_after_are_outlined_on_photographs(folder: Path) -> None:
    of_given, of_repaired = (255, 60, 0), (0, 140, 255)
    with view.shown(config_of(folder)) as viewer:
        assert list(viewer.photographs) == ["given", "repaired", "both"]
        for given, repaired, both in zip(*viewer.photographs.values(), strict=True):
            before, after = ((given == of_given).all(axis=-1), (repaired == of_repaired).all(axis=-1))
            assert min(before.sum(), after.sum()) > 20
            assert np.array_equal((both == of_repaired).all(axis=-1), after)
            assert np.array_equal((both == of_given).all(axis=-1), before & ~after)


def test_given_masks_are_those_with_errors_and_repaired_ones_those_of_the_folder(
    folder: Path, trained: FinishedRun
) -> None:
    scene = load_views(trained, None, Split.TEST)
    views = scene.train
    given, repaired = given_masks(trained, scene), repaired_masks(trained, views, None)
    for each in views:
        stored = np.asarray(Image.open(folder / "masks_repaired" / f"{each.name}.png"), np.float32) / 255
        assert np.array_equal(repaired[each.name], stored)
        assert given[each.name].sum() < 0.75 * each.mask.sum()  # holes of 40 %


def test_a_run_without_repaired_masks_shows_the_given_ones(folder: Path, tmp_path: Path) -> None:
    without = shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(without / "masks_repaired")
    with view.shown(config_of(without)) as viewer:
        assert list(viewer.photographs) == ["given"]


def test_without_viser_it_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.runs.find_spec", lambda name: None)
    done = called(main, "runs.py", "view", str(folder))
    assert done.code == 1
    assert "pip install --requirement requirements-view.txt" in done.err


def config_of(folder: Path) -> ViewConfig:
    return ViewConfig(
        runs=(folder,), host="localhost", port=0, size=300, moving_size=100, photographs=True,
        dataset=MovedDataConfig(root=None), threads=1,
    )  # fmt: skip


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium: the viewer is not looked at in a browser")
    with chromium(program, tmp_path / "profile") as tab:
        yield tab


def test_a_browser_shows_the_cloud_and_follows_the_mouse(folder: Path, browser: Browser, tmp_path: Path) -> None:
    with view.shown(config_of(folder)) as viewer:
        browser.visit(f"http://localhost:{viewer.server.get_port()}", 1000, 700)
        first = seen_object(browser, tmp_path / "first.png")
        browser.drag((500, 350), (400, 350), (300, 300))
        end = time.monotonic() + 30
        while np.array_equal(seen_object(browser, tmp_path / "second.png"), first):
            assert time.monotonic() < end, "the picture stays as it was"
        assert not [complaint for complaint in browser.complaints if "exceptionDetails" in complaint]


def test_a_browser_shows_masks_before_and_after(folder: Path, browser: Browser, tmp_path: Path) -> None:
    with view.shown(config_of(folder)) as viewer:
        browser.visit(f"http://localhost:{viewer.server.get_port()}", 1000, 700)
        seen_object(browser, tmp_path / "cloud.png")
        cloud = settled(browser, tmp_path / "cloud.png")
        browser.run(f"{labelled('cameras')}.click()")
        given = changed(browser, tmp_path / "given.png", cloud)
        assert shows(given, (255, 60, 0)) > shows(given, (0, 140, 255))
        browser.wait_for(f"{labelled('masks')} !== null")
        browser.run(f"{labelled('masks')}.click()")
        browser.wait_for(f"{REPAIRED} !== undefined")
        browser.run(f"{REPAIRED}.click()")
        repaired = changed(browser, tmp_path / "repaired.png", given)
        assert shows(repaired, (0, 140, 255)) > shows(repaired, (255, 60, 0))
        assert not [complaint for complaint in browser.complaints if "exceptionDetails" in complaint]


def test_a_browser_shows_the_hull_and_the_initial_points(folder: Path, browser: Browser, tmp_path: Path) -> None:
    with view.shown(config_of(folder)) as viewer:
        browser.visit(f"http://localhost:{viewer.server.get_port()}", 1000, 700)
        seen_object(browser, tmp_path / "cloud.png")
        cloud = settled(browser, tmp_path / "cloud.png")

        def bluer(now: np.ndarray) -> bool:
            return bool((now[..., 2] - now[..., 0] > cloud[..., 2] - cloud[..., 0] + 20).sum() > 1000)

        browser.run(f"{labelled('hull')}.click()")
        seen(browser, tmp_path / "hull.png", bluer)
        browser.run(f"{labelled('hull')}.click()")
        seen(browser, tmp_path / "cloud.png", lambda now: np.array_equal(now, cloud))
        browser.run(f"{labelled('initial points')}.click()")
        seen(browser, tmp_path / "points.png", lambda now: not np.array_equal(now, cloud))
        assert not [complaint for complaint in browser.complaints if "exceptionDetails" in complaint]


def test_a_browser_says_why_there_is_no_hull(folder: Path, browser: Browser, tmp_path: Path) -> None:
    gone = config_of(folder).model_copy(update={"dataset": MovedDataConfig(root=tmp_path / "gone")})
    with view.shown(gone) as viewer:
        browser.visit(f"http://localhost:{viewer.server.get_port()}", 1000, 700)
        seen_object(browser, tmp_path / "cloud.png")
        browser.run(f"{labelled('hull')}.click()")
        browser.wait_for("document.body.innerText.includes('No hull')")
        assert "gone" in browser.run("document.body.innerText")


REPAIRED = "[...document.querySelectorAll('[role=option]')].find(option => option.innerText == 'repaired')"


def labelled(text: str) -> str:
    """The control with this label, as an expression."""
    label = f"[...document.querySelectorAll('label')].find(label => label.innerText == '{text}')"
    return f"document.getElementById({label}?.htmlFor)"


def settled(browser: Browser, path: Path) -> np.ndarray:
    """What the page shows beside its controls, once that stays."""
    shots = [np.zeros(1), np.ones(1)]
    end = time.monotonic() + 60
    while not np.array_equal(shots[-1], shots[-2]):
        assert time.monotonic() < end, "the picture never stays as it is"
        time.sleep(0.5)
        browser.screenshot(path)
        shots.append(np.asarray(Image.open(path).convert("RGB"))[160:, :650].astype(int))
    return shots[-1]


def seen(browser: Browser, path: Path, wanted: Callable[[np.ndarray], bool]) -> None:
    """Wait until the page shows beside its controls what is wanted."""
    end = time.monotonic() + 60
    while True:
        browser.screenshot(path)
        if wanted(np.asarray(Image.open(path).convert("RGB"))[160:, :650].astype(int)):
            return
        assert time.monotonic() < end, "it is not seen"
        time.sleep(0.2)


def changed(browser: Browser, path: Path, before: np.ndarray) -> np.ndarray:
    end = time.monotonic() + 60
    while np.array_equal(after := settled(browser, path), before):
        assert time.monotonic() < end, "the picture stays as it was"
    return after


def shows(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    """How many pixels have about this colour, after compression."""
    return int((np.abs(pixels - colour).max(axis=-1) < 60).sum())


def seen_object(browser: Browser, path: Path) -> np.ndarray:
    """The middle of the page, once the object is there; a page that waits is white, controls are at the right."""
    end = time.monotonic() + 60
    while True:
        browser.screenshot(path)
        middle = np.asarray(Image.open(path).convert("RGB"))[250:450, 400:600]
        if middle.std() > 10:
            return middle
        assert time.monotonic() < end, "no cloud is shown"
        time.sleep(0.2)
