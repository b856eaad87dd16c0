"""A run's kernels, compiled ahead by a process beside it: once per user, while the run itself loads libraries and data.

Numba compiles on one core. So a run whose kernels were never compiled (`Compilation`) starts
`python -m pointrad.run.compilation`, which does in small what the run is about to do; what it compiles is found in
`kernel_cache`. The run waits for it before the first step (`wait`). If that process fails, the run compiles by itself.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

import pointrad
from pointrad.camera import Camera
from pointrad.config import RunConfig
from pointrad.data.scene import Split, View
from pointrad.files import kernel_folder
from pointrad.init.config import AdaptiveConfig, InitConfig
from pointrad.model.config import DRAWN_AS_GAUSSIANS, CustomModelConfig, GaussiansConfig, PointsConfig
from pointrad.progress import CompilationBar, tell_of_compilation

_PACKAGE = Path(pointrad.__file__).parent


class Compilation:
    """What a run has to compile, in a process beside it; a context, at whose end that process is stopped."""

    def __init__(self, config: RunConfig) -> None:
        """Begin where this user never compiled the kernels of such a run, and say so."""
        mark = mark_of(config)
        self._process = None
        if mark and not mark.exists():
            tell_of_compilation()
            self._process = _started(config)

    def __enter__(self) -> Compilation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()

    def wait(self) -> None:
        """Return once all is compiled that training needs; a bar shows how much is."""
        if not self._process:
            return
        assert self._process.stdout
        with CompilationBar() as bar:
            for line in self._process.stdout:
                done, total = map(int, line.split())
                bar.show(done, total)
                if done == total:  # it goes on with what is needed after training
                    return


def _started(config: RunConfig) -> subprocess.Popen[str]:
    paths = [str(_PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "pointrad.run.compilation"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,  # Ctrl-C is for the run, which stops it
    )  # fmt: skip
    assert process.stdin
    with process.stdin as stdin, suppress(BrokenPipeError):
        stdin.write(config.model_dump_json())
    return process


def mark_of(config: RunConfig) -> Path | None:
    """A file that is there if all was compiled once that runs of this kind need; None where none can be kept."""
    folder = kernel_folder()
    if folder is None:
        return None
    losses = sorted({stage.loss.name for stage in config.all_stages.values()})
    renderer = config.renderer.name, config.renderer.device, _may_have_cuda()
    kind = config.model.name, _composites_harmonics(config), renderer, config.init.name, losses
    digest = hashlib.sha256(repr((kind, sys.version, _processor())).encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    mark = folder / "compiled" / digest.hexdigest()[:24]
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return mark if os.access(mark.parent, os.W_OK) else None


def _processor() -> str:
    """What tells this machine's processor from others that share the user's home."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return os.uname().machine
    return "".join(line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part")))


def _may_have_cuda() -> bool:
    """Whether torch may find a CUDA device; False is certain. Asking torch itself takes a second or more."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path(driver).exists() for driver in ("/dev/nvidiactl", "/dev/dxg"))


def _draws_on_cpu(config: RunConfig) -> bool:
    """Whether the run's renderer is one of ours in Numba, as `build_renderer` chooses it."""
    name, device = config.renderer.name, config.renderer.device
    if name == "cpu":
        return True
    if isinstance(config.model, DRAWN_AS_GAUSSIANS) and name == device == "auto" and find_spec("gsplat") is None:
        return True
    if name != "auto" or device != "auto":
        return name == "auto" and device == "cpu"
    if not _may_have_cuda():
        return True
    import torch

    return not torch.cuda.is_available()


def _compile(config: RunConfig, told: Callable[[int, int], None]) -> None:
    """Do in small what a run does, votes first as it does; `told` how many functions are compiled, of how many."""
    from numba.core import event

    from pointrad.init import agreement, points, votes
    from pointrad.kernel_cache import parts

    voted, adaptive = isinstance(config.init, InitConfig), isinstance(config.init, AdaptiveConfig)
    renders = _draws_on_cpu(config)
    entries = [
        *([votes._count_root, points._add_colours] if voted else []),
        *([agreement._draw_highest] if adaptive else []),
    ]
    entries += _render_kernels(config) if renders else []
    wanted = {id(part) for entry in entries for part in parts(entry) if part.targetoptions.get("inline") != "always"}
    done = set[int]()

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: Any) -> None:
            pass

        def on_end(self, event: Any) -> None:
            done.add(id(event.data["dispatcher"]))
            told(len(done & wanted), len(wanted))

    view = _small_view(config)
    with event.install_listener("numba:compile", Listener()):
        if voted:
            counted = votes.count_votes([view, view], votes.Lattice(8, ((-1.0, 1.0),) * 3), 0.0)
            points.colours_seen([view], counted.lattice.positions(np.zeros((1, 3), np.int64)))
            if adaptive:
                agreement.highest_votes(counted.lattice, counted.counts, [view.camera])
        if renders:
            _train_and_draw(config, view, lambda: told(len(wanted), len(wanted)))


def _render_kernels(config: RunConfig) -> list[Any]:
    """What Python calls to train the model and to draw it."""
    from pointrad.render.cpu import gaussian_kernels, point_kernels

    if isinstance(config.model, CustomModelConfig):
        return [gaussian_kernels.forward, point_kernels.show, gaussian_kernels.differentiate, gaussian_kernels.gather]
    kernels = gaussian_kernels if isinstance(config.model, GaussiansConfig) else point_kernels
    losses = {stage.loss.name for stage in config.all_stages.values()}
    in_one_call = losses == {"photometric"} and not _composites_harmonics(config)
    steps = [kernels.train] if in_one_call else [kernels.differentiate, kernels.adam]
    return [kernels.forward, point_kernels.show, *steps]


def _composites_harmonics(config: RunConfig) -> bool:
    return isinstance(config.model, PointsConfig) and config.model.view_direction == "pixel"


def _small_view(config: RunConfig) -> View:
    """A view that every stage can train on."""
    side = 8 * math.lcm(*(stage.most_downscale for stage in config.all_stages.values()))
    pose = np.eye(4)
    pose[2, 3] = 3.0
    image, mask = np.full((side, side, 3), 0.5, np.float32), np.ones((side, side), np.float32)
    return View("small", Split.TRAIN, Camera.centred(pose, float(side), side, side), image, mask)


def _train_and_draw(config: RunConfig, view: View, trained: Callable[[], None]) -> None:
    import torch

    from pointrad.artifacts.colours import mean_colours
    from pointrad.render.build import build_renderer, build_settings
    from pointrad.training.trainer import warm_up

    renderer = build_renderer(config.renderer, build_settings(config.model, (0.0, 0.0, 0.0), [view.camera]))
    warm_up(config, (view,), renderer)
    trained()
    cloud = config.model.build().start(torch.zeros(2, 3), torch.zeros(2, 3), seed=0)
    mean_colours(cloud, [view], renderer)


def main() -> None:
    """Compile for the configuration on standard input; a line on standard output for each function that is done."""
    config = RunConfig.parse(json.load(sys.stdin))
    gc.disable()  # nothing that Numba makes here goes before the end
    _compile(config, lambda done, total: print(done, total, flush=True))
    if mark := mark_of(config):
        mark.touch()


if __name__ == "__main__":
    main()
