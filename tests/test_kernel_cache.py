"""Compiled kernels: found again by what they are made of, whatever became of the folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from numba.core import event

from pointrad import kernel_cache

HELPER = "FACTOR = 3\n"
SOURCE = """
from numba import njit
from pointrad.kernel_cache import kernel
{helper}

@njit
def scaled(x):
    return {factor} * x

@kernel(nogil=True)
def tripled(x):
    return scaled(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    kernel_cache._warn.cache_clear()
    return tmp_path / "cache" / "pointrad"


@pytest.fixture
def clone(tmp_path: Path) -> Callable[..., ModuleType]:
    """A module with the kernel `tripled`, as a clone in a folder of its own has it."""

    def make(
        name: str, factor: str = "FACTOR", helper: str = HELPER, module_name: str = "kernels_of_a_clone"
    ) -> ModuleType:
        path = tmp_path / name / "kernels.py"
        path.parent.mkdir()
        path.write_text(SOURCE.format(factor=factor, helper=helper))
        spec = importlib.util.spec_from_file_location(module_name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return make


def compiled(call: Callable[[], object]) -> list[str]:
    """The functions of ours that a call compiles."""
    with event.install_recorder("numba:compile") as recorder:
        call()
    names = [entry.data["dispatcher"].py_func.__name__ for _, entry in recorder.buffer if entry.is_start]
    return [name for name in names if name in ("tripled", "scaled")]


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_two_clones_share_what_one_compiled(clone: Callable[..., ModuleType]) -> None:
    assert compiled(lambda: clone("first").tripled(2)) == ["tripled", "scaled"]
    assert compiled(lambda: clone("second").tripled(2)) == []


def test_a_kernel_that_moved_to_another_module_is_another_whose_clones_may_not_have_the_first(
    clone: Callable[..., ModuleType],
) -> None:
    clone("first").tripled(2)
    assert compiled(lambda: clone("second", module_name="where_it_moved_to").tripled(2)) == ["tripled", "scaled"]
    assert compiled(lambda: clone("third").tripled(2)) == []


def test_a_kernel_that_lies_lower_in_its_file_is_the_same(clone: Callable[..., ModuleType]) -> None:
    clone("first").tripled(2)
    assert compiled(lambda: clone("second", helper=f"# A comment.\n\n{HELPER}").tripled(2)) == []


@pytest.mark.parametrize("change", [{"factor": "4"}, {"helper": "FACTOR = 4\n"}], ids=["code", "constant"])
def test_what_a_kernel_calls_counts_as_part_of_it(change: dict[str, str], clone: Callable[..., ModuleType]) -> None:
    assert clone("first").tripled(2) == 6
    assert clone("second", **change).tripled(2) == 8


def test_other_types_of_arguments_have_an_entry_of_their_own(clone: Callable[..., ModuleType], folder: Path) -> None:
    module = clone("first")
    assert (module.tripled(2), module.tripled(0.5)) == (6, 1.5)
    assert len(entries(folder)) == 2


@pytest.mark.parametrize("damage", [b"", b"x", None], ids=["empty", "short", "one byte"])
def test_a_damaged_entry_is_told_and_compiled_again(
    damage: bytes | None, clone: Callable[..., ModuleType], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone("first").tripled(2)
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)
    assert clone("second").tripled(2) == 6
    assert f"Warning: cannot read compiled kernels ({entry} is damaged)" in capsys.readouterr().err
    assert compiled(lambda: clone("third").tripled(2)) == []


def link_to_nowhere(entry: Path) -> None:
    entry.symlink_to("nowhere")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, link_to_nowhere], ids=["folder", "pipe", "dangling link"])
def test_what_is_no_entry_keeps_no_kernel_from_running(
    make: Callable[[Path], None], clone: Callable[..., ModuleType], folder: Path
) -> None:
    clone("first").tripled(2)
    (entry,) = entries(folder)
    entry.unlink()
    make(entry)
    assert clone("second").tripled(2) == 6


def test_entries_that_may_only_be_read_are_read(
    clone: Callable[..., ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    clone("first").tripled(2)
    monkeypatch.setattr(Path, "touch", refuse)
    assert compiled(lambda: clone("second").tripled(2)) == []
    assert capsys.readouterr().err == ""


def test_where_nothing_can_be_written_kernels_run_and_one_warning_says_so(
    clone: Callable[..., ModuleType], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where a folder should be")
    module = clone("first")
    assert (module.tripled(2), module.tripled(0.5)) == (6, 1.5)
    assert capsys.readouterr().err.count("Warning: cannot keep compiled kernels") == 1


def test_a_full_disk_leaves_nothing_half_written(
    clone: Callable[..., ModuleType], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert clone("first").tripled(2) == 6
    assert "Warning: cannot keep compiled kernels" in capsys.readouterr().err
    assert entries(folder) == []


def test_entries_that_nobody_reads_go_when_others_are_written(clone: Callable[..., ModuleType], folder: Path) -> None:
    clone("first").tripled(2)
    (old,) = entries(folder)
    os.utime(old, (0, 0))
    clone("second", factor="5").tripled(2)
    assert old not in entries(folder)
    assert len(entries(folder)) == 1


def test_the_parts_of_a_kernel_are_what_it_calls(clone: Callable[..., ModuleType]) -> None:
    parts = kernel_cache.parts(clone("first").tripled)
    assert [part.py_func.__name__ for part in parts] == ["scaled", "tripled"]


def test_without_a_variable_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kernel_cache.folder() == tmp_path / "pointrad" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernel_cache.folder() == tmp_path / ".cache" / "pointrad" / "kernels"


def test_a_user_without_a_home_compiles_in_each_process(
    clone: Callable[..., ModuleType], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: None)
    assert clone("first").tripled(2) == 6
    assert "there is no home folder" in capsys.readouterr().err
