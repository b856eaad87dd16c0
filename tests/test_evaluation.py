"""Scores of renders, checked against formulas and scikit-image, and speed."""

from __future__ import annotations

import json
import os
import platform
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array, View
from pointrad.errors import UserError
from pointrad.evaluation import (
    Evaluation,
    Scores,
    check_scored_views,
    device_name,
    evaluate,
    measure_fps,
    peak_memory_mb,
    psnr_db,
    ssim,
)
from pointrad.run.provenance import provenance
from pointrad.training.preemption import Preempted, heeding
from tests.scenes import sphere_views


def scores_of(
    images: Sequence[Float32Array], views: Sequence[View], shares: Sequence[Float32Array] | None = None
) -> Evaluation:
    """The evaluation of these renders; shares: their opacities, by default those of the views' masks."""
    seen = [view.mask for view in views] if shares is None else shares
    return evaluate(lambda _: images, lambda _: seen, views, lpips=False)


def test_psnr_of_a_constant_error_is_known() -> None:
    black = np.zeros((8, 8, 3), np.float32)
    assert psnr_db(black + np.float32(0.1), black) == pytest.approx(20, abs=1e-5)
    assert psnr_db(black, black) == float("inf")


def test_the_mean_psnr_is_the_mean_over_views() -> None:
    views = sphere_views(2)
    images = [view.image + np.float32(error) for view, error in zip(views, (0.1, 0.01), strict=True)]
    evaluation = scores_of(images, views)
    assert [view.scores.psnr_db for view in evaluation.views] == pytest.approx([20, 40], abs=1e-4)
    assert evaluation.means.psnr_db == pytest.approx(30, abs=1e-4)
    assert [row["name"] for row in evaluation.by_view()] == ["train/r_0", "train/r_1"]


def test_a_run_that_is_told_to_stop_scores_no_further_view() -> None:
    views, rendered = sphere_views(3), []

    def renders(cameras: Sequence[Camera]) -> Iterator[Float32Array]:
        for number, view in enumerate(views):
            rendered.append(number)
            yield view.image
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Preempted), heeding(signal.SIGTERM):
        evaluate(renders, lambda _: [view.mask for view in views], views, lpips=False)
    assert rendered == [0, 1]


def test_psnr_of_the_object_leaves_out_what_is_painted_beside_it() -> None:
    view = sphere_views(1)[0]
    outside = (view.mask == 0)[..., None]
    painted = np.where(outside, view.image + np.float32(0.1), view.image + np.float32(0.01))
    means = scores_of([painted], [view]).means
    assert means.psnr_object_db == pytest.approx(40, abs=1e-3)
    assert means.psnr_db < 25


def test_views_without_the_object_have_no_psnr_of_it_and_the_mean_is_that_of_the_others() -> None:
    full = sphere_views(1)[0]
    empty = replace(full, mask=np.zeros_like(full.mask))
    images = [full.image + np.float32(0.1)] * 2
    evaluation = scores_of(images, [full, empty])
    assert [row["psnr_object_db"] for row in evaluation.by_view()] == [pytest.approx(20, abs=1e-4), None]
    assert evaluation.means.psnr_object_db == pytest.approx(20, abs=1e-4)
    assert scores_of(images[:1], [empty]).means.psnr_object_db is None


def test_silhouette_iou_is_of_what_is_opaque_by_half_and_the_mask() -> None:
    view = sphere_views(1)[0]
    mask, share = np.zeros_like(view.mask), np.zeros_like(view.mask)
    mask[:, :16] = 1
    share[:, :8], share[:, 8:12], share[:, 12:16], share[:, 16:20] = 1, 0.5, 0.49, 0.6
    means = scores_of([view.image], [replace(view, mask=mask)], [share]).means
    assert means.silhouette_iou == pytest.approx(12 / 20)


def test_where_the_mask_covers_the_picture_there_is_no_silhouette_to_compare() -> None:
    view = sphere_views(1)[0]
    full = replace(view, mask=np.ones_like(view.mask))
    assert scores_of([view.image], [full], [view.mask]).means.silhouette_iou is None


def test_masks_of_reference_are_those_that_count() -> None:
    view = sphere_views(1)[0]
    wrong = np.zeros_like(view.mask)
    wrong[:3] = 1
    means = scores_of(
        [view.image + np.float32(0.1)], [replace(view, mask=wrong, reference=view.mask)], [view.mask]
    ).means
    assert means.silhouette_iou == 1
    assert means.psnr_object_db == pytest.approx(20, abs=1e-4)


class TestPixelsOfWeightZero:
    left = np.zeros((24, 32), bool)
    left[:, :16] = True

    def scores(self, view: View) -> Scores:
        """Of a render that is off by 0.1, and farther off and all opaque on the left, where nothing counts."""
        worse = np.where(self.left[..., None], np.float32(0.5), np.float32(0.1))
        share = np.where(self.left, np.float32(1), view.mask)
        return scores_of([view.image + worse], [view], [share]).means

    def test_are_left_out_of_psnr_and_silhouettes(self) -> None:
        scores = self.scores(sphere_views(1)[0].weighing(self.left, 0))
        assert scores.psnr_db == pytest.approx(20, abs=1e-4)
        assert scores.psnr_object_db == pytest.approx(20, abs=1e-4)
        assert scores.silhouette_iou == 1

    def test_are_part_of_ssim_which_compares_whole_images(self) -> None:
        view = sphere_views(1)[0]
        assert self.scores(view.weighing(self.left, 0)).ssim == self.scores(view).ssim

    def test_cannot_be_all_that_a_scored_view_has(self) -> None:
        view = sphere_views(1)[0]
        check_scored_views([view, view.weighing(self.left, 0)])
        with pytest.raises(UserError, match=r"train/r_0: found a weight of 0 at every pixel"):
            check_scored_views([view, view.weighing(np.ones_like(self.left), 0)])


def test_ssim_of_two_constant_images_is_the_formula() -> None:
    dark, light = np.full((16, 16, 3), 0.2, np.float32), np.full((16, 16, 3), 0.6, np.float32)
    c1 = 0.01**2
    assert ssim(dark, light) == pytest.approx((2 * 0.2 * 0.6 + c1) / (0.2**2 + 0.6**2 + c1), abs=1e-4)
    assert ssim(dark, dark) == pytest.approx(1)


def test_ssim_is_absent_for_images_smaller_than_its_window() -> None:
    small = np.zeros((10, 40, 3), np.float32)
    assert ssim(small, small) is None
    view = replace(sphere_views(1)[0], image=small, mask=small[..., 0])
    assert scores_of([small], [view], [np.zeros((10, 40), np.float32)]).means.ssim is None


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
    fps = measure_fps(render, cameras, lambda: synchronised.append(calls), seconds=0)
    assert 25 < fps <= 50
    assert synchronised == [0, 10, 10, 20, 20, 30, 30, 40]


def test_fps_are_measured_for_as_long_as_asked_for() -> None:
    passes = 0

    def render(cameras: Sequence[Camera]) -> Iterator[Camera]:
        nonlocal passes
        passes += 1
        time.sleep(0.01)
        yield from cameras

    measure_fps(render, [], lambda: None, seconds=0.2)
    assert 4 < passes <= 21  # the first is not measured


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
