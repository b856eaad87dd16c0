"""Training again from repaired masks: which round counts, what it trains on, and what a kill leaves of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pointrad.config import RunConfig
from pointrad.data.scene import Float32Array, View
from pointrad.errors import UserError
from pointrad.finished.load import load_run
from pointrad.init.config import AnyInitConfig
from pointrad.init.start import Start, TrainingViews, start
from pointrad.masks.iou import Mask
from pointrad.repair.again import agreed_on, with_repaired_mask
from pointrad.repair.decision import Repaired
from pointrad.repair.put_right import PutRight
from pointrad.repair.rounds import Fit, Rounds, best_cloud, better_rounds
from pointrad.repair.subjects import Subject
from pointrad.run.run import run
from pointrad.tracking.history import round_folder
from tests.runs import CONTENT, config, quick, same_cloud, stopped_after
from tests.scenes import camera, ring, sphere_view, write_tiny_scene

BLACK = (0.0, 0.0, 0.0)
PHOTOGRAPH = np.full((24, 32, 3), 0.5, np.float32)


def better(asked: int, *agreement: float) -> tuple[list[int], tuple[float, ...]]:
    """The numbers of the rounds that are better, of rounds that agree so well."""
    return better_rounds(asked, 1, lambda before, number: before + 1, lambda number: agreement[number - 1])


class TestWhichRoundsAreBetter:
    def test_those_that_agree_better_than_the_one_before(self) -> None:
        assert better(3, 0.7, 0.8, 0.9) == ([1, 2, 3], (0.7, 0.8, 0.9))

    @pytest.mark.parametrize("second", [0.7, 0.6])
    def test_where_one_does_not_help_none_follows(self, second: float) -> None:
        assert better(3, 0.7, second, 0.9) == ([1], (0.7, second))

    def test_it_is_said_which_and_why(self) -> None:
        assert Rounds(2, 2, 1, (0.7, 0.8)).said == (
            "Masks are those of round 2 of 2, which agree with its cloud by 0.8000, before by 0.7000; "
            "the cloud is that of round 1"
        )
        assert "agree with its cloud by 0.7000, after it by 0.6000;" in Rounds(3, 1, 1, (0.7, 0.6)).said


class TestWhoseCloudCounts:
    FIRST = Fit(30, 25)

    def test_the_first_where_a_later_one_is_hardly_better(self) -> None:
        assert best_cloud([self.FIRST, Fit(30.2, 25.2)]) == 1

    def test_the_first_where_a_later_one_is_better_in_the_object_alone(self) -> None:
        assert best_cloud([self.FIRST, Fit(29.9, 27)]) == 1

    def test_a_later_one_that_is_clearly_better_in_both(self) -> None:
        assert best_cloud([self.FIRST, Fit(29.9, 27), Fit(31, 27)]) == 3


def left_of(mask: Mask, beside: float = 0.0) -> Float32Array:
    return np.where(mask[..., None], PHOTOGRAPH, np.float32(beside))


def columns(first: int, last: int) -> Mask:
    found = np.zeros((24, 32), bool)
    found[:, first:last] = True
    return found


GIVEN, REPAIRED = columns(5, 20), columns(10, 25)
VIEW = replace(sphere_view(camera(ring(1)[0])), image=left_of(GIVEN), mask=GIVEN.astype(np.float32))


def put_right(known: Float32Array | None, given: Mask | None = GIVEN) -> PutRight:
    """The mask REPAIRED of a photograph. known: of it, None for all."""
    subject = Subject(None, VIEW.camera, given, image=known)  # type: ignore[arg-type]
    changed = np.ones_like(GIVEN) if given is None else given ^ REPAIRED
    photograph = PHOTOGRAPH if known is None else known
    return PutRight(subject, None, None, given, photograph, REPAIRED,  # type: ignore[arg-type]
                    Repaired(REPAIRED.astype(np.float32), changed))  # fmt: skip


def again(known: Float32Array | None, given: Mask | None = GIVEN, composited: bool = True, view: View = VIEW) -> View:
    """The view with the mask REPAIRED."""
    return with_repaired_mask(view, put_right(known, given), composited, BLACK)


class TestWhatTheNextTrainsOn:
    def test_the_mask_is_the_repaired_one(self) -> None:
        assert np.array_equal(again(None).mask, REPAIRED)

    def test_the_image_is_what_it_leaves_of_the_photograph(self) -> None:
        found = again(None)
        assert np.array_equal(found.image, left_of(REPAIRED))
        assert found.weight is None

    def test_what_it_and_its_outline_add_of_a_photograph_that_is_not_known_counts_nowhere(self) -> None:
        found = again(left_of(GIVEN))
        assert found.weight is not None
        assert np.array_equal(found.weight == 0, columns(20, 27))

    def test_what_lies_beside_it_in_a_cut_image_is_cut_off_and_its_outline_is_not(self) -> None:
        assert np.array_equal(again(left_of(GIVEN)).image, left_of(columns(8, 20)))

    def test_images_that_no_wrong_mask_has_cut_stay_as_they_are(self) -> None:
        assert np.array_equal(again(VIEW.image, composited=False).image, VIEW.image)

    def test_a_view_that_had_no_mask_is_what_its_first_one_leaves(self) -> None:
        assert np.array_equal(again(None, given=None).image, left_of(REPAIRED))

    def test_soft_edges_of_what_stays_as_it_was_stay_soft(self) -> None:
        soft = VIEW.image.copy()
        soft[:, 15] = 0.25
        assert np.array_equal(again(None, view=replace(VIEW, image=soft)).image[:, 15], soft[:, 15])


class TestWhatCloudsAreJudgedBy:
    def test_pixels_on_which_the_masks_do_not_agree_count_nowhere(self) -> None:
        found = agreed_on(VIEW, put_right(None))
        assert found is not None
        assert found.weight is not None
        assert np.array_equal(found.weight == 0, columns(5, 10) | columns(20, 25))
        assert np.array_equal(found.mask, REPAIRED)

    def test_a_view_that_had_no_mask_or_an_inverted_one_is_none_of_it(self) -> None:
        assert agreed_on(VIEW, put_right(None, given=None)) is None
        assert agreed_on(VIEW, put_right(None, given=~REPAIRED)) is None


ROUNDS = ("repair.rounds=2", "corruption.level=0.2", "corruption.targets=masked", "artifacts.repaired_masks=true")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scene(tmp_path_factory.mktemp("scenes"), {"train": 10, "test": 2}, 64, 48)


@pytest.fixture(scope="module")
def asked() -> list[TrainingViews]:
    """What rounds of the run `done` start from, after the first."""
    return []


@pytest.fixture(scope="module")
def done(root: Path, asked: list[TrainingViews], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two rounds."""
    folder = tmp_path_factory.mktemp("run")

    def asking(config: AnyInitConfig, views: TrainingViews, *others: Any) -> Start:
        asked.append(views)
        return start(config, views, *others)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("pointrad.run.run.start", asking)
        run(of_two(root), folder)
    return folder


