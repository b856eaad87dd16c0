"""How good the renders are, how fast they come and what they cost."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pointrad.camera import Camera
from pointrad.data.scene import Float32Array, View
from pointrad.errors import UserError
from pointrad.masks.iou import iou, with_true_masks
from pointrad.progress import announce
from pointrad.training.preemption import raise_if_told

if TYPE_CHECKING:  # imported where it is needed: reports score nothing, and would wait for it
    import torch

    from pointrad.lpips import Lpips

Render = Callable[[Sequence[Camera]], Iterable[NDArray[np.float32]]]  # from each camera [H, W, 3] in [0, 1]
Opacity = Callable[[Sequence[Camera]], Iterable[NDArray[np.float32]]]  # from each camera [H, W] in [0, 1]
Pixels = NDArray[np.bool_]  # [H, W]

_SSIM_WINDOW = 11  # pixels: a Gaussian of sigma 1.5, cut off at 3.5 sigma
OPAQUE = 0.5  # from which on a pixel is the object's
_MEGABYTE = 2**20


@dataclass(frozen=True)
class Scores:
    """How good a render is, or the means over a split; None where a score cannot be had (`evaluate` says when)."""

    psnr_db: float
    ssim: float | None
    lpips: float | None
    psnr_object_db: float | None
    silhouette_iou: float | None


@dataclass(frozen=True)
class ViewScores:
    """One view's scores."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class Evaluation:
    """The scores of each view."""

    views: tuple[ViewScores, ...]

    @property
    def means(self) -> Scores:
        """Over the views that have a score: of PSNR the mean of their PSNRs, not the PSNR of their mean error."""
        by_score = zip(*(astuple(view.scores) for view in self.views), strict=True)
        return Scores(*map(mean_of_known, by_score))  # type: ignore[arg-type]

    def by_view(self) -> list[dict[str, Any]]:
        """What `evaluation.json` holds."""
        return [{"name": view.name, **asdict(view.scores)} for view in self.views]


def check_scored_views(views: Sequence[View]) -> None:
    """Raises UserError if there is none, and for a view that cannot be scored, since none of its pixels counts."""
    if not views:
        raise UserError("eval.split: found no view of the instant of dataset.frames; expected one, or eval.split=train")
    for view in views:
        if view.weight is not None and not view.weight.any():
            raise UserError(
                f"{view.name}: found a weight of 0 at every pixel, so that it cannot be scored; expected some that "
                "count, or the view left out of the split"
            )


def evaluate(render: Render, opacity: Opacity, views: Sequence[View], lpips: bool) -> Evaluation:
    """Score the render of every view against its image, and its silhouette against its hard mask, that of reference
    where there is one.

    PSNR: with data range 1, over the picture, and over the pixels of the mask alone (None where the mask is empty).
    Silhouette IoU: of the pixels that are opaque by half or more, and the mask (None where it covers the picture, as
    all do without masks). Both leave out pixels of weight 0.
    SSIM: as Wang et al. define it (None for images smaller than its 11-pixel window). LPIPS: with VGG16, as the
    radiance field papers report it, if `lpips` and it is installed, else None (also for images smaller than its
    network takes). Both compare whole images, as composited.

    Raises UserError if the weights of LPIPS are damaged, and Preempted between views if the run is told to stop.
    """
    distance = _lpips(len(views)) if lpips else None
    cameras = [view.camera for view in views]
    scored = list[ViewScores]()
    for image, share, view in zip(render(cameras), opacity(cameras), with_true_masks(views), strict=True):
        raise_if_told()  # LPIPS of many large views takes minutes
        scored.append(ViewScores(view.name, _score(image, share, view, distance)))
    return Evaluation(tuple(scored))


def psnr_db(image: Float32Array, truth: Float32Array, pixels: Pixels | None = None) -> float:
    """PSNR in dB of two [H, W, 3] images in [0, 1], of some of their pixels [H, W] or of all; infinite if equal."""
    if pixels is not None:
        image, truth = image[pixels], truth[pixels]
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return -10 * float(np.log10(error)) if error > 0 else float("inf")


def ssim(image: Float32Array, truth: Float32Array) -> float | None:
    """SSIM of two [H, W, 3] images in [0, 1]; None if they are smaller than its window."""
    if min(image.shape[:2]) < _SSIM_WINDOW:
        return None
    from skimage.metrics import structural_similarity  # not above: slow to import, and needed last

    similarity = structural_similarity(  # type: ignore[no-untyped-call]
        image, truth, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, channel_axis=-1, data_range=1.0
    )
    return float(similarity)


def measure_fps(
    render: Callable[[Sequence[Camera]], Iterable[object]],
    cameras: Sequence[Camera],
    device_synchronise: Callable[[], None],
    seconds: float,
) -> float:
    """Frames per second over `cameras`, warm and synchronised: of the median pass, of as many as take `seconds` in all,
    and of three at least."""
    _seconds_per_pass(render, cameras, device_synchronise)  # compiles, allocates and fills caches
    passes: list[float] = []
    while sum(passes) < seconds or len(passes) < 3:
        passes.append(_seconds_per_pass(render, cameras, device_synchronise))
    return len(cameras) / statistics.median(passes)


def peak_memory_mb(device: torch.device | None = None) -> float:
    """Peak memory in MB (2^20 bytes) so far: tensors on a CUDA device, else the process's resident memory."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.max_memory_allocated(device) / _MEGABYTE
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MEGABYTE


def device_name(device: torch.device) -> str:
    """What the numbers were measured on, e.g. "NVIDIA A100-SXM4-80GB" or "AMD EPYC 7763, 2 threads"."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{_cpu_model()}, {threads} thread{'s' if threads > 1 else ''}"


def _score(image: Float32Array, opacity: Float32Array, view: View, distance: Lpips | None) -> Scores:
    counted = None if view.weight is None else view.weight > 0
    mask = _among(counted, view.mask > 0)
    return Scores(
        psnr_db=psnr_db(image, view.image, counted),
        ssim=ssim(image, view.image),
        lpips=None if distance is None else distance(image, view.image),
        psnr_object_db=psnr_db(image, view.image, mask) if mask.any() else None,
        silhouette_iou=None if view.mask.all() else iou(_among(counted, opacity >= OPAQUE), mask),
    )


def _among(counted: Pixels | None, pixels: Pixels) -> Pixels:
    return pixels if counted is None else pixels & counted


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None where there is none."""
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _lpips(views: int) -> Lpips | None:
    """Ready to measure so many views; None where it is not installed. Either is said: the one takes long."""
    from pointrad.lpips import INSTALL, installed

    distance = installed()
    if distance is None:
        announce(f"LPIPS is left out, since its weights are not installed: {INSTALL}")
    else:
        announce(f"Measuring LPIPS of {views} views on the CPU")
    return distance


def _seconds_per_pass(
    render: Callable[[Sequence[Camera]], Iterable[object]],
    cameras: Sequence[Camera],
    device_synchronise: Callable[[], None],
) -> float:
    device_synchronise()
    start = time.perf_counter()
    deque(render(cameras), maxlen=0)
    device_synchronise()
    return time.perf_counter() - start


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or f"{os.cpu_count()}-core {platform.machine()}"
