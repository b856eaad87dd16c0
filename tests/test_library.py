"""What `import pointrad` gives to other programs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pointrad
from tests.runs import QUICK, REPOSITORY, config, one_epoch_each
from tests.scenes import write_tiny_scene


def test_every_name_is_there() -> None:
    assert {name: getattr(pointrad, name) for name in pointrad.__all__}
    assert set(pointrad.__all__) <= set(dir(pointrad))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        pointrad.trian  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_imports_nothing_slow() -> None:
    script = "import sys, pointrad; print(sorted({'torch', 'numba', 'hydra', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_configuration_is_that_of_the_command_line() -> None:
    words = ("schedule=paper", "init=hull", "seed=3")
    assert pointrad.compose(*words) == config(*words)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("sede=3", "did you mean seed?"),
        ("seed=-1", "seed: found -1"),
        ("init=hul", "did you mean hull?"),
        ("seed", "expected KEY=VALUE"),
    ],
)
def test_a_wrong_word_is_told(word: str, told: str) -> None:
    with pytest.raises(pointrad.UserError) as refused:
        pointrad.compose(word)
    assert told in str(refused.value)


def test_own_files_precede_those_of_pointrad(tmp_path: Path) -> None:
    (tmp_path / "scene").mkdir()
    shown = (REPOSITORY / "conf" / "scene" / "demo.yaml").read_text()
    (tmp_path / "scene" / "cup.yaml").write_text(shown.replace("name: demo", "name: cup"))
    assert pointrad.compose("scene=cup", config_dir=tmp_path).scene.name == "cup"


def test_a_scene_has_the_split_that_is_asked_for(tmp_path: Path) -> None:
    chosen = config(*QUICK, f"dataset.root={write_tiny_scene(tmp_path)}")
    assert {view.split for view in pointrad.load_scene(chosen.capture, "val").evaluation} == {"val"}
    with pytest.raises(pointrad.UserError, match=r"split: found 'tset'; expected one of train, val, test, paper"):
        pointrad.load_scene(chosen.capture, "tset")


@pytest.mark.integration
def test_a_run_is_trained_read_back_and_rendered(tmp_path: Path) -> None:
    root = write_tiny_scene(tmp_path)
    chosen = config(*QUICK, *one_epoch_each("demo"), f"dataset.root={root}")
    result = pointrad.train(chosen, str(tmp_path / "run"))  # folders are strings or paths
    found = pointrad.load_run(str(tmp_path / "run"))
    (image,) = found.render(found.cameras["test"][:1])
    (opacity,) = found.opacity(found.cameras["test"][:1])
    assert found.config == chosen
    assert found.summary["psnr_db"] == result.psnr_db
    assert image.shape == (24, 32, 3)
    assert np.all(image[opacity == 0] == 0)
