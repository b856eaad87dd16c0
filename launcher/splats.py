"""`splats.py`, and `pointrad-splats` where pointrad is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.entry import job, start

if TYPE_CHECKING:
    from pointrad.evaluation import Scores


def main() -> None:
    start("splats", score)


def score(composed: Any) -> None:
    """Render and score the splats of a file."""
    job(lambda folder: _score(composed, folder))


def _score(composed: Any, folder: Path) -> None:
    from launcher.composition import checked
    from pointrad.config import SplatsConfig
    from pointrad.splats import score

    config = checked(SplatsConfig, composed)
    means = score(config, folder).means
    print(told(means))
    print(f"Pictures: {folder}")


def told(means: Scores) -> str:
    """Mean scores in words."""
    ssim = "" if means.ssim is None else f", SSIM {means.ssim:.4f}"
    lpips = "" if means.lpips is None else f", LPIPS {means.lpips:.4f}"
    whole = f"Rendering quality: {means.psnr_db:.2f} dB{ssim}{lpips}"
    if means.psnr_object_db is None or means.silhouette_iou is None:
        return whole
    return f"{whole}\nObject alone: {means.psnr_object_db:.2f} dB, silhouette IoU {means.silhouette_iou:.4f}"
