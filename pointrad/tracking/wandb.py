"""Weights & Biases: one W&B run per run folder, through kills and requeues, online or offline."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import wandb

from pointrad.config import WandbTrackerConfig
from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.progress import announce
from pointrad.tracking.wandb_files import last_steps, mend, set_aside_offline
from pointrad.training.record import EpochRecord

ID_FILE = "wandb_id"
_INIT_SECONDS = 30  # then the run is kept offline
_UPLOAD_SECONDS = 120  # of a result; then the run goes on, and so does the upload
_FINISH_SECONDS = 300  # a dead network must not hold a job; what was not uploaded stays on disk
_TAG_LENGTH = 64  # W&B's limit
_BETTER = {  # which way each metric improves, so that W&B's tables and summaries show the best
    "train/loss": "min",
    "train/psnr_db": "max",
    "psnr_db": "max",
    "ssim": "max",
    "lpips": "min",
    "train_seconds": "min",
    "render_fps": "max",
    "model_mb": "min",
    "peak_memory_mb": "min",
}
Mode = Literal["online", "offline", "disabled", "shared"]
_log = logging.getLogger(__name__)


class WandbTracker:
    """Logs to the W&B run whose id is kept in the run folder; the step is the epoch.

    Training metrics are `train/loss`, `train/psnr_db`, ...; the bare names are the evaluated ones of the summary. What
    W&B raises is reported once, as a warning, and training goes on. It never asks for a login.
    """

    def __init__(
        self,
        config: WandbTrackerConfig,
        run_config: Mapping[str, Any],
        run_dir: Path,
        name: str,
        tags: Sequence[str],
        history: Sequence[EpochRecord],
    ) -> None:
        """`run_config`, with the run's identity, is shown nested; `history` holds the epochs trained so far, logged
        now where W&B lacks them.

        Raises UserError if the mode is online and there are no credentials.
        """
        self._warned = False
        self._run_id = _stable_id(run_dir, run_config["identity"])
        base = Path(os.environ.get("WANDB_DIR") or run_dir)
        self._folder = base / "wandb"
        wandb.setup(settings=wandb.Settings(silent=True))
        mend(self._folder, self._run_id)
        self._steps_before = last_steps(self._folder, self._run_id)
        self._first_step = 1 + max(self._steps_before.values(), default=-1)
        _wait_for_own_folder(self._folder, self._run_id)
        self._run = self._init(
            _mode(config.mode),
            entity=config.entity,
            project=config.project,
            group=config.group,
            job_type=config.job_type,
            name=name,
            tags=list(dict.fromkeys(tag[:_TAG_LENGTH] for tag in (*tags, *config.tags))),
            config=dict(run_config),
            dir=str(base),
        )
        self._attempt(self._prepare)
        for record in history:
            self.log_epoch(record)

    def log_epoch(self, record: EpochRecord) -> None:
        if record.epoch > self._steps_before.get("train/loss", -1):
            values = {f"train/{key}": value for key, value in asdict(record).items() if key != "epoch"}
            self._attempt(lambda run: run.log({"epoch": record.epoch, **values}, step=record.epoch))

    def log_image(self, name: str, path: Path, epoch: int) -> None:
        self._log_media(name, lambda: wandb.Image(str(path)), epoch)

    def log_video(self, name: str, path: Path, epoch: int) -> None:
        self._log_media(name, lambda: wandb.Video(str(path), format="mp4"), epoch)

    def log_file(self, name: str, path: Path) -> None:
        def log(run: wandb.Run) -> None:
            artifact = wandb.Artifact(f"{name}-{run.id}", type=name)
            artifact.add_file(str(path), policy="immutable", skip_cache=True)  # uploads from where it is, no copies
            logged = run.log_artifact(artifact)
            if not (run.offline or run.disabled):
                logged.wait(_UPLOAD_SECONDS)  # else W&B keeps a failure to itself

        self._attempt(log)

    def summarise(self, summary: Mapping[str, object]) -> None:
        self._attempt(lambda run: run.summary.update(dict(summary)))

    def finish(self, exit_code: int, preempted: bool = False) -> None:
        if preempted:
            self._attempt(lambda run: run.mark_preempting())
        self._attempt(lambda run: run.finish(exit_code=exit_code))
        if self._run is not None and self._run.offline:
            fragments = f"{shlex.quote(str(self._folder))}/offline-run-*-{self._run_id}"
            announce(f"W&B is offline; to upload this run: wandb sync {fragments}")
        self._run = None

    def _log_media(self, name: str, media: Callable[[], object], epoch: int) -> None:
        if epoch > self._steps_before.get(name, -1):
            # A history only grows: what belongs to an epoch that an earlier process closed goes into the next row.
            step = max(epoch, self._first_step)
            self._attempt(lambda run: run.log({"epoch": epoch, name: media()}, step=step))

    def _init(self, mode: Mode, **arguments: Any) -> wandb.Run | None:
        settings = wandb.Settings(
            silent=True, console="off", init_timeout=_INIT_SECONDS, finish_timeout=_FINISH_SECONDS
        )
        for attempt in dict.fromkeys((mode, "offline")):
            try:
                return wandb.init(
                    id=self._run_id, resume="allow", reinit="create_new", mode=attempt, settings=settings, **arguments
                )
            except Exception as error:
                self._warn(error)
                wandb.teardown()  # else W&B holds the id as in use
        return None

    def _prepare(self, run: wandb.Run) -> None:
        run.define_metric("epoch")
        run.define_metric("*", step_metric="epoch")
        for metric, best in _BETTER.items():
            run.define_metric(metric, step_metric="epoch", summary=best)
        if not (run.offline or run.disabled):
            self._go_on_from_server(run)
            announce(f"W&B: {run.url}")

    def _go_on_from_server(self, run: wandb.Run) -> None:
        """The server knows best what has reached it; what only offline files hold is logged to it anew."""
        set_aside_offline(self._folder, self._run_id)
        self._first_step = run.starting_step
        self._steps_before = {"train/loss": run.starting_step - 1, **_media_steps(run.summary)}

    def _attempt(self, action: Callable[[wandb.Run], object]) -> None:
        """W&B's troubles are not the training's; interrupts and exits (no `Exception`s) pass."""
        if self._run is not None:
            try:
                action(self._run)
            except Exception as error:
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            _log.warning(
                "W&B failed and may lack part of this run (%s: %s); training goes on", type(error).__name__, error
            )
        self._warned = True


def _stable_id(run_dir: Path, identity: str) -> str:
    """The id in the folder's file; at first, one that the same run in the same folder would get again."""
    path = run_dir / ID_FILE
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(hashlib.sha256(f"{identity} {run_dir.resolve()}".encode()).hexdigest()[:12])
    return path.read_text().strip()


