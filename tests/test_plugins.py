"""Classes from a user's own files: what docs/plugins.md tells works as it is written, and what is wrong is told."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import pointrad
from launcher.runs import main as runs_main
from launcher.train import main as train_main
from pointrad import plugins
from pointrad.config import RunConfig
from pointrad.init.config import HullConfig
from pointrad.init.hull import hull_votes
from pointrad.init.points import InitialPoints
from pointrad.init.start import TrainingViews, start
from pointrad.run.cache import _votes_key
from tests.commands import called
from tests.runs import CONTENT, QUICK, REPOSITORY, composed, config, same_cloud
from tests.scenes import camera, ring, sphere_view, write_tiny_scene

PAGE = (REPOSITORY / "docs" / "plugins.md").read_text()
COMMANDS = [shlex.split(line)[2:] for line in re.findall(r"^    (python train\.py .*)$", PAGE, re.MULTILINE)]

HEADER = "from typing import Literal\nfrom pointrad.plugins import *\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which one calls commands, with all files of the page."""
    for name, text in re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def striped(*files: str, **changed: Any) -> RunConfig:
    """A configuration that names these files, and has their corruption."""
    values = composed()
    stripes = yaml.safe_load(Path("my_conf/corruption/stripes.yaml").read_text())
    return RunConfig.parse(values | {"plugins": list(files), "corruption": stripes | changed})


def refusal(*files: str, **changed: Any) -> str:
    with pytest.raises(pointrad.UserError) as refused:
        striped(*files, **changed)
    return str(refused.value)


def append(path: str, text: str) -> None:
    Path(path).write_text(Path(path).read_text() + text)


@pytest.mark.usefixtures("files")
class TestAConfiguration:
    def test_has_the_class_that_it_names(self) -> None:
        found = striped("my_plugins.py", every=2).corruption
        assert (type(found).__name__, found.level, found.model_dump()["every"]) == ("Stripes", 0.5, 2)

    def test_has_the_same_class_as_others_that_name_the_file(self) -> None:
        assert striped("my_plugins.py") == striped("my_plugins.py")

    @pytest.mark.parametrize(
        ("named", "changed", "told"),
        [
            (["my_plugins.py"], {"every": 0}, "corruption.every: found 0"),
            (["my_plugins.py"], {"evry": 2}, "corruption.evry: unknown key (value 2); did you mean corruption.every?"),
            ([], {}, "corruption.name: found 'stripes'; expected one of 'none', 'affine'"),
            (["missing.py"], {}, "missing.py cannot be read (No such file or directory)"),
            (["my_plugins.py"] * 2, {}, "found two files called my_plugins.py"),
        ],
    )
    def test_is_as_strict_as_without(self, named: list[str], changed: dict[str, object], told: str) -> None:
        assert told in refusal(*named, **changed)

    def test_has_a_list_of_files(self) -> None:
        with pytest.raises(pointrad.UserError, match=r"found 'a\.py'; expected a list of Python files: plugins=\[FILE"):
            RunConfig.parse(composed() | {"plugins": "a.py"})

    def test_is_read_back_from_its_values(self) -> None:
        found = striped("my_plugins.py")
        assert RunConfig.parse(found.model_dump(mode="json")) == found


