"""`python runs.py`, as a person calls it on runs that are done."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest
import yaml
from omegaconf import OmegaConf
from PIL import Image

import pointrad
from launcher.runs import main
from pointrad.artifacts.pictures import read_comparison
from pointrad.finished.load import load_run
from pointrad.method import METHOD_VERSION
from pointrad.run.run import run
from tests.commands import Ended, called
from tests.runs import QUICK, config, one_epoch_each, same_cloud
from tests.scenes import write_tiny_scene

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scene(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def trained(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of runs `points`, `gaussians` and `other`, which is points with another seed."""
    folder = tmp_path_factory.mktemp("runs")
    for name, schedule, seed in (("points", "demo", 0), ("other", "demo", 1), ("gaussians", "gaussians_fast", 0)):
        stages = one_epoch_each(schedule)
        run(config(*QUICK, *stages, f"dataset.root={root}", f"seed={seed}", "init.bounds=auto"), folder / name)
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may write into, and which commands are called from."""
    shutil.copytree(trained, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def of_runs(*words: object) -> Ended:
    return called(main, "runs.py", *map(str, words))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


class TestEvaluate:
    @pytest.mark.parametrize("name", ["points", "gaussians"])
    def test_the_split_of_the_run_gets_the_same_scores(self, name: str, runs: Path) -> None:
        done = of_runs("evaluate", runs / name, "eval.lpips=false", "threads=1")
        own, again = (runs / name / "evaluation.json", runs / name / "evaluations" / "test" / "evaluation.json")
        assert done.code == 0, done.err
        assert json.loads(own.read_text()) == json.loads(again.read_text())

    def test_another_split_is_kept_beside_the_runs_own(self, runs: Path) -> None:
        before = (runs / "points" / "summary.json").read_bytes()
        done = of_runs("evaluate", runs / "points", "eval.split=val", "eval.lpips=false", "threads=1")
        folder = runs / "points" / "evaluations" / "val"
        scores = json.loads((folder / "summary.json").read_text())
        assert f"Rendering quality: {scores['psnr_db']:.2f} dB" in done.out
        assert names(folder) == {"summary.json", "evaluation.json", "comparison.png"}
        assert all(view["name"].startswith("val/") for view in json.loads((folder / "evaluation.json").read_text()))
        assert (runs / "points" / "summary.json").read_bytes() == before

    def test_data_that_has_moved_is_found_again(self, root: Path, runs: Path, tmp_path: Path) -> None:
        moved = shutil.copytree(root, tmp_path / "moved")
        values = yaml.safe_load((runs / "points" / "config.yaml").read_text())
        values["dataset"]["root"] = str(tmp_path / "gone")
        (runs / "points" / "config.yaml").write_text(yaml.safe_dump(values))
        gone = of_runs("evaluate", runs / "points", "eval.split=val", "eval.lpips=false")
        assert gone.code == 1
        assert "gone" in gone.err
        found = of_runs("evaluate", runs / "points", "eval.split=val", "eval.lpips=false", f"dataset.root={moved}")
        assert found.code == 0, found.err

    def test_scores_of_other_data_are_not_lost(self, root: Path, runs: Path, tmp_path: Path) -> None:
        words = ("evaluate", runs / "points", "eval.split=val", "eval.lpips=false", "threads=1")
        of_runs(*words)
        folder = runs / "points" / "evaluations" / "val"
        before = (folder / "summary.json").read_bytes()
        other = shutil.copytree(root, tmp_path / "other")
        shutil.copy(other / "tiny" / "val" / "r_0.png", other / "tiny" / "val" / "r_1.png")
        done = of_runs(*words, f"dataset.root={other}")
        assert done.code == 1
        assert f"{folder}: holds scores with content" in done.err
        assert (folder / "summary.json").read_bytes() == before


class TestRender:
    @pytest.mark.parametrize("name", ["points", "gaussians"])
    def test_its_own_cameras_show_what_its_pictures_show(self, name: str, runs: Path) -> None:
        done = of_runs("render", runs / name, f"path={runs / name / 'cameras.json'}", "images=true", "threads=1")
        assert done.code == 0, done.err
        frames = sorted((runs / name / "renders" / "cameras" / "colour").iterdir())
        cameras = json.loads((runs / name / "cameras.json").read_text())["frames"]
        assert len(frames) == len(cameras) == 9
        ((shown, _),) = read_comparison(max((runs / name / "pictures").glob("[1-9]_*.png")), 1)
        first = frames[[frame["split"] for frame in cameras].index("test")]
        assert np.array_equal(np.asarray(shown), np.asarray(Image.open(first)).repeat(6, axis=0).repeat(6, axis=1))

    def test_layers_are_colour_depth_and_opacity(self, runs: Path) -> None:
        words = ("path=spiral", "frames=4", "layers=[colour,depth,opacity]", "images=true", "threads=1")
        done = of_runs("render", runs / "gaussians", *words)
        folder = runs / "gaussians" / "renders" / "spiral"
        assert done.code == 0, done.err
        for layer in ("colour", "depth", "opacity"):
            assert imageio.imread(folder / f"{layer}.mp4", plugin="FFMPEG").shape == (4, 24, 32, 3)
            assert len(list((folder / layer).glob("*.png"))) == 4
        unit = float((folder / "depth" / "depth_unit.txt").read_text())
        depth, opacity = (np.asarray(Image.open(folder / layer / "0000.png"), float) for layer in ("depth", "opacity"))
        assert np.array_equal(depth > 0, opacity >= 127)
        middle = unit * np.median(depth[depth > 0])
        assert 1.5 < middle < 3.5  # the cameras stand 3 from the middle of a ball of radius 0.6

    def test_a_shorter_path_leaves_no_pictures_of_a_longer_one(self, runs: Path) -> None:
        for frames in (3, 2):
            of_runs("render", runs / "points", f"frames={frames}", "images=true", "threads=1")
        assert len(list((runs / "points" / "renders" / "turntable" / "colour").iterdir())) == 2

    def test_the_data_is_not_needed(self, runs: Path) -> None:
        values = yaml.safe_load((runs / "points" / "config.yaml").read_text())
        values["dataset"]["root"] = "gone"
        (runs / "points" / "config.yaml").write_text(yaml.safe_dump(values))
        assert of_runs("render", runs / "points", "frames=2", "threads=1").code == 0

    def test_a_path_of_nerfstudios_viewer_is_followed(self, runs: Path, tmp_path: Path) -> None:
        pose = json.loads((runs / "points" / "cameras.json").read_text())["frames"][0]["transform_matrix"]
        planned = {"camera_to_world": [value for row in pose for value in row], "fov": 40.0, "aspect": 1.5}
        path = tmp_path / "talk.json"
        path.write_text(json.dumps({"render_width": 60, "render_height": 40, "camera_path": [planned, planned]}))
        done = of_runs("render", runs / "points", f"path={path}", "threads=1")
        assert done.code == 0, done.err
        video = imageio.imread(runs / "points" / "renders" / "talk" / "colour.mp4", plugin="FFMPEG")
        assert video.shape == (2, 40, 60, 3)

    def test_a_value_without_effect_is_told(self, runs: Path) -> None:
        done = of_runs("render", runs / "points", "path=spiral", "frames=2", "elevation_degrees=10", "threads=1")
        assert "elevation_degrees: has no effect with path=spiral" in done.err

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ("{", "malformed JSON"),
            ("[]", "found a list; expected frames"),
            ('{"poses": []}', "found poses; expected frames"),
            ('{"camera_path": [], "render_width": 4, "render_height": 4}', "camera_path: found"),
            ('{"frames": [{"file_path": "a", "transform_matrix": [[1]]}]}', "transform_matrix"),
        ],
    )
    def test_a_file_without_cameras_is_refused(self, content: str, told: str, runs: Path, tmp_path: Path) -> None:
        (tmp_path / "path.json").write_text(content)
        done = of_runs("render", runs / "points", f"path={tmp_path / 'path.json'}", "threads=1")
        assert done.code == 1
        assert "path.json" in done.err
        assert told in done.err


class TestCompare:
    def test_the_table_has_what_differs_and_the_difference_to_the_first(self, runs: Path, tmp_path: Path) -> None:
        words = ("compare", runs / "points", runs / "other", f"hydra.run.dir={tmp_path / 'compared'}", "threads=1")
        done = of_runs(*words)
        assert done.code == 0, done.err
        rows = list(csv.DictReader((tmp_path / "compared" / "comparison.csv").open()))
        first, second = (json.loads((runs / name / "summary.json").read_text()) for name in ("points", "other"))
        assert [row["seed"] for row in rows] == ["0", "1"]
        assert float(rows[1]["difference_db"]) == pytest.approx(second["psnr_db"] - first["psnr_db"])
        assert float(rows[0]["psnr_db"]) == pytest.approx(first["psnr_db"])
        assert f"{second['psnr_db'] - first['psnr_db']:+.2f} +- " in done.out
        assert "seed=1" in done.out
        assert max(map(len, done.out.splitlines()[:4])) <= 120
        assert (tmp_path / "compared" / "comparison.png").is_file()

    @pytest.mark.parametrize(
        ("key", "value", "told"),
        [("masks.threshold", "0.4", True), ("dataset.background", "white", True), ("seed", "1", False)],
    )
    def test_runs_that_were_scored_on_other_pictures_are_told(
        self, key: str, value: str, told: bool, runs: Path
    ) -> None:
        path = runs / "other" / "config.yaml"
        path.write_text(
            OmegaConf.to_yaml(OmegaConf.merge(OmegaConf.load(path), OmegaConf.from_dotlist([f"{key}={value}"])))
        )
        done = of_runs("compare", runs / "points", runs / "other", "threads=1")
        assert done.code == 0, done.err
        assert (f"the runs differ in {key}, and so in the pictures that they are scored on" in done.err) is told

    def test_a_split_that_nobody_scored_is_named_with_the_command_that_would(self, runs: Path) -> None:
        done = of_runs("compare", runs / "points", runs / "other", "split=val", "threads=1")
        assert done.code == 1
        assert f"python runs.py evaluate {runs / 'points'} eval.split=val" in done.err

    def test_models_may_differ(self, runs: Path, tmp_path: Path) -> None:
        words = ("compare", runs / "points", runs / "gaussians", f"hydra.run.dir={tmp_path / 'compared'}", "threads=1")
        done = of_runs(*words)
        assert done.code == 0, done.err
        assert "model.name=gaussians" in done.out


class TestRerun:
    def test_a_run_comes_out_the_same(self, runs: Path, tmp_path: Path) -> None:
        done = of_runs("rerun", runs / "points", f"hydra.run.dir={tmp_path / 'again'}")
        assert done.code == 0, done.err
        assert same_cloud(runs / "points", tmp_path / "again")

    def test_values_may_be_changed(self, runs: Path, tmp_path: Path) -> None:
        done = of_runs("rerun", runs / "points", "seed=1", f"hydra.run.dir={tmp_path / 'again'}")
        assert done.code == 0, done.err
        assert same_cloud(runs / "other", tmp_path / "again")

    def test_an_option_of_a_group_stands_in_place_of_the_runs_own(self, root: Path, runs: Path, tmp_path: Path) -> None:
        words = ("init=hull", "init.lattice=40", "scene.kept_share=0.3", f"hydra.run.dir={tmp_path / 'again'}")
        done = of_runs("rerun", runs / "points", *words)
        assert done.code == 0, done.err
        before, after = (load_run(folder).config for folder in (runs / "points", tmp_path / "again"))
        assert after.init == config(*QUICK, "init=hull", "scene.kept_share=0.3", f"dataset.root={root}").init
        assert after.model_copy(update={"init": before.init, "scene": before.scene}) == before

    def test_a_start_that_is_chosen_anew_has_what_the_model_sets(self, runs: Path) -> None:
        done = of_runs("rerun", runs / "gaussians", "init=hull", "--cfg", "job")
        composed = yaml.safe_load(done.out)
        assert composed["init"]["name"] == "hull"
        assert composed["init"]["kept_share"] == {"points": 20000, "of": "hull"}

    @pytest.mark.parametrize(
        ("word", "told"),
        [
            ("sede=1", "did you mean seed?"),
            ("init=hul", "init: found 'hul'; expected one of adaptive, hull, random, soft_hull; did you mean hull?"),
            ("model=gaussians", "model: found another one for a run whose values are written out"),
            ("schedule=gaussians", "model=points has position, colour"),
            ("scene=hotdog", "scene: found another one"),
        ],
    )
    def test_a_wrong_word_is_told(self, word: str, told: str, runs: Path) -> None:
        done = of_runs("rerun", runs / "points", word)
        assert done.code == 1
        assert told in done.err


class TestARunOfAnEarlierVersion:
    def without(self, key: str, run: Path) -> None:
        values = yaml.safe_load((run / "config.yaml").read_text())
        *above, last = key.split(".")
        inner = values
        for name in above:
            inner = inner[name]
        del inner[last]
        (run / "config.yaml").write_text(yaml.safe_dump(values))

    @pytest.mark.parametrize(
        "key", ["plugins", "artifacts.stages", "eval.fps_seconds", "dataset.frames", "repair", "corruption.in_time"]
    )
    def test_lacks_keys_that_change_nothing(self, key: str, runs: Path) -> None:
        self.without(key, runs / "points")
        done = of_runs("render", runs / "points", "frames=2", "threads=1")
        assert done.code == 0, done.err
        assert f"of an earlier version, without {key}; with the values that change nothing" in done.err

    def test_is_repeated_with_todays_values_of_them(self, runs: Path) -> None:
        self.without("artifacts.stages", runs / "points")
        done = of_runs("rerun", runs / "points", "--cfg", "job")
        assert yaml.safe_load(done.out)["artifacts"]["stages"] is False

    @pytest.mark.parametrize("key", ["init.outside_margin", "corruption.seed", "seed"])
    def test_is_refused_where_one_decides_the_result(self, key: str, runs: Path) -> None:
        self.without(key, runs / "points")
        done = of_runs("render", runs / "points", "frames=2", "threads=1")
        assert done.code == 1
        assert f"{key}: missing; expected a value" in done.err
        assert f"trained by pointrad {pointrad.__version__}, method {METHOD_VERSION}; this is pointrad" in done.err


class TestTab:
    @pytest.mark.parametrize(
        ("line", "answer"),
        [
            ("python runs.py re", "render rerun"),
            ("pointrad-runs re", "render rerun"),
            ("python runs.py render runs/points laye", "layers."),
            ("python runs.py rerun runs/points init=h", "init=hull"),
            ("python runs.py rander runs/points x", ""),
        ],
    )
    def test_completes_commands_and_their_keys(
        self, line: str, answer: str, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COMP_LINE", line)
        done = of_runs("-sc", "query=bash")
        assert (done.out.strip(), done.err.strip()) == (answer, "")


class TestWhatIsNoFinishedRun:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["evalaute", "runs/points"], "did you mean evaluate?"),
            (["evaluate"], "found none; expected one run's folder"),
            (["evaluate", "eval.split=val"], "found none; expected one run's folder"),
            (["render", "runs/points", "runs/other"], "expected one run's folder"),
            (["compare", "runs/points"], "expected at least 2 runs' folders"),
            (["render", "runs/nothing"], "runs/nothing: found no config.yaml; expected the folder of a run"),
            (["render", "runs/points", "path=missing.json"], "missing.json: cannot be read"),
            (["render", "runs/points", "layers=[color]"], "layers"),
            (["evaluate", "runs/points", "eval.split=paper"], "eval.split=paper"),
        ],
    )
    def test_it_is_refused_in_a_sentence(self, words: list[str], told: str, runs: Path) -> None:
        done = of_runs(*words)
        assert done.code == 1
        assert told in done.err
        assert "Traceback" not in done.err

    @pytest.mark.parametrize(
        ("lost", "told"),
        [
            ("summary.json", "expected a run that is done"),
            ("checkpoint.pt", "found no checkpoint.pt"),
            ("cameras.json", "a run of an earlier version"),
        ],
    )
    def test_a_file_that_is_missing_is_named(self, lost: str, told: str, runs: Path) -> None:
        (runs / "points" / lost).unlink()
        done = of_runs("render", runs / "points", "frames=2")
        assert done.code == 1
        assert told in done.err

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda frame: frame.pop("fl_x"), "cameras.json: frames.0.fl_x: missing; expected a value"),
            (lambda frame: frame.update(split="trian"), "cameras.json: frames.0.split: found 'trian'"),
            (lambda frame: frame.update(transform_matrix=[[1]]), "cameras.json: frames.0.transform_matrix"),
            (lambda frame: frame["transform_matrix"][0].reverse(), "cameras.json: transform_matrix of"),
        ],
    )
    def test_a_camera_that_was_edited_is_told(
        self, change: Callable[[dict[str, Any]], object], told: str, runs: Path
    ) -> None:
        path = runs / "points" / "cameras.json"
        values = json.loads(path.read_text())
        change(values["frames"][0])
        path.write_text(json.dumps(values))
        done = of_runs("render", runs / "points", "frames=2")
        assert done.code == 1
        assert told in done.err

    def test_help_shows_commands_and_keys(self) -> None:
        assert "rerun" in of_runs("--help").out
        assert "elevation_degrees" in of_runs("render", "--help").out
