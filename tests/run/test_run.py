"""A run from a configuration to a folder of results, and what ends it early."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from pointrad.artifacts.ply import read_ply
from pointrad.camera import Camera
from pointrad.errors import MachineError, UserError
from pointrad.files import replacing
from pointrad.model.points import POINTS
from pointrad.render import gsplat_support
from pointrad.run.run import RunResult, run
from pointrad.run.status import RunState, read_status
from pointrad.training.preemption import Preempted
from tests.runs import REPOSITORY, config, one_epoch_each, quick, same_cloud
from tests.scenes import off_centre, write_tiny_scene

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scene(tmp_path_factory.mktemp("scenes"))


def quick_run(root: Path, folder: Path, *overrides: str, schedule: str = "demo") -> RunResult:
    return run(config(*quick(f"dataset.root={root}", *one_epoch_each(schedule), *overrides)), folder)


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


SCHEDULES = sorted(path.stem for path in (REPOSITORY / "conf" / "schedule").glob("*.yaml"))


@pytest.mark.parametrize("schedule", [name for name in SCHEDULES if not name.startswith("sequence")])
def test_every_schedule_runs_to_its_end(schedule: str, root: Path, tmp_path: Path) -> None:
    result = quick_run(root, tmp_path, schedule=schedule)
    stages = list(config(f"schedule={schedule}").schedule.enabled_stages)
    assert result.status == "done"
    assert [line["stage"] for line in lines(tmp_path)] == stages
    assert list(result.points_by_stage) == ["init", *stages]


CHOICES = ("model.view_direction=pixel", "renderer=pytorch3d", "corruption=none", "dataset.background=white",
           "eval.split=val", "schedule.stages.base.downscale=2", "corruption=holes corruption.level=0.3",
           "corruption=mixed corruption.level=0.2")  # fmt: skip


@pytest.mark.parametrize("choice", CHOICES)
def test_every_choice_runs_to_its_end(choice: str, root: Path, tmp_path: Path) -> None:
    assert quick_run(root, tmp_path, *choice.split(), "init=hull", "init.consistency=0.5").status == "done"


def test_a_start_above_the_models_cap_is_refused_before_training(root: Path, tmp_path: Path) -> None:
    expected = (
        r"^init\.kept_share: the start has \d{3,} gaussians, .* allow 99; lower init\.kept_share or raise the cap$"
    )
    with pytest.raises(UserError, match=expected):
        quick_run(root, tmp_path, "model.max_points=99", schedule="gaussians_fast")
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_random_start_above_the_models_cap_is_told_its_own_key(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^init\.points: the start has 100 gaussians, .* lower init\.points or raise"):
        quick_run(root, tmp_path, *RANDOM, "model.max_points=99", schedule="gaussians_fast")


RANDOM = ("init=random", "init.points=100")


@pytest.mark.parametrize("schedule", ["gaussians_fast", "fast"])
def test_a_random_start_reads_no_mask(schedule: str, root: Path, tmp_path: Path) -> None:
    clouds = []
    for level in (0, 0.4):
        run = tmp_path / str(level)
        result = quick_run(root, run, *RANDOM, f"corruption.level={level}", schedule=schedule)
        assert (result.consistency, result.hull_points, result.initial_points) == (0, 0, 100)
        clouds.append((run / "cloud.ply").read_bytes())
    assert clouds[0] == clouds[1]


def test_a_random_start_is_faint(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrad.run.run.raise_if_told", stop_at_step(1))
    faint = (*RANDOM, "init.opacity=0.2", "schedule.stages.coarse.lr.opacity=0")
    with pytest.raises(Preempted):
        quick_run(root, tmp_path, *faint, schedule="gaussians_fast")
    opacity = torch.load(tmp_path / "checkpoint.pt")["parameters"]["opacity"].sigmoid()
    torch.testing.assert_close(opacity, torch.full((1, 100), 0.2))


ADAPTIVE = ("corruption=none", "corruption.level=0.12", "corruption.level=0.12 corruption.targets=masked",
            "init.source=none", "dataset.background=white corruption=dropout corruption.level=0.3",
            "corruption.level=0.12 corruption.targets=masked renderer=pytorch3d")  # fmt: skip


@pytest.mark.parametrize("choice", ADAPTIVE)
def test_the_adaptive_start_runs_to_its_end(choice: str, root: Path, tmp_path: Path) -> None:
    result = quick_run(root, tmp_path, "init=adaptive", *choice.split())
    assert (result.status, 0 < result.consistency <= 1) == ("done", True)


@pytest.mark.parametrize("init", ["hull", "adaptive"])
def test_a_scene_in_millimetres_far_from_the_origin_trains_as_the_same_scene_in_metres(
    init: str, root: Path, tmp_path: Path
) -> None:
    far = write_tiny_scene(tmp_path, unit=1000, centre=(7000, 0, -300))
    metres = quick_run(root, tmp_path / "metres", f"init={init}", "init.bounds=[-2,2]")
    bounds = "init.bounds=[[5000,9000],[-2000,2000],[-2300,1700]]"
    millimetres = quick_run(far, tmp_path / "millimetres", f"init={init}", bounds)
    assert millimetres.psnr_db == pytest.approx(metres.psnr_db, abs=0.1)
    clouds = (read_ply(tmp_path / unit / "cloud.ply", POINTS) for unit in ("metres", "millimetres"))
    here, there = (cloud["position"].mean(dim=1).numpy() for cloud in clouds)
    np.testing.assert_allclose(here, (there - (7000, 0, -300)) / 1000, atol=0.05)


@pytest.mark.parametrize("init", ["hull", "adaptive"])
def test_where_the_object_is_need_not_be_told(init: str, root: Path, tmp_path: Path) -> None:
    """Of a scene in millimetres, far from the origin; it goes on from its checkpoint like any other."""
    far = write_tiny_scene(tmp_path, unit=1000, centre=(7000, 0, -300))
    auto = (f"init={init}", "init.bounds=auto", "model.splat_radius={pixels:2,of_object:0.1}")
    metres, millimetres = (quick_run(of, tmp_path / name, *auto) for of, name in ((root, "metres"), (far, "far")))
    assert millimetres.psnr_db == pytest.approx(metres.psnr_db, abs=0.1)
    assert millimetres.hull_points == pytest.approx(metres.hull_points, rel=0.02)
    assert quick_run(far, tmp_path / "far", *auto).psnr_db == millimetres.psnr_db


@pytest.mark.parametrize("init", ["hull", "adaptive"])
def test_pictures_of_stretched_pixels_off_centre_train_as_well_as_square_ones_of_as_many_pixels(
    init: str, tmp_path: Path
) -> None:
    stretched = write_tiny_scene(tmp_path / "stretched", width=60, height=60, lens=off_centre)
    square = write_tiny_scene(tmp_path / "square", width=60, height=60, lens=lambda at: of_focal(at, 1.3**0.5 * at.fx))
    longer = (f"init={init}", "schedule.stages.refine.epochs=20", "scene.splat_radius=0.1")
    found, expected = (quick_run(root, root / "run", *longer).psnr_db for root in (stretched, square))
    assert found == pytest.approx(expected, abs=0.4)
    assert expected > 17


def of_focal(at: Camera, focal: float) -> Camera:
    return replace(at, fx=focal, fy=focal)


def test_with_clean_pictures_the_adaptive_start_trains_the_same_cloud_whatever_the_masks(
    root: Path, tmp_path: Path
) -> None:
    clouds = []
    for level in (0.04, 0.4):
        quick_run(root, tmp_path / str(level), "init=adaptive", f"corruption.level={level}")
        clouds.append((tmp_path / str(level) / "cloud.ply").read_bytes())
    assert clouds[0] == clouds[1]


def test_what_wrong_masks_cut_off_the_targets_counts_as_unknown_or_as_background(root: Path, tmp_path: Path) -> None:
    wrong = ("init=adaptive", "corruption.level=0.3", "corruption.targets=masked")
    losses = []
    for counts_as in ("unknown", "background"):
        quick_run(root, tmp_path / counts_as, *wrong, f"init.cut_pixels={counts_as}")
        losses.append([line["loss"] for line in lines(tmp_path / counts_as)])
    assert losses[0][0] < losses[1][0]


@pytest.mark.parametrize(("epochs", "longer"), [("{steps:12}", True), ("1", False)])
def test_says_that_it_trains_for_longer_where_wrong_masks_have_cut_images(
    epochs: str, longer: bool, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ("init=adaptive", "corruption.level=0.3", "corruption.targets=masked")
    quick_run(root, tmp_path, *wrong, f"schedule.stages.base.epochs={epochs}")
    assert ("Wrong masks have cut the training images, which show" in capsys.readouterr().err) == longer


@pytest.mark.parametrize("background", ["black", "white"])
def test_masked_targets_train_on_background_outside_the_wrong_masks(
    background: str, root: Path, tmp_path: Path
) -> None:
    found = {}
    for targets in ("clean", "masked"):
        wrong = ("corruption.level=1", "init=hull", "init.consistency=0", f"corruption.targets={targets}")
        quick_run(root, tmp_path / targets, *wrong, f"dataset.background={background}")
        found[targets] = [line["loss"] for line in lines(tmp_path / targets)]
    assert found["masked"] != found["clean"]


@pytest.mark.parametrize("init", ["init=hull init.consistency=0.5", "init=adaptive", " ".join(RANDOM)])
@pytest.mark.parametrize("targets", ["clean", "masked"])
def test_a_run_told_to_stop_goes_on_with_the_targets_it_had(
    init: str, targets: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = ("corruption.level=0.1", *init.split(), f"corruption.targets={targets}")
    quick_run(root, tmp_path / "whole", *wrong)
    with monkeypatch.context() as patched:
        patched.setattr("pointrad.run.run.raise_if_told", stop_at_step(7))
        with pytest.raises(Preempted):
            quick_run(root, tmp_path / "stopped", *wrong)
    quick_run(root, tmp_path / "stopped", *wrong)
    assert same_cloud(tmp_path / "whole", tmp_path / "stopped")


def stop_at_step(number: int) -> Callable[[], None]:
    steps = count(1)

    def tell() -> None:
        if next(steps) == number:
            raise Preempted

    return tell


def test_both_renderers_lose_the_same(root: Path, tmp_path: Path) -> None:
    quick_run(root, tmp_path / "cpu", "renderer=cpu")
    quick_run(root, tmp_path / "pytorch3d", "renderer=pytorch3d")
    losses = [[line["loss"] for line in lines(tmp_path / name)] for name in ("cpu", "pytorch3d")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_renderer_that_is_not_here_is_refused_before_data_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gsplat_support, "is_installed", lambda: False)
    chosen = config(*quick("dataset.root=nowhere", "model=gaussians", "renderer=gsplat"))
    with pytest.raises(UserError, match=r"^renderer\.name: found 'gsplat', but gsplat .*requirements-gsplat\.txt"):
        run(chosen, tmp_path)


def test_one_thread_and_two_train_the_same_cloud(root: Path, tmp_path: Path) -> None:
    for threads in ("1", "2"):
        quick_run(root, tmp_path / threads, f"threads={threads}")
    assert same_cloud(tmp_path / "1", tmp_path / "2")


def test_a_finished_run_run_again_says_the_same(root: Path, tmp_path: Path) -> None:
    first = quick_run(root, tmp_path)
    again = quick_run(root, tmp_path)
    assert (again.psnr_db, again.points_by_stage, again.train_seconds, again.mask_iou) == (
        first.psnr_db, first.points_by_stage, first.train_seconds, first.mask_iou,
    )  # fmt: skip
    assert len(lines(tmp_path)) == 3


def test_a_finished_run_whose_data_moved_says_the_same_of_the_same_identity(
    tiny_scene_root: Path, tmp_path: Path
) -> None:
    first = quick_run(tiny_scene_root, tmp_path / "run")
    tiny_scene_root.rename(tmp_path / "moved")
    again = quick_run(tmp_path / "moved", tmp_path / "run")
    assert (again.identity, again.psnr_db) == (first.identity, first.psnr_db)


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return quick_run(root, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize(
    "writer",
    [
        "artifacts.ply.write_points",
        "artifacts.curves.write_curves",
        "run.run.MetricsFile.append",
        "run.run.Checkpoint.save",
    ],
)
def test_a_full_disk_stops_a_run_which_then_goes_on_to_the_same_result(
    writer: str, whole: RunResult, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    def full(*_: object) -> None:
        with replacing(folder / "some file"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(f"pointrad.{writer}", full)
        with pytest.raises(MachineError, match="no space left"):
            quick_run(root, folder, "artifacts.curves=true")
    assert read_status(folder).state is RunState.STOPPED
    assert quick_run(root, folder, "artifacts.curves=true").psnr_db == whole.psnr_db
    assert read_status(folder).attempts == 2


def test_wrong_masks_lower_the_iou_and_the_hull(root: Path, tmp_path: Path) -> None:
    clean = quick_run(root, tmp_path / "clean")
    wrong = quick_run(root, tmp_path / "wrong", "corruption.level=0.12", "init=hull", "init.consistency=0.6")
    assert (clean.mask_iou, clean.level) == (1.0, 0.0)
    assert (wrong.mask_iou < 1, wrong.level, wrong.consistency) == (True, 0.12, 0.6)


def results(folder: Path) -> dict[Path, bytes]:
    """All files of a run but those that tell how it went."""
    own = {"status.json", "traceback.txt"}
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in own}


class TestBadInput:
    """One message that names the file or key, also in the folder's status, and a run folder without results."""

    def refused(self, root: Path, folder: Path, *overrides: str) -> str:
        with pytest.raises(UserError) as caught:
            quick_run(root, folder, *overrides)
        assert read_status(folder).state is RunState.FAILED
        assert {path.name for path in folder.iterdir()} == {"run.lock", "status.json", "traceback.txt"}
        return str(caught.value)

    def test_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        assert f"{tmp_path / 'gone' / 'tiny'}: no such folder" in self.refused(tmp_path / "gone", tmp_path / "run")

    def test_a_scene_that_is_not_there(self, root: Path, tmp_path: Path) -> None:
        assert f"{root / 'tinny'}: no such folder" in self.refused(root, tmp_path / "run", "scene.name=tinny")

    def test_a_split_that_is_not_there(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        path = tiny_scene_root / "tiny" / "transforms_test.json"
        path.unlink()
        assert f"{path}: no such file; the splits that exist there: train, val" in self.refused(
            tiny_scene_root, tmp_path / "run"
        )

    def test_too_few_views_for_the_paper_split(self, root: Path, tmp_path: Path) -> None:
        assert "found 3 frames; expected at least 38" in self.refused(root, tmp_path / "run", "eval.split=paper")

    def test_a_truncated_picture(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        path = tiny_scene_root / "tiny" / "train" / "r_2.png"
        path.write_bytes(path.read_bytes()[:200])
        assert f"{path}: found an image that cannot be read" in self.refused(tiny_scene_root, tmp_path / "run")

    def test_an_empty_hull(self, root: Path, tmp_path: Path) -> None:
        message = self.refused(root, tmp_path / "run", "init.bounds=[5,6]")
        assert "init." in message

    def test_a_picture_of_a_view_that_is_not_there(self, root: Path, tmp_path: Path) -> None:
        message = self.refused(root, tmp_path / "run", "artifacts.views=[0,3]")
        assert "artifacts.views: found 3; the test split of tiny has 3 views, expected 0 to 2" in message

    def test_a_folder_with_results_on_other_data_of_the_split_is_left_as_it_is(
        self, tiny_scene_root: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        quick_run(tiny_scene_root, folder)
        before = results(folder)
        shutil.copy(*(tiny_scene_root / "tiny" / "test" / name for name in ("r_0.png", "r_1.png")))
        with pytest.raises(UserError, match=r"a test split with other data than .* holds results on"):
            quick_run(tiny_scene_root, folder)
        assert results(folder) == before

    def test_a_folder_whose_training_data_changed_is_left_as_it_is(self, tiny_scene_root: Path, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        quick_run(tiny_scene_root, folder)
        before = results(folder)
        write_tiny_scene(tiny_scene_root, width=40, height=30)
        with pytest.raises(UserError, match="belongs to another configuration, other data"):
            quick_run(tiny_scene_root, folder)
        assert results(folder) == before

    def test_the_checkpoint_of_another_configuration_is_left_as_it_is(self, root: Path, tmp_path: Path) -> None:
        quick_run(root, tmp_path)
        before = results(tmp_path)
        with pytest.raises(UserError, match="belongs to another configuration"):
            quick_run(root, tmp_path, "seed=1")
        assert results(tmp_path) == before
        assert read_status(tmp_path).state is RunState.DONE

    def test_the_results_on_another_split_are_left_as_they_are(self, root: Path, tmp_path: Path) -> None:
        quick_run(root, tmp_path)
        before = results(tmp_path)
        with pytest.raises(UserError, match=r"eval\.split: found val, but .* holds results on test"):
            quick_run(root, tmp_path, "eval.split=val")
        assert results(tmp_path) == before
