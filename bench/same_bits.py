"""Whether two checkouts train points to the same bits: python -m bench.same_bits OTHER_CHECKOUT [SCENE_OPTION...]

Every shipped schedule of points is trained for an epoch a stage by each checkout's own `train.py`, and what lies in
cloud.ply is compared by column. Without options on the demo scene; with them on another, for example
`dataset=blender dataset.root=DATA scene=hotdog dataset.downscale=1`. Ends with 1 where a schedule differs.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from plyfile import PlyData

HERE = Path(__file__).resolve().parents[1]
SCHEDULES = ("demo", "paper", "fast", "report", "pretraining", "pretraining_fast", "robust", "robust_fast")
SHOWN = {"red", "green", "blue"}  # for viewers, not part of what is trained
QUICK = (
    "init.lattice=150", "init.kept_share=0.1", "corruption.level=0.05", "artifacts.views=[]", "eval.lpips=false",
    "artifacts.turntable.frames=0", "tracker=none", "threads=1",
)  # fmt: skip


def trained(checkout: Path, schedule: str, options: list[str]) -> str:
    """A hash of the cloud that a checkout trains."""
    epochs = [f"schedule.stages.{name}.epochs=1" for name in _stages(checkout, schedule, options)]
    with tempfile.TemporaryDirectory() as folder:
        _run(checkout, f"schedule={schedule}", *options, *QUICK, *epochs, f"hydra.run.dir={folder}")
        vertices = PlyData.read(f"{folder}/cloud.ply")["vertex"].data
    columns = sorted(set(vertices.dtype.names) - SHOWN)
    return hashlib.sha256(b"".join(vertices[name].tobytes() for name in columns)).hexdigest()[:16]


def _stages(checkout: Path, schedule: str, options: list[str]) -> list[str]:
    composed = yaml.safe_load(_run(checkout, "--cfg", "job", f"schedule={schedule}", *options))
    return list(composed["schedule"]["stages"])


def _run(checkout: Path, *arguments: str) -> str:
    command = [sys.executable, "train.py", *arguments]
    return subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(other: str, *options: str) -> int:
    differing = 0
    for schedule in SCHEDULES:
        here, there = (trained(checkout, schedule, list(options)) for checkout in (HERE, Path(other).resolve()))
        print(f"{schedule:17} {here} {'same' if here == there else f'DIFFERS FROM {there}'}", flush=True)
        differing += here != there
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