@pytest.mark.usefixtures("files")
class TestAFile:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("x = 1", "own.py: found no class with @register; expected at least one"),
            ("import nothing_of_this_name", "own.py, line 3: ModuleNotFoundError: No module named"),
            ("def f(:", "own.py, line 3: SyntaxError"),
            ("@register\nclass A(CustomLossConfig):\n    pass", 'A has no name; expected name: Literal["NAME"]'),
            ("@register\nclass A:\n    pass", "A is of no kind that there is; expected it derived from Corruption"),
            (
                '@register\nclass A(CustomOperationConfig):\n    op: Literal["fade"]',
                "own.py: A: there is operation=fade already; expected another name",
            ),
        ],
    )
    def test_that_is_wrong_is_told(self, text: str, told: str) -> None:
        Path("own.py").write_text(HEADER + text)
        assert told in refusal("own.py")

    def test_may_not_take_the_name_of_another(self) -> None:
        shutil.copy("my_plugins.py", "copy.py")
        append("copy.py", "# another content\n")
        assert "copy.py: Stripes: there is corruption=stripes already" in refusal("my_plugins.py", "copy.py")

    def test_that_is_imported_otherwise_registers_nothing(self, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that its own tests can import it."""
        monkeypatch.syspath_prepend(str(files))
        __import__("my_plugins")
        assert "found 'stripes'" in refusal()


@pytest.mark.usefixtures("files")
class TestAStart:
    def of(self, text: str = "", **changed: Any) -> Any:
        """The page's, after `text` is added to its file."""
        append("my_start.py", text)
        own = {"name": "ball", "bounds": [-1, 1], "points": 50, "radius": 0.5, "kept_share": 0.1}
        return RunConfig.parse(composed() | {"plugins": ["my_start.py"], "init": own | changed}).init

    def placed(self, text: str = "") -> InitialPoints:
        view = sphere_view(camera(ring(1)[0]))
        return start(self.of(text), TrainingViews((view,), (view,), (0, 0, 0)), 1.0, 0, hull_votes).find_points()

    def test_says_where_the_first_points_are(self) -> None:
        found = self.placed()
        np.testing.assert_allclose(np.linalg.norm(found.positions, axis=1), 0.5)
        assert found.colours.shape == (50, 3)
        assert np.array_equal(found.positions, self.placed().positions)

    def test_is_as_strict_as_ours(self) -> None:
        with pytest.raises(pointrad.UserError, match=r"init\.radius: found 2; input should be less than or equal to 1"):
            self.of(radius=2)

    @pytest.mark.parametrize(
        ("method", "told"),
        [
            ("place(self, views, rng): return np.zeros((0, 3))", r"found points of shape \(0, 3\); expected \[N, 3\]"),
            ("place(self, views, rng): return np.full((2, 3), np.nan)", "expected .* all finite, at least one"),
            ("colour(self, views, positions): return positions[0]", r"found colours of shape \(3,\) of 50 points"),
        ],
    )
    def test_that_is_none_is_told(self, method: str, told: str) -> None:
        with pytest.raises(pointrad.UserError, match=told):
            self.placed(f"\n    def {method}\n")


@pytest.mark.usefixtures("files")
class TestAModel:
    def of(self, text: str = "", **changed: Any) -> RunConfig:
        append("my_splats.py", text)
        schedule = yaml.safe_load(Path("my_conf/schedule/of/balls.yaml").read_text())
        own = yaml.safe_load(Path("my_conf/model/balls.yaml").read_text())
        values = {"plugins": ["my_splats.py"], "model": own, "schedule": schedule}
        return RunConfig.parse(composed() | values | changed)

    def test_has_groups_of_its_own_that_rates_go_by(self) -> None:
        assert "exposure" in self.of().model.build().rows
        wrong = yaml.safe_load(Path("my_conf/schedule/of/balls.yaml").read_text())
        del wrong["stages"]["all"]["lr"]["exposure"]
        with pytest.raises(
            pointrad.UserError, match=r"model=balls has position, radius, opacity, base, exposure, harm"
        ):
            self.of(schedule=wrong)

    @pytest.mark.parametrize(
        ("op", "told"),
        [
            ("relocate", "operation relocate works on scale, which model=balls does not have"),
            ("split", "operation split works on rotation, scale, which model=balls does not have"),
        ],
    )
    def test_is_refused_operations_on_what_it_does_not_have(self, op: str, told: str) -> None:
        wrong = yaml.safe_load(Path("my_conf/schedule/of/balls.yaml").read_text())
        (split,) = composed("model=gaussians")["schedule"]["stages"]["grow"]["every"]["ops"]
        keys = {"relocate": {"opacity": 0.01, "growth": 0.1}, "split": split}
        wrong["stages"]["all"]["every"] = {"steps": 9, "ops": [keys[op] | {"op": op}]}
        with pytest.raises(pointrad.UserError, match=told):
            self.of(schedule=wrong)

    def test_with_groups_that_no_model_can_have_is_told(self) -> None:
        with pytest.raises(pointrad.UserError, match=r"Balls\.groups: found position of width None; expected 3"):
            self.of("\n    groups = property(lambda self: ())\n")


@pytest.mark.usefixtures("files")
class TestTheIdentity:
    def test_is_what_it_was_where_there_are_no_plugins(self) -> None:
        assert "plugins" not in config()._trained(CONTENT)

    def test_goes_by_the_files_content_alone(self) -> None:
        first = striped("my_plugins.py").identity(CONTENT)
        shutil.copy("my_plugins.py", "same.py")
        assert striped("same.py").identity(CONTENT) == first
        append("my_plugins.py", "HALF = 0.5\n")
        assert striped("my_plugins.py").identity(CONTENT) != first

    def test_of_a_plan_is_not_computed_with_a_file_that_changed(self) -> None:
        planned = striped("my_plugins.py").model_dump(mode="json")
        append("my_plugins.py", "HALF = 0.5\n")
        with pytest.raises(pointrad.UserError, match=r"my_plugins\.py changed since this configuration was made"):
            RunConfig.parse(planned)

    def test_is_that_of_what_the_cache_keeps(self) -> None:
        first = striped("my_plugins.py").corruption
        append("my_plugins.py", "HALF = 0.5\n")
        other = striped("my_plugins.py").corruption
        init = config("init=hull").init
        assert isinstance(init, HullConfig)
        assert _votes_key("views", 0.0, first, init, ()) != _votes_key("views", 0.0, other, init, ())


@pytest.mark.integration
class TestThePage:
    def words(self, command: list[str], files: Path) -> list[str]:
        """The command's words, on a tiny scene, in its layout."""
        root = write_tiny_scene(files / "scenes")
        if "dataset=table" in command:
            self.write_table(root / "tiny", files / "FOLDER")
            kept = [word for word in QUICK if not word.startswith(("dataset", "scene=", "scene.name"))]
        else:
            kept = [*QUICK, f"dataset.root={root}"]
        if "init=ball" in command:
            kept = [word for word in kept if not word.startswith("init.lattice")]
        return [*command, *kept, "eval.lpips=false", "hydra.run.dir=run"]

    def write_table(self, scene: Path, folder: Path) -> None:
        folder.mkdir()
        rows = []
        for n, pose in enumerate(ring(6)):
            shutil.copy(scene / "train" / f"r_{n}.png", folder / f"{n}.png")
            rows.append(",".join([f"{n}.png", "44.5", *map(str, pose.ravel())]))
        (folder / "poses.csv").write_text("\n".join(rows) + "\n")

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[2])
    def test_trains_with_its_commands(self, command: list[str], files: Path) -> None:
        done = called(train_main, "train.py", *self.words(command, files))
        assert done.code == 0, done.err
        assert len(pointrad.load_run(files / "run").cloud) > 0

    def test_a_run_is_looked_at_and_repeated_with_the_files_it_had(self, files: Path) -> None:
        assert called(train_main, "train.py", *self.words(COMMANDS[0], files)).code == 0
        (files / "my_plugins.py").write_text("raise ValueError")
        assert pointrad.load_run(files / "run").config.corruption.level == 0.5
        done = called(runs_main, "runs.py", "rerun", "run", "hydra.run.dir=again")
        assert done.code == 0, done.err
        assert same_cloud(files / "run", files / "again")

    def test_its_stripes_miss_rows(self, files: Path) -> None:
        (view, *_) = pointrad.load_scene(config().capture, "test").train
        spoilt = striped("my_plugins.py", level=1, every=2).corruption.corrupt(view, np.random.default_rng(0))
        assert spoilt.mask[::2].max() == 0
        assert np.array_equal(spoilt.mask[1::2], view.mask[1::2])


def test_the_page_names_what_there_is_to_derive_from() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE.split("## What there is to derive from")[1].split("## A layout")[0]))
    assert set(plugins.__all__) - {"register", "Layout"} <= named
