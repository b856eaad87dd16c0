"""A process beside a run compiles its kernels, if they never were; whatever becomes of it, the run goes on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from numba.core import event

from pointrad.config import RunConfig
from pointrad.run import compilation
from pointrad.run.compilation import Compilation
from pointrad.run.run import run
from tests.runs import QUICK, config, one_epoch_each, quick

CONFIG = config(*QUICK, "dataset.root=elsewhere")
COMPILES = "print('0 2', flush=True); print('2 2', flush=True); from pathlib import Path; Path({mark!r}).touch()"


MARK_OF = compilation.mark_of


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compilation, "mark_of", MARK_OF)  # which other tests do without
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """The processes that were started, each of which runs a script instead."""
    return behaving(monkeypatch, COMPILES)


def behaving(monkeypatch: pytest.MonkeyPatch, script: str) -> list[subprocess.Popen[str]]:
    processes = list[subprocess.Popen[str]]()

    def start(config: RunConfig) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script.format(mark=str(compilation.mark_of(config)))]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    monkeypatch.setattr(compilation, "_started", start)
    return processes


def test_what_was_compiled_once_is_not_compiled_again(started: list[subprocess.Popen[str]]) -> None:
    for _ in range(2):
        with Compilation(CONFIG) as ahead:
            ahead.wait()
            for process in started:
                process.wait()
    assert len(started) == 1


def test_kernels_whose_code_changed_are_compiled_again(
    started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Compilation(CONFIG) as ahead:
        ahead.wait()
        started[0].wait()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read(path) + b"# changed" * (path.name == "point_kernels.py"))
    with Compilation(CONFIG) as ahead:
        ahead.wait()
    assert len(started) == 2


@pytest.mark.integration
def test_the_process_finds_our_code_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    process = compilation._started(CONFIG)
    assert process.stdout
    try:
        assert re.fullmatch(r"\d+ \d+\n", process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    "change",
    [
        "model.view_direction=pixel",
        "init=hull init.consistency=0.5",
        "init=random",
        "schedule=report",
        "renderer.device=cuda",
    ],
)
def test_a_run_of_another_kind_compiles_its_own(change: str, started: list[subprocess.Popen[str]]) -> None:
    for other in (CONFIG, config(*quick("dataset.root=elsewhere", *change.split()))):
        with Compilation(other) as ahead:
            ahead.wait()
    assert len(started) == 2


def test_a_run_beside_a_gpu_is_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = set()
    for cuda in (False, True):
        monkeypatch.setattr(compilation, "_may_have_cuda", lambda cuda=cuda: cuda)
        marks.add(compilation.mark_of(CONFIG))
    assert len(marks) == 2


@pytest.mark.parametrize(
    ("change", "beside_a_gpu"),
    [
        ("renderer=auto", False),
        ("renderer=cpu", True),
        ("renderer.device=cpu", True),
        ("renderer.device=cuda", False),
        ("schedule=gaussians_fast", True),
        ("schedule=gaussians_fast renderer=gsplat", False),
    ],
)
def test_kernels_are_compiled_for_runs_that_the_cpu_draws(
    change: str, beside_a_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = [word for word in QUICK if not word.startswith("renderer")]
    chosen = config(*quick, "dataset.root=elsewhere", *change.split())
    only_on_gpus = change.endswith(("renderer.device=cuda", "renderer=gsplat"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(compilation, "find_spec", lambda package: None)
    for cuda, drawn in ((True, beside_a_gpu), (False, not only_on_gpus)):
        monkeypatch.setattr(compilation, "_may_have_cuda", lambda cuda=cuda: cuda)
        assert compilation._draws_on_cpu(chosen) == drawn


def test_kernels_are_not_compiled_for_gaussians_that_gsplat_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = config(*QUICK, "dataset.root=elsewhere", "schedule=gaussians_fast")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(compilation, "_may_have_cuda", lambda: True)
    monkeypatch.setattr(compilation, "find_spec", lambda package: "found")
    assert not compilation._draws_on_cpu(chosen)


def test_it_is_told(started: list[subprocess.Popen[str]], capsys: pytest.CaptureFixture[str]) -> None:
    compilation.tell_of_compilation.cache_clear()
    with Compilation(CONFIG):
        assert "Compiling kernels" in capsys.readouterr().err


def test_a_failure_is_tried_again_by_the_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    started = behaving(monkeypatch, "raise SystemExit(1)")
    for _ in range(2):
        with Compilation(CONFIG) as ahead:
            ahead.wait()
    assert len(started) == 2


def test_it_ends_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    started = behaving(monkeypatch, "import time; time.sleep(600)")
    with Compilation(CONFIG):
        pass
    assert [process.poll() is None for process in started] == [False]


def test_a_run_that_ends_at_once_does_not_wait_for_it() -> None:
    with Compilation(CONFIG) as ahead:
        process = ahead._process
    assert process
    assert process.returncode == -signal.SIGKILL


def test_where_nothing_can_be_kept_each_run_compiles_by_itself(
    started: list[subprocess.Popen[str]], cache: Path
) -> None:
    cache.write_text("a file where a folder should be")
    with Compilation(CONFIG) as ahead:
        ahead.wait()
    assert started == []


@pytest.mark.slow  # compiles everything
@pytest.mark.parametrize("choice", ["init=adaptive", "init=random", "model.view_direction=pixel", "schedule=report"])
def test_after_it_a_run_compiles_nothing(choice: str, tiny_scene_root: Path, tmp_path: Path) -> None:
    schedule = "report" if "report" in choice else "demo"
    chosen = config(*quick(*one_epoch_each(schedule), choice, f"dataset.root={tiny_scene_root}"))
    with Compilation(chosen) as ahead:
        ahead.wait()
        assert ahead._process
        assert ahead._process.wait() == 0
    with event.install_recorder("numba:compile") as recorder:
        run(chosen, tmp_path / "run")
    compiled = {entry.data["dispatcher"].py_func for _, entry in recorder.buffer}
    assert [function.__name__ for function in compiled if function.__module__.startswith("pointrad")] == []