def _wait_for_own_folder(folder: Path, run_id: str) -> None:
    """W&B names the folder of a process by the second: two of one run within it would write over each other."""
    while any(folder.glob(f"*run-{time.strftime('%Y%m%d_%H%M%S')}-{run_id}")):
        time.sleep(0.05)


def _media_steps(summary: Any) -> dict[str, int]:
    """The step of each key's last file in a resumed run's summary, which names files render_STEP_HASH.png."""
    steps = {}
    for key in summary.keys():  # noqa: SIM118 (W&B's class iterates through nothing else)
        file = getattr(summary[key], "get", lambda _: None)("path")
        named = re.search(r"_(\d+)_\w+\.\w+$", str(file))
        if named:
            steps[key] = int(named[1])
    return steps


def _mode(configured: str) -> Mode:
    """What `wandb.init` is told: the configured mode, else WANDB_MODE, else online exactly if that needs no login."""
    mode = os.environ.get("WANDB_MODE", "auto") if configured == "auto" else configured
    if mode not in ("auto", "online"):
        return cast(Mode, mode)  # wandb.init checks what WANDB_MODE says
    if wandb.login(prompt=False, verify=False):
        return "online"
    if mode == "auto":
        return "offline"
    raise UserError(
        "tracker.mode: found online, but no W&B credentials; run `wandb login`, set WANDB_API_KEY, or give "
        "tracker.mode=offline"
    )
