"""`splats.py`, and `pointrad-splats` where pointrad is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launcher.entry import job, start


def main() -> None:
    start("splats", score)


def score(composed: Any) -> None:
    """Render and score the splats of a file."""
    job(lambda folder: _score(composed, folder))


def _score(composed: Any, folder: Path) -> None:
    from launcher.composition import plain_values
    from pointrad.config import SplatsConfig
    from pointrad.splats import score

    config = SplatsConfig.parse(plain_values(composed))
    evaluation = score(config, folder)
    ssim = "" if evaluation.ssim is None else f", SSIM {evaluation.ssim:.4f}"
    lpips = "" if evaluation.lpips is None else f", LPIPS {evaluation.lpips:.4f}"
    print(f"Rendering quality: {evaluation.psnr_db:.2f} dB{ssim}{lpips}")
    print(f"Pictures: {folder}")