def of_two(root: Path, *overrides: str) -> RunConfig:
    epochs = [f"schedule.stages.{stage}.epochs=3" for stage in ("coarse", "half", "grow", "settle")]
    return config(*quick("schedule=gaussians_fast", *epochs, *ROUNDS, *overrides, f"dataset.root={root}"))


def summary(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


@pytest.mark.integration
class TestOfARun:
    def test_its_masks_are_of_the_round_that_agrees_better(self, done: Path) -> None:
        found = summary(done)
        agreement = found["agreement_by_round"]
        assert len(agreement) == 2
        assert found["round_of_masks"] == 1 + (agreement[1] > agreement[0])

    def test_its_results_are_of_the_round_whose_cloud_counts(self, done: Path) -> None:
        found = summary(done)
        assert found["points"] == len(load_run(done).cloud)
        assert same_cloud(round_folder(done, found["round"]), done) == (found["round"] == 1)

    def test_its_second_round_asks_masks_alone_since_images_are_cut(
        self, done: Path, asked: list[TrainingViews]
    ) -> None:
        assert [views.masks_alone for views in asked] == [True]

    def test_its_page_says_which_and_why(self, done: Path) -> None:
        found = summary(done)
        page = (done / "masks.html").read_text()
        assert f"Masks are those of round {found['round_of_masks']} of 2" in page
        assert f"the cloud is that of round {found['round']}" in page

    def test_its_first_round_is_a_run_of_one(self, root: Path, done: Path, tmp_path: Path) -> None:
        run(of_two(root, "repair.rounds=1"), tmp_path)
        assert same_cloud(tmp_path, done)
        assert (summary(tmp_path)["round"], summary(tmp_path)["agreement_by_round"]) == (1, [])

    def test_a_run_of_one_goes_on_with_the_second(self, root: Path, done: Path, tmp_path: Path) -> None:
        run(of_two(root, "repair.rounds=1"), tmp_path)
        run(of_two(root), tmp_path)
        assert same_cloud(tmp_path / "rounds/2", done / "rounds/2")

    @pytest.mark.parametrize("steps", [7, 125, 190])
    def test_killed_in_any_round_it_ends_the_same(
        self, steps: int, root: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("pointrad.run.run.raise_if_told", stopped_after(steps))
            with pytest.raises(KeyboardInterrupt):
                run(of_two(root), tmp_path)
        run(of_two(root), tmp_path)
        assert same_cloud(tmp_path / "rounds/2", done / "rounds/2")
        assert (tmp_path / "masks.csv").read_text() == (done / "masks.csv").read_text()
        assert {key: value for key, value in summary(tmp_path).items() if key not in MEASURED} == {
            key: value for key, value in summary(done).items() if key not in MEASURED
        }


MEASURED = ("train_seconds", "render_fps", "peak_memory_mb")


class TestOfAConfiguration:
    def test_frames_of_a_scene_that_moves_are_trained_once(self) -> None:
        with pytest.raises(UserError, match=r"repair\.rounds: found 2 with schedule=sequence_gaussians.*expected 1"):
            config("schedule=sequence_gaussians", "repair.rounds=2")

    def test_more_rounds_are_another_result_whose_first_cloud_is_the_same(self) -> None:
        one, two = config("repair.rounds=1"), config("repair.rounds=2")
        assert one.identity(CONTENT) != two.identity(CONTENT)
        assert one.training_identity(CONTENT) == two.training_identity(CONTENT) != two.training_identity(CONTENT, 2)

    def test_without_masks_there_is_nothing_to_train_on_again(self) -> None:
        with pytest.raises(UserError, match=r"repair\.rounds: found 2 with masks=none.*expected 1"):
            config("masks=none", "init=random", "corruption=none", "repair.rounds=2")
