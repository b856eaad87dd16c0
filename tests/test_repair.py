"""`python repair.py`, as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.repair import main
from tests.commands import Ended, called
from tests.data.captures import COUNT, name_of, write_nerfstudio
from tests.scenes import TINY_VIEWS, write_tiny_scene

pytestmark = pytest.mark.integration

QUICK = [
    "init.lattice=40",
    "threads=1",
    *(f"schedule.stages.{s}.epochs=1" for s in ("coarse", "half", "grow", "settle")),
]


def repair(root: Path, folder: Path, *words: str) -> Ended:
    return called(main, "repair.py", f"dataset.root={root}", f"hydra.run.dir={folder}", *QUICK, *words)


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_leaves_masks_of_all_photographs_and_the_page_and_no_more(tmp_path: Path) -> None:
    done = repair(write_nerfstudio(tmp_path / "capture"), tmp_path / "masks")
    assert done.code == 0, done.err
    names = [name_of(n) for n in range(COUNT)]
    assert left(tmp_path / "masks") == {"masks.csv", "masks.html", *(f"masks_repaired/{name}" for name in names)}
    assert f"of {COUNT}\n" in done.out.splitlines(keepends=True)[0]
    assert done.out.endswith(f"Page: {tmp_path}/masks/masks.html\nMasks: {tmp_path}/masks/masks_repaired\n")


def test_photographs_that_the_capture_holds_out_have_masks_too(tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path / "scenes") / "tiny"
    assert repair(root, tmp_path / "masks").code == 0
    views = {f"{split}/r_{n}.png" for split in ("train", "test") for n in range(TINY_VIEWS[split])}
    assert left(tmp_path / "masks/masks_repaired") == views


def test_it_trains_again_if_told_to(tmp_path: Path) -> None:
    done = repair(write_nerfstudio(tmp_path / "capture"), tmp_path / "masks", "repair.rounds=2")
    assert done.code == 0, done.err
    assert "of 2, which agree with its cloud by" in (tmp_path / "masks/masks.html").read_text()
    assert not (tmp_path / "masks/rounds").exists()


def test_the_worst_are_named(tmp_path: Path) -> None:
    done = repair(write_nerfstudio(tmp_path / "capture"), tmp_path / "masks", "corruption.level=0.3")
    assert "shifted, IoU 0." in done.out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("masks=none", "masks: found none, of which none can be put right; expected auto, alpha or folder"),
        ("dataset.max_sizes=3", "did you mean dataset.max_size?"),
    ],
)
def test_a_bad_value_is_named_with_what_is_valid(word: str, said: str, tmp_path: Path) -> None:
    done = repair(write_nerfstudio(tmp_path / "capture"), tmp_path / "masks", "init.source=none", word)
    assert (done.code, said in done.err) == (1, True), done.err


def test_keys_of_what_it_does_not_leave_are_warned_of(tmp_path: Path) -> None:
    done = repair(write_nerfstudio(tmp_path / "capture"), tmp_path / "masks", "artifacts.turntable.frames=3")
    assert "artifacts.turntable.frames: has no effect with this command" in done.err
