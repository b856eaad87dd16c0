"""Train the real hotdog on a schedule and put its time into results.json; takes minutes, needs POINTRAD_DATA.

    POINTRAD_DATA=FOLDER python -m bench.hotdog paper
    POINTRAD_DATA=FOLDER python -m bench.hotdog paper dataset.downscale=1   # images that are 400x400 already

FOLDER holds hotdog/ of the NeRF-synthetic scenes. Masks are clean and the 23 views of the published split are scored.
`hotdog_train_seconds` is the paper schedule's; further arguments go to train.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from bench.report import merge_hotdog
from pointrad.run.provenance import provenance

ROOT = Path(__file__).resolve().parents[1]
KEPT = ("train_seconds", "psnr_db", "render_fps", "model_mb", "points", "peak_memory_mb", "device")


def main(schedule: str = "paper", *overrides: str) -> None:
    if not os.environ.get("POINTRAD_DATA"):
        sys.exit("Error: POINTRAD_DATA is not set; expected the folder that holds hotdog/ of the NeRF-synthetic scenes")
    folder = ROOT / "outputs" / "bench" / f"hotdog_{schedule}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    command = [
        sys.executable, "train.py", "dataset=blender", "scene=hotdog", "corruption=none", "init=hull",
        "dataset.background=published",
        f"schedule={schedule}", "eval.split=paper", "eval.lpips=false", "tracker=none", "artifacts.views=[]",
        "artifacts.turntable.frames=0", f"hydra.run.dir={folder}", *overrides,
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    summary = json.loads((folder / "summary.json").read_text())
    figures = {key: summary[key] for key in KEPT} | {"overrides": list(overrides), "git": provenance()["git"]}
    merge_hotdog(schedule, figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
