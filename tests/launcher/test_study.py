"""How settings and command lines become Hydra's overrides, and a study's scenes its runs."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.queue import Job, note_job
from launcher.study import Sweep, override, run_config
from pointrad.errors import UserError
from pointrad.files import write_json
from pointrad.run.status import RunState, read_status, recording
from pointrad.study.plan import Plan
from pointrad.tracking.config import WandbTrackerConfig
from tests.data.captures import write_colmap
from tests.runs import REPOSITORY
from tests.scenes import write_tiny_scene
from tests.study.studies import plan

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="ascii", exclude_characters="\\$"), max_size=20),
    st.sampled_from(["TRUE", "False", "null", "NaN", "inf"]),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.one_of(SCALARS, st.lists(SCALARS, max_size=3)))
def test_hydra_reads_an_override_as_the_value_it_was_made_of(value: Any) -> None:
    found = OverridesParser.create().parse_override(override("+anything", value)).value()
    assert found == value
    assert type(found) is type(value) or isinstance(value, list)


@pytest.mark.parametrize(
    ("tracker", "variable", "group"),
    [([], "", "smoke"), ([], "ours", "ours"), (["tracker.group=mine"], "ours", "mine")],
)
def test_w_and_b_groups_a_studys_runs_by_its_name_unless_told_otherwise(
    tracker: list[str], variable: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_RUN_GROUP", variable)
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        config = run_config(compose("sweep", ["study=smoke", "tracker=wandb", *tracker]))
    assert isinstance(config.tracker, WandbTrackerConfig)
    assert config.tracker.group == group


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no `outputs` of an earlier command are."""
    monkeypatch.chdir(tmp_path)


