"""The package as `pip install .` leaves it in an environment of its own, outside of the repository.

The environment is new and holds nothing but the wheel; third-party packages it finds where these tests run, since
installing torch again would take minutes. pip checks that they are the versions which the wheel requires. `slow` is the
same with an environment that is empty, into which pip installs everything from where it has packages: some 6 GB.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from pointrad import __version__
from tests.runs import REPOSITORY

pytestmark = pytest.mark.integration

PACKED = ("pointrad", "launcher", "hydra_plugins", "conf", "pyproject.toml", "requirements*.txt", "*.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves a folder of its own beside the project."""
    copy, built = tmp_path_factory.mktemp("copy") / "pointrad", tmp_path_factory.mktemp("wheel")
    listing = ["git", "ls-files", *PACKED]
    tracked = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, copy / name, follow_symlinks=False)
    of_pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, copy)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module", params=["with packages", pytest.param("empty", marks=pytest.mark.slow)])
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of the environment's programs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    with_packages = request.param == "with packages"
    if with_packages:
        site = next(folder.glob("lib/python*/site-packages"))
        (site / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    of_pip("--python", folder / "bin" / "python", "install", *["--no-index"] * with_packages, wheel)
    return folder / "bin"


def of_pip(*words: object) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def called(programs: Path, *words: str, cwd: Path) -> str:
    """What the program says; of this process's variables it has those that every machine has."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    command = [str(programs / words[0]), *words[1:]]
    environment = kept | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_all_that_lies_beside_the_code(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "pointrad", "launcher", "hydra_plugins"], cwd=REPOSITORY, capture_output=True, text=True,
        check=True,
    ).stdout.split()  # fmt: skip
    scripts = {name for name in tracked if "/demo_" in name and name.endswith(".py")}
    assert set(tracked) - scripts <= held


def test_it_is_the_wheels_code_that_runs(programs: Path, tmp_path: Path) -> None:
    script = "import launcher, pointrad; print(pointrad.__file__, launcher.__file__)"
    found = called(programs, "python", "-c", script, cwd=tmp_path).split()
    assert all(Path(file).is_relative_to(programs.parent) for file in found)


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("pointrad-train --version", f"pointrad {__version__}"),
        ("pointrad-train --cfg hydra -p hydra.runtime.config_sources", "/site-packages/pointrad/conf"),
        ("pointrad-runs --help", "render"),
        ("pointrad-sweep study=smoke dry_run=true", "8 runs, 8 of them distinct: 8 missing"),
    ],
)
def test_its_programs_work_from_any_folder(command: str, told: str, programs: Path, tmp_path: Path) -> None:
    assert told in called(programs, *command.split(), cwd=tmp_path)


def test_the_notebook_runs(programs: Path, tmp_path: Path) -> None:
    """Its cells one after another, as a kernel would; pictures are drawn and not shown."""
    cells = json.loads((REPOSITORY / "docs" / "library.ipynb").read_text())["cells"]
    script = "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
    (tmp_path / "cells.py").write_text(script)
    said = called(programs, "python", "cells.py", cwd=tmp_path)
    assert "views to train on" in said
    assert "wrong masks (IoU" in said
