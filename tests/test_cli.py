"""`python train.py`, as a person calls it."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.train import main
from pointrad.artifacts.pictures import read_comparison
from pointrad.run.run import run
from pointrad.run.status import RunState, read_status
from tests.commands import called
from tests.runs import ALL_ARTIFACTS, QUICK, REPOSITORY, config, one_epoch_each, same_cloud, stopped_after
from tests.scenes import TINY_VIEWS, turned_and_sized, write_tiny_scene

pytestmark = pytest.mark.integration

PUBLISHED_LINES = (
    r"Training time: \d+\.\d\d s\n"
    r"Rendering quality: \d+\.\d\d dB\n"
    r"Rendering speed: \d+\.\d\d fps\n"
    r"Model size: \d+\.\d\d MB\n"
)
QUICK_DEMO = [*QUICK, *one_epoch_each("demo")]


@dataclass(frozen=True)
class Ended:
    """What a command left."""

    folder: Path
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_scene(tmp_path_factory.mktemp("scenes"))


def started(*arguments: str, prepare: Callable[[], None] = lambda: None) -> subprocess.Popen[str]:
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    environment.pop("HYDRA_FULL_ERROR", None)
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments], cwd=REPOSITORY, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: (_hears_ctrl_c(), prepare()),
    )  # fmt: skip


def _hears_ctrl_c() -> None:
    """A shell starts what it puts in the background, such as CI, deaf to Ctrl-C; that would be inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(process: subprocess.Popen[str], folder: Path) -> Ended:
    out, err = process.communicate(timeout=240)
    return Ended(folder, process.returncode, out, err)


def train(folder: Path, *arguments: str, prepare: Callable[[], None] = lambda: None) -> Ended:
    """prepare: what the process does first."""
    return ended(started(*arguments, f"hydra.run.dir={folder}", prepare=prepare), folder)


def train_here(folder: Path, *arguments: str) -> Ended:
    """The same in this process, which has its libraries and kernels already."""
    left = called(main, "train.py", *arguments, f"hydra.run.dir={folder}")
    return Ended(folder, left.code, left.out, left.err)