def sweep(*arguments: str) -> int:
    """The exit code of the smallest study's four runs, in this process."""
    words = ["study=smoke", "study.seeds={seed:[0],corruption.seed:[0]}", *arguments]
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        composed = loader.load_configuration("sweep", words, RunMode.MULTIRUN)
        return Sweep(HydraContext(loader, Callbacks()), lambda _: None, composed).run(words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["action=cancel", "dry_run=true"],
            "dry_run: found true with cancel; expected it only where runs are launched",
        ),
        (["runs_per_job=2"], "runs_per_job: found 2 with hydra/launcher=basic; expected a launcher that submits to"),
        (
            ["rounds=1", "dry_run=true"],
            "rounds: found 1 with hydra/launcher=basic; expected a launcher that submits to",
        ),
        (["detach=true"], "detach: found true with hydra/launcher=basic; expected a launcher that submits to SLURM"),
        (
            ["hydra/launcher=slurm", "hydra.launcher.submitit_folder=logs"],
            "hydra.launcher.submitit_folder: has no effect on a study's jobs",
        ),
    ],
)
def test_what_would_have_no_effect_is_refused(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        sweep(f"study.dir={tmp_path / 'study'}", *words)
    assert not (tmp_path / "study").exists()


class Launcher:
    """Finishes so many runs, then meets with what is to happen."""

    def __init__(self, folder: Path, finishes: int, happens: Callable[[], list[JobReturn]] = list) -> None:
        self.folder, self.finishes, self.happens = folder, finishes, happens

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
        for run in Plan.read(self.folder).distinct()[: self.finishes]:
            with recording(self.folder / run.folder, 9):
                numbers = {"psnr_db": 20.0, "model_mb": 1.0, "train_seconds": 1.0}
                write_json(self.folder / run.folder / "summary.json", {"identity": run.identity, **numbers})
        return self.happens()


def a_worker_dies() -> list[JobReturn]:
    raise RuntimeError("A worker process was unexpectedly terminated")


def the_disk_is_full() -> list[JobReturn]:
    full = OSError(errno.ENOSPC, "No space left on device", "run.log")
    return [JobReturn(status=JobStatus.FAILED, _return_value=full)] * 3


@pytest.mark.integration  # Hydra starts the studies
class TestExitCode:
    """`sweep.py ... && next` goes on only if every run is done and the report is written."""

    @pytest.fixture
    def reported(self, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
        """The studies whose reports have been brought up to date."""
        plans: list[Plan] = []

        def write(plan: Plan) -> Path | None:
            plans.append(plan)
            states = [read_status(plan.run_dir(run)).state for run in plan.distinct()]
            return Path("report.html") if RunState.DONE in states else None

        monkeypatch.setattr("launcher.study.bring_report_up_to_date", write)
        return plans

    def launched(self, monkeypatch: pytest.MonkeyPatch, launcher: Launcher, *arguments: str) -> int:
        monkeypatch.setattr(Plugins, "instantiate_launcher", lambda *_, **__: launcher)
        return sweep(f"study.dir={launcher.folder}", "reuse=[]", *arguments)

    def test_is_0_once_all_is_done(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reported: list[Plan]) -> None:
        assert self.launched(monkeypatch, Launcher(tmp_path, 4)) == 0
        assert len(reported) == 1

    @pytest.mark.parametrize(
        ("finishes", "happens", "told"),
        [
            (0, list, ""),
            (3, list, ""),
            (2, a_worker_dies, "Error: the launcher ended early: RuntimeError: A worker process was unexpectedly term"),
            (1, the_disk_is_full, "OSError: [Errno 28] No space left on device: 'run.log'"),
        ],
        ids=["none is begun", "one is missing", "a worker dies", "the disk is full"],
    )
    def test_is_1_where_runs_are_missing(
        self,
        finishes: int,
        happens: Callable[[], list[JobReturn]],
        told: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        reported: list[Plan],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.launched(monkeypatch, Launcher(tmp_path, finishes, happens)) == 1
        assert capsys.readouterr().err.count(told) == 1 or not told
        assert sweep("action=status", f"study.dir={tmp_path}") == 1

    def test_a_report_that_fails_is_no_success(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(plan: Plan) -> Path:
            raise PermissionError(errno.EACCES, "Permission denied", str(plan.study.dir / "report"))

        monkeypatch.setattr("launcher.study.bring_report_up_to_date", fail)
        with pytest.raises(UserError, match=r"report: cannot be written \(Permission denied\)"):
            self.launched(monkeypatch, Launcher(tmp_path, 4))


class TestKeysWithoutEffect:
    def test_those_of_all_runs_are_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Given on the command line, by an axis and by the seeds."""
        varied = ["study.axes.level={corruption.level:[0]}", "+study.seeds={model.darkening:[0.1]}"]
        sweep("artifacts.turntable.fps=3", *varied, "dry_run=true")
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Warning:")]
        assert said == [
            "Warning: artifacts.turntable.fps: has no effect with artifacts.turntable.frames=0 in any run of the study",
            "Warning: corruption.seed: has no effect with corruption.level=0 in any run of the study",
            "Warning: model.darkening: has no effect with init=hull in any run of the study",
        ]

    def test_nothing_is_said_of_one_that_counts_in_some_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        sweep("dry_run=true")  # corruption.seed at one of two levels
        assert "no effect" not in capsys.readouterr().err

    def test_who_looks_after_a_study_hears_that_its_runs_are_as_launched(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        plan(tmp_path / "study", tmp_path).write()
        sweep("action=status", f"study.dir={tmp_path / 'study'}", "init.lattice=3")
        assert "init.lattice: no effect with status, which looks after the study as it was launched" in (
            capsys.readouterr().err.replace("\n", " ")
        )


def test_status_works_while_the_controller_is_down_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(tmp_path / "study", tmp_path)
    planned.write()
    note_job(planned.study.dir, Job("7", (planned.runs[0].folder,), "log"))
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\necho Unable to contact slurm controller >&2; exit 1\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent))
    monkeypatch.setattr("launcher.queue.sleep", lambda _: None)
    assert sweep("action=status", f"study.dir={planned.study.dir}") == 1
    told = capsys.readouterr().out
    assert "Unable to contact slurm controller. What follows is told from the run folders alone." in told
    assert "4 runs, 4 of them distinct: 4 missing" in told


@pytest.mark.integration  # Hydra composes them
class TestScenes:
    """Which scenes a study has, and by which names they go."""

    def planned(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
        """What a dry run of the smallest study says."""
        sweep(*arguments, "dry_run=true")
        return capsys.readouterr().out

    @pytest.fixture
    def own(self, tmp_path: Path) -> tuple[str, str]:
        """Two scenes without files in conf/scene."""
        for name in ("chairs", "tables"):
            root = write_tiny_scene(tmp_path, {"train": 1, "val": 1, "test": 1}, name=name)
        return "dataset=blender", f"dataset.root={root}"

    @pytest.mark.parametrize("scenes", ["all", "[chairs,tables]"])
    def test_own_ones_need_no_file_and_go_by_their_own_names(
        self, scenes: str, own: tuple[str, str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = self.planned(capsys, *own, f"study.scenes={scenes}", "scene.kept_share=0.2")
        assert told.count("│ chairs level=") == told.count("│ tables level=") == 4
        assert "8 runs, 8 of them distinct" in told
        assert "Not in conf/scene: chairs, tables; what scene.* does not set is as of scene=auto" in told

    def test_all_are_those_of_the_datasets_layout(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_colmap(tmp_path / "cup")
        (tmp_path / "notes").mkdir()
        told = self.planned(capsys, "dataset=colmap", f"dataset.root={tmp_path}", "study.scenes=all")
        assert told.count("│ cup level=") == 4
        with pytest.raises(UserError, match=r"dataset\.root: found no scene in .*/notes"):
            self.planned(capsys, "dataset=colmap", f"dataset.root={tmp_path}/notes", "study.scenes=all")
        with pytest.raises(UserError, match=r"study\.scenes: found all, but dataset=demo has no dataset"):
            self.planned(capsys, "study.scenes=all")

    def test_one_may_be_named_for_all_runs(self, own: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        told = self.planned(capsys, *own, "scene.name=tables")  # study.scenes is [demo]
        assert told.count("│ tables level=") == 4
        assert "│ demo level=" not in told

    def test_one_name_for_several_is_refused(self, own: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(UserError, match=r"scene\.name: found 'x' for study\.scenes chairs and tables"):
            self.planned(capsys, *own, "study.scenes=all", "scene.name=x")

    def test_one_that_is_nowhere_is_refused(self, own: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(
            UserError, match=r"study\.scenes: found 'table', .* nor in dataset\.root .*expected auto, chair, "
        ):
            self.planned(capsys, *own, "study.scenes=[chairs,table]")
        with pytest.raises(UserError, match=r"study\.scenes: found 'chairs', .* nor in dataset=demo"):
            self.planned(capsys, "study.scenes=[chairs]")
