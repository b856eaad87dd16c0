"""Scores of renders, checked against formulas and scikit-image, and speed."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array, View
from pointrad.evaluation import device_name, evaluate, lpips_is_available, measure_fps, peak_memory_mb, psnr_db, ssim
from pointrad.run.provenance import provenance
from tests.scenes import sphere_views


def off_by(views: tuple[View, ...], errors: list[float]) -> dict[int, Float32Array]:
    return {id(view.camera): view.image + np.float32(error) for view, error in zip(views, errors, strict=True)}


def test_psnr_of_a_constant_error_is_known() -> None:
    black = np.zeros((8, 8, 3), np.float32)
    assert psnr_db(black + np.float32(0.1), black) == pytest.approx(20, abs=1e-5)
    assert psnr_db(black, black) == float("inf")


def test_the_mean_psnr_is_the_mean_over_views() -> None:
    views = sphere_views(2)
    images = off_by(views, [0.1, 0.01])
    evaluation = evaluate(lambda cameras: [images[id(camera)] for camera in cameras], views, lpips=False)
    assert [view.psnr_db for view in evaluation.views] == pytest.approx([20, 40], abs=1e-4)
    assert evaluation.psnr_db == pytest.approx(30, abs=1e-4)
    assert [view.name for view in evaluation.views] == ["train/r_0", "train/r_1"]


def test_ssim_of_two_constant_images_is_the_formula() -> None:
    dark, light = np.full((16, 16, 3), 0.2, np.float32), np.full((16, 16, 3), 0.6, np.float32)
    c1 = 0.01**2
    assert ssim(dark, light) == pytest.approx((2 * 0.2 * 0.6 + c1) / (0.2**2 + 0.6**2 + c1), abs=1e-4)
    assert ssim(dark, dark) == pytest.approx(1)


def test_ssim_is_absent_for_images_smaller_than_its_window() -> None:
    small = np.zeros((10, 40, 3), np.float32)
    assert ssim(small, small) is None
    view = replace(sphere_views(1)[0], image=small)
    assert evaluate(lambda _: [small], [view], lpips=False).ssim is None


def test_lpips_without_weights_is_absent_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("download")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    assert not lpips_is_available()
    views = sphere_views(1)
    assert evaluate(lambda _: [views[0].image], views, lpips=True).lpips is None


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_lpips_is_reported_where_its_weights_are(monkeypatch: pytest.MonkeyPatch) -> None:
    lpips = pytest.importorskip("lpips")
    network = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)  # real plumbing, a small random backbone
    monkeypatch.setattr("pointrad.evaluation.lpips_is_available", lambda: True)
    monkeypatch.setattr(lpips, "LPIPS", lambda **_: network)
    views = sphere_views(1, 64, 64)
    assert evaluate(lambda _: [views[0].image], views, lpips=True).lpips == pytest.approx(0, abs=1e-6)
    worse = evaluate(lambda _: [1 - views[0].image], views, lpips=True).lpips
    assert worse is not None
    assert worse > 0


def test_fps_counts_frames_per_second_after_a_warm_up() -> None:
    calls = 0

    def render(cameras: Sequence[Camera]) -> Iterator[Camera]:
        nonlocal calls
        for camera in cameras:
            calls += 1
            time.sleep(0.3 if calls == 1 else 0.02)  # the first is slow, as one that compiles is
            yield camera

    cameras = [view.camera for view in sphere_views(10)]
    synchronised: list[int] = []
    fps = measure_fps(render, cameras, lambda: synchronised.append(calls))
    assert 25 < fps <= 50
    assert set(synchronised) == set(range(0, calls + 1, 10))


def test_memory_is_measured_in_megabytes_of_this_process() -> None:
    assert 50 < peak_memory_mb() < 100_000


def test_a_cpu_is_named_with_its_threads() -> None:
    assert device_name(torch.device("cpu")).endswith(("thread", "threads"))


def test_provenance_names_versions_and_no_host() -> None:
    found = provenance()
    versions = found["versions"]
    assert isinstance(versions, dict)
    assert (versions["numpy"], versions["python"]) == (np.__version__, platform.python_version())
    assert platform.node() not in json.dumps(found).split('"')