@pytest.fixture(scope="module")
def finished(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("finished") / "run"
    return train(folder, *QUICK_DEMO, *ALL_ARTIFACTS, f"dataset.root={root}", "tracker=wandb", "corruption.seed=1")


class TestAFinishedRun:
    def test_it_exits_with_0(self, finished: Ended) -> None:
        assert finished.code == 0, finished.err

    def test_it_ends_with_the_four_published_lines_and_where_its_pictures_are(self, finished: Ended) -> None:
        expected = PUBLISHED_LINES + f"Pictures: {re.escape(str(finished.folder / 'pictures'))}\n"
        assert re.search(expected + r"\Z", finished.out)

    def test_it_says_which_values_had_no_effect(self, finished: Ended) -> None:
        (warned,) = re.findall("Warning: (.*has no effect.*)", finished.err)
        assert warned == "corruption.seed: has no effect with corruption.level=0"

    def test_its_folder_holds_the_results(self, finished: Ended) -> None:
        found = {str(path.relative_to(finished.folder)) for path in finished.folder.rglob("*") if path.is_file()}
        pictures = ("masks", "0_init", "1_base", "2_full", "3_refine", "curves")
        expected = {
            "config.yaml",
            "provenance.json",
            "cameras.json",
            "metrics.jsonl",
            "summary.json",
            "evaluation.json",
        }
        expected |= {"cloud.ply", "splats.ply", "turntable.mp4", "checkpoint.pt", "status.json", "run.lock"} | {
            f"pictures/{name}.png" for name in pictures
        }
        views = [f"{split}/r_{n}" for split in ("train", "test") for n in range(TINY_VIEWS[split])]
        expected |= {"masks.csv", "masks.html"} | {f"masks_repaired/{view}.png" for view in views}
        assert {path for path in found if not path.startswith("wandb")} == expected

    def test_its_summary_has_the_promised_keys(self, finished: Ended) -> None:
        summary = json.loads((finished.folder / "summary.json").read_text())
        promised = "scene split seed corruption level consistency psnr_db ssim train_seconds render_fps model_mb points"
        assert {*promised.split(), "initial_points", "hull_points", "status"} <= set(summary)

    def test_its_printed_quality_is_the_summarys(self, finished: Ended) -> None:
        summary = json.loads((finished.folder / "summary.json").read_text())
        assert f"Rendering quality: {summary['psnr_db']:.2f} dB" in finished.out

    def test_its_weights_and_biases_run_is_kept_offline(self, finished: Ended) -> None:
        assert list(finished.folder.glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.parametrize("model", ["points", "gaussians"])
def test_pictures_of_several_sizes_train_and_go_on_where_they_were_stopped(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_tiny_scene(tmp_path / "scenes", camera_of=turned_and_sized)
    schedule, first = ("robust_fast", "spread") if model == "points" else ("gaussians_fast", "grow")
    arguments = (*QUICK, *ALL_ARTIFACTS, f"dataset.root={root}", f"model={model}", f"cache.dir={tmp_path / 'cache'}",
                 *one_epoch_each(schedule), f"schedule.stages.{first}.epochs=100", "checkpoint.every_seconds=0",
                 "artifacts.views=[0,1,2]", "corruption.level=0.12", "corruption.targets=masked")  # fmt: skip
    whole = tmp_path / "whole"
    run(config(*arguments), whole)
    assert [score["psnr_db"] > 5 for score in json.loads((whole / "evaluation.json").read_text())] == [True] * 3
    last = sorted((whole / "pictures").glob("[0-9]*.png"))[-1]
    assert [truth.size for _, truth in read_comparison(last, 3)] == [(192, 144), (192, 256), (192, 144)]
    assert (whole / "turntable.mp4").stat().st_size > 0
    again = tmp_path / "again"
    with monkeypatch.context() as patched:
        patched.setattr("pointrad.run.run.raise_if_told", stopped_after(15))
        assert train_here(again, *arguments).code == 130
    assert "Resuming after epoch" in train_here(again, *arguments).err
    assert same_cloud(again, whole)


# Long enough to be interrupted by a test that a busy machine keeps waiting.
SLOW = ("schedule.stages.base.epochs=400", "checkpoint.every_seconds=0")


def signalled(arguments: tuple[str, ...], folder: Path, epochs: int, number: signal.Signals) -> Ended:
    process = started(*arguments, f"hydra.run.dir={folder}")
    metrics = folder / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.read_bytes().count(b"\n") >= epochs):
        time.sleep(0.005)
    process.send_signal(number)
    return ended(process, folder)


@pytest.fixture(scope="module")
def ends(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Ended]:
    folder = tmp_path_factory.mktemp("interrupted")
    arguments = (*QUICK_DEMO, f"dataset.root={root}", *SLOW)
    stopped = signalled(arguments, folder, 3, signal.SIGINT)
    killed = signalled(arguments, folder, 10, signal.SIGKILL)
    return [stopped, killed, train_here(folder, *arguments)]


class TestAnInterruptedRun:
    """Stopped with Ctrl-C, started again, killed with -9, started again."""

    def test_ctrl_c_exits_with_130_and_says_how_to_resume(self, ends: list[Ended]) -> None:
        stopped = ends[0]
        assert stopped.code == 130, stopped.err
        assert f"The same command with hydra.run.dir={stopped.folder} goes on from its last checkpoint" in stopped.err
        assert "Traceback" not in stopped.err

    def test_the_same_command_goes_on(self, ends: list[Ended]) -> None:
        assert ends[1].code == -signal.SIGKILL
        assert ends[2].code == 0, ends[2].err
        assert re.search(r"Resuming after epoch \d+: ", ends[2].err)

    def test_every_epoch_is_in_the_metrics_once(self, ends: list[Ended]) -> None:
        epochs = [json.loads(line)["epoch"] for line in (ends[2].folder / "metrics.jsonl").read_text().splitlines()]
        assert epochs == list(range(1, 403))

    def test_it_ends_bit_for_bit_as_if_uninterrupted(self, ends: list[Ended], root: Path, tmp_path: Path) -> None:
        run(config(*QUICK_DEMO, f"dataset.root={root}", *SLOW), tmp_path)
        assert same_cloud(ends[2].folder, tmp_path)
        assert (ends[2].folder / "cloud.ply").read_bytes() == (tmp_path / "cloud.ply").read_bytes()


def _writes_small_files_alone() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


def test_a_disk_that_takes_no_more_stops_a_run_which_goes_on_once_it_does(root: Path, tmp_path: Path) -> None:
    arguments = (*QUICK_DEMO, f"dataset.root={root}")
    stopped = train(tmp_path, *arguments, prepare=_writes_small_files_alone)
    assert (stopped.code, read_status(tmp_path).state) == (1, RunState.STOPPED)
    assert "cannot be written ([Errno 27] File too large); run the same command again" in stopped.err
    assert f"hydra.run.dir={tmp_path} goes on from its last checkpoint" in stopped.err
    assert "Traceback" not in stopped.err
    assert train_here(tmp_path, *arguments).code == 0


@pytest.mark.parametrize("launcher", ["basic", pytest.param("joblib", marks=pytest.mark.slow, id="joblib")])
def test_a_multirun_gives_each_job_its_own_folder_and_tells_which_failed(
    launcher: str, root: Path, tmp_path: Path
) -> None:
    arguments = (*QUICK_DEMO, f"dataset.root={root}", "corruption.level=2,0,0.05", "init=hull", "init.consistency=0.5")
    swept = ended(started("-m", *arguments, f"hydra.sweep.dir={tmp_path}", f"hydra/launcher={launcher}"), tmp_path)
    assert swept.code == 1
    assert "1 job failed:" in swept.err
    assert "Traceback" not in swept.err
    assert json.loads((tmp_path / "0" / "status.json").read_text())["error"].startswith("corruption.level: found 2")
    assert "UserError: corruption.level: found 2" in (tmp_path / "0" / "traceback.txt").read_text()
    levels = [json.loads((tmp_path / job / "summary.json").read_text())["level"] for job in ("1", "2")]
    assert levels == [0, 0.05]


class TestBadInput:
    """One message, no traceback, exit code not 0, no folder left."""

    def refused(self, folder: Path, *arguments: str) -> str:
        result = train_here(folder, *QUICK_DEMO, *arguments)
        assert result.code not in (0, None)
        assert "Traceback" not in result.out + result.err
        assert not folder.exists()
        return result.err

    def test_a_process_ends_with_its_message(self, tmp_path: Path) -> None:
        result = train(tmp_path / "run", *QUICK_DEMO, "schedule=papr")
        assert result.code == 1
        assert result.err.startswith("Error: schedule: found 'papr'")
        assert "Traceback" not in result.out + result.err

    def test_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        loading, message = self.refused(tmp_path / "run", f"dataset.root={tmp_path / 'gone'}").splitlines()
        assert loading == "tiny: loading libraries and data"
        assert message.startswith(f"Error: {tmp_path / 'gone' / 'tiny'}: no such folder")

    def test_a_value_out_of_range(self, root: Path, tmp_path: Path) -> None:
        message = self.refused(tmp_path / "run", f"dataset.root={root}", "corruption.level=2")
        assert message.strip() == "Error: corruption.level: found 2; input should be less than or equal to 1"

    def test_a_misspelt_key(self, root: Path, tmp_path: Path) -> None:
        assert "corruption.levle" in self.refused(tmp_path / "run", f"dataset.root={root}", "corruption.levle=0.1")
