"""A moving scene, trained frame by frame: a sphere that shrinks, in three frames."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointrad.errors import UserError
from pointrad.model.base import Cloud
from pointrad.model.points import POINTS
from pointrad.run.frames import Frame
from pointrad.run.run import RunResult, run
from pointrad.run.sequence import Sequel
from pointrad.run.status import RunState, read_status
from pointrad.run.stored import StoredSequence
from pointrad.training.checkpoint import Checkpoint
from pointrad.training.lineage import ORIGIN
from pointrad.training.preemption import Preempted
from pointrad.training.trainer import train
from tests.data.captures import COUNT, FRAMES, HELD_OUT, write_panoptic
from tests.run.test_run import stop_at_step
from tests.runs import config, one_epoch_each, quick
from tests.scenes import write_tiny_scene

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_panoptic(tmp_path_factory.mktemp("moving"))


def sequence_run(root: Path, folder: Path, *overrides: str, schedule: str = "sequence") -> RunResult:
    quickly = (
        *one_epoch_each(schedule),
        "schedule.next.slack=0",
        *(f"schedule.next.stages.{name}.epochs=1" for name in ("catch_up", "settle")),
    )
    return run(config(*quick("dataset=panoptic", f"dataset.root={root}", *quickly, *overrides)), folder)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "frames.jsonl").read_text().splitlines()]


def files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "sequence").iterdir())]


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    sequence_run(root, folder, "artifacts.turntable.frames=4", "artifacts.sequence.ply=true")
    return folder


def test_every_frame_is_scored_and_stored(whole: Path) -> None:
    assert read_status(whole).state is RunState.DONE
    assert [record["frame"] for record in records(whole)] == list(range(FRAMES))
    summary = json.loads((whole / "summary.json").read_text())
    assert (summary["frames"], summary["points"]) == (FRAMES, records(whole)[-1]["points"])
    assert summary["psnr_object_db"] == pytest.approx(np.mean([one["psnr_object_db"] for one in records(whole)]))
    assert summary["model_mb"] == pytest.approx(sum(map(len, files(whole))) / 2**20)
    for made in ("beside_truth.mp4", "through_time.mp4", "ply/0002.ply"):
        assert (whole / made).is_file()


def test_points_go_where_the_hull_shrinks(whole: Path) -> None:
    assert all(record["gone"] > 0 for record in records(whole)[1:])


@pytest.mark.parametrize("schedule", ["sequence", "sequence_gaussians"])
@pytest.mark.parametrize("start", ["before", "scratch"])
def test_each_model_follows_or_begins_anew(schedule: str, start: str, root: Path, tmp_path: Path) -> None:
    result = sequence_run(root, tmp_path, f"schedule.next.start={start}", schedule=schedule)
    assert (result.status, result.frames) == ("done", FRAMES)


@pytest.mark.parametrize(
    "words", [(), ("schedule.next.motion=0.5", "schedule.next.still=null")], ids=["default", "motion"]
)
def test_what_is_stored_is_what_was_scored(
    words: tuple[str, ...], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read back from the files, each frame has the scores that it had."""
    sequence_run(root, tmp_path, *words)
    expected = [record["psnr_db"] for record in records(tmp_path)]
    jobs = []
    monkeypatch.setattr(Sequel, "follow", lambda sequel: jobs.append(sequel) or iter(()))
    sequence_run(root, tmp_path, *words)
    (sequel,) = jobs
    for number, cloud in enumerate(sequel.stored.clouds()):
        sequel.cloud = cloud
        assert sequel._evaluate(Frame(sequel.job, number, None)).means.psnr_db == expected[number]


def test_views_know_what_of_the_cloud_before_is_outside_their_pictures(
    root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / "summary.json").unlink()
    jobs = []
    monkeypatch.setattr(Sequel, "follow", lambda sequel: jobs.append(sequel) or iter(()))
    sequence_run(root, folder)
    (sequel,) = jobs
    beside = sequel.first.changed(position=sequel.first["position"] + 10)
    for earlier, leaves in ((None, False), (sequel.first, False), (beside, True)):
        assert all(view.leaves == leaves for view in Frame(sequel.job, 1, earlier).train)


@pytest.mark.parametrize("frame", [1, 2])
def test_a_run_killed_after_a_frame_goes_on_to_the_same_bits(
    frame: int, root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pointrad.run.sequence.Frame", failing_at(frame))
        with pytest.raises(KeyboardInterrupt):
            sequence_run(root, tmp_path)
    assert len(records(tmp_path)) == frame
    sequence_run(root, tmp_path)
    assert files(tmp_path) == files(whole)


@pytest.mark.parametrize("damage", ["half a line", "a frame missing"])
def test_frames_that_frames_jsonl_does_not_hold_whole_are_trained_anew(
    damage: str, root: Path, whole: Path, tmp_path: Path
) -> None:
    """Else a frame would be taken for the one before it."""
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    first, second, third = (folder / "frames.jsonl").read_text().splitlines(keepends=True)
    left = {"half a line": first + second[:90] + third, "a frame missing": first + third}
    (folder / "frames.jsonl").write_text(left[damage])
    (folder / "summary.json").unlink()
    sequence_run(root, folder)
    assert [record["frame"] for record in records(folder)] == list(range(FRAMES))
    assert [record["psnr_db"] for record in records(folder)] == [record["psnr_db"] for record in records(whole)]
    assert files(folder) == files(whole)


def test_what_is_wrong_with_a_later_frame_names_it_and_its_key(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^frame 1: schedule\.next\.stages\.catch_up\.downscale: found 25, more than"):
        sequence_run(root, tmp_path, "schedule.next.stages.catch_up.downscale=25")


def test_targets_are_as_coarse_as_those_of_the_coarsest_frame(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short_of_memory(state: Checkpoint, *words: Any) -> Cloud:
        cloud = train(state, *words)
        state.facts["target_bits"] = 8
        return cloud

    monkeypatch.setattr("pointrad.run.frames.train", short_of_memory)
    assert sequence_run(root, tmp_path, "dataset.frames=0:2").target_bits == 8


def test_what_few_views_see_is_stored_larger_than_it_was_trained(root: Path, tmp_path: Path) -> None:
    """From frame to frame it does not become larger, as it goes on training as it was."""
    words = ("dataset.frames=0:2", "schedule.next.stages.catch_up.lr.scale=0", "schedule.next.stages.settle.lr.scale=0")
    for name, share in (("as trained", 0), ("larger", 0.5)):
        sequence_run(root, tmp_path / name, f"schedule.next.widen={share}", *words, schedule="sequence_gaussians")
    model = config("model=gaussians", "model.sh_degree=1").model.build()
    sizes = {
        name: [float(cloud["scale"].exp().mean()) for cloud in StoredSequence.of(tmp_path / name, model).clouds()]
        for name in ("as trained", "larger")
    }
    first, second = (larger / trained for trained, larger in zip(*sizes.values(), strict=True))
    assert 1.02 < first < 1.5
    assert second == pytest.approx(first, rel=0.1)


def test_points_have_no_sizes_to_widen() -> None:
    with pytest.raises(UserError, match=r"^schedule\.next\.widen: found 0\.5; model=points has no sizes, expected 0"):
        config("schedule=sequence", "dataset=demo_moving", "schedule.next.widen=0.5")


@pytest.mark.parametrize("word", ["~schedule.next.steps.base", "+schedule.next.steps.bases=1"])
def test_each_group_is_stored_in_steps_and_no_other(word: str) -> None:
    with pytest.raises(
        UserError, match=r"^schedule\.next\.steps: found .*; model=points has position, base, harmonics"
    ):
        config("schedule=sequence", "dataset=demo_moving", word)


def failing_at(frame: int) -> type[Frame]:
    class Failing(Frame):
        def __init__(self, job: Any, number: int, earlier: Cloud | None) -> None:
            if number == frame:
                raise KeyboardInterrupt
            super().__init__(job, number, earlier)

    return Failing


def test_a_run_told_to_stop_within_a_frame_begins_it_anew(
    root: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pointrad.run.frames.raise_if_told", stop_at_step(3))
        with pytest.raises(Preempted):
            sequence_run(root, tmp_path)
    sequence_run(root, tmp_path)
    assert files(tmp_path) == files(whole)


def test_splats_that_show_nothing_that_changes_stay_as_they_are(root: Path, tmp_path: Path) -> None:
    sequence_run(root, tmp_path, "schedule.next.still={change:1,around:0,share:0,together:0}")
    first, second, _ = StoredSequence.of(tmp_path, POINTS).clouds()
    origin = second.state[ORIGIN]
    same = (first.parameters[:, origin - 1] == second.parameters).all(dim=0)
    assert same.float().mean() > 0.5
    assert records(tmp_path)[1]["still"] == pytest.approx(float(same.float().mean()), abs=0.01)


def test_a_scene_that_stands_still_is_refused(tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path / "scenes")
    with pytest.raises(UserError, match=r"^schedule: found sequence, for a scene that moves, .* shows one instant"):
        run(config(*quick("schedule=sequence", f"dataset.root={root}")), tmp_path / "run")


def test_every_frame_is_part_of_the_identity(root: Path, whole: Path, tmp_path: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    other = sequence_run(root, tmp_path, "dataset.frames=0:2")
    assert other.identity != summary["identity"]


def test_masks_of_every_frame_are_put_right_by_its_own_cloud(root: Path, tmp_path: Path) -> None:
    wrong = ("corruption=holes", "corruption.level=0.3", "corruption.in_time=flicker")
    result = sequence_run(root, tmp_path, "artifacts.repaired_masks=true", *wrong, schedule="sequence_gaussians")
    folder = tmp_path / "masks_repaired"
    masks = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert masks == {f"{n}/{frame:06}.png" for n in range(COUNT) for frame in range(FRAMES)}
    ranked = (tmp_path / "masks.csv").read_text().splitlines()[1:]
    assert len(ranked) == FRAMES * (COUNT - len(HELD_OUT))
    assert result.repaired_iou is not None
    assert result.repaired_iou > result.mask_iou


@pytest.mark.parametrize("words", [("artifacts.repaired_masks=true",), ()])
def test_what_borrows_photographs_of_other_instants_puts_no_masks_right(words: tuple[str, ...]) -> None:
    moving = config("schedule=sequence", "dataset=demo_moving", *ONE_VIEW, *words)
    assert not moving.repairs_masks
    assert moving.idle()["artifacts.repaired_masks"] == "schedule.next.window=1"


ONE_VIEW = ("schedule.next.window=1", "schedule.next.still=null")


def test_frames_of_one_view_an_instant_are_trained_on_their_neighbours_too(tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path / "scenes")
    for split in ("train", "test"):
        file = root / "tiny" / f"transforms_{split}.json"
        said = json.loads(file.read_text())
        times = np.linspace(0, 1, len(said["frames"]))
        frames = [frame | {"time": time} for frame, time in zip(said["frames"], times, strict=True)]
        file.write_text(json.dumps(said | {"frames": frames}))
    sequence_run(root, tmp_path / "run", "dataset=blender", "dataset.frames=0:3", *ONE_VIEW)
    scored = [len(record["views"]) for record in records(tmp_path / "run")]
    assert scored == [1, 0, 1]


def test_a_window_is_refused_where_an_instant_has_several_views(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^schedule\.next\.window: found 1, and 7 views of an instant; expected 0"):
        sequence_run(root, tmp_path, *ONE_VIEW)
