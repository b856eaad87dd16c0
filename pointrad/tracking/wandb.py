"""Weights & Biases: one W&B run per run folder, through kills and requeues, online or offline."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, cast

import wandb
from pydantic import ValidationError

from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.progress import announce
from pointrad.terminal import printable
from pointrad.tracking.config import WandbTrackerConfig
from pointrad.tracking.logged import EPOCH, Logged
from pointrad.tracking.wandb_files import logged_in_files, mend, set_aside_offline
from pointrad.tracking.wandb_server import logged_by_summary, logged_on_server
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
    "psnr_object_db": "max",
    "silhouette_iou": "max",
    "repaired_iou": "max",
    "ranking_precision": "max",
    "train_seconds": "min",
    "render_fps": "max",
    "model_mb": "min",
    "peak_memory_mb": "min",
}
Mode = Literal["online", "offline", "disabled", "shared"]
_log = logging.getLogger(__name__)


class WandbTracker:
    """Logs to the W&B run whose id is kept in the run folder, each epoch and each picture once.

    Training metrics are `train/loss`, `train/psnr_db`, ...; the bare names are the evaluated ones of the summary. Rows
    are numbered by epochs, as far as nothing had to be logged late. What W&B raises, from its settings on, is reported
    once, as a warning, and training goes on. It never asks for a login.
    """

    def __init__(
        self,
        config: WandbTrackerConfig,
        run_config: Mapping[str, Any],
        run_dir: Path,
        name: str,
        tags: Sequence[str],
    ) -> None:
        """`run_config`, with the run's identity, is shown nested.

        Raises UserError if the mode is online and there are no credentials.
        """
        self._warned = False
        self._run: wandb.Run | None = None
        self._run_id = _stable_id(run_dir, run_config["identity"])
        base = self._choose_folder(run_dir)
        self._folder = base / "wandb"
        self._logged = Logged()
        with self._warning():
            mend(self._folder, self._run_id)
            self._logged = logged_in_files(self._folder, self._run_id)
        _wait_for_own_folder(self._folder, self._run_id)
        self._init(
            self._choose_mode(config.mode),
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
        self._row, self._row_epoch = self._logged.rows, cast(int | None, None)

    def log_epoch(self, record: EpochRecord) -> None:
        if record.epoch not in self._logged.epochs:
            values = {f"train/{key}": value for key, value in asdict(record).items() if key not in ("epoch", "lr")}
            values |= {f"train/lr/{name}": rate for name, rate in record.lr.items()}
            self._attempt(lambda run: self._log(run, record.epoch, values))

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
            folder = Path(self._run.settings.sync_dir).parent  # where they are, whatever W&B was told
            fragments = f"{shlex.quote(str(folder))}/offline-run-*-{self._run_id}"
            announce(f"W&B is offline; to upload this run: wandb sync {fragments}")
        self._run = None

    def _log_media(self, name: str, media: Callable[[], object], epoch: int) -> None:
        if (name, epoch) not in self._logged.media:
            self._attempt(lambda run: self._log(run, epoch, {name: media()}))

    def _log(self, run: wandb.Run, epoch: int, values: Mapping[str, object]) -> None:
        """A row holds what belongs to one epoch, whose number it has unless an earlier process has closed that row: a
        history only grows, and W&B drops what is logged to a row before the last."""
        is_new = self._row_epoch not in (None, epoch)
        self._row, self._row_epoch = max(self._row + is_new, epoch), epoch
        run.log({EPOCH: epoch, **values}, step=self._row)

    def _choose_folder(self, run_dir: Path) -> Path:
        """Where W&B's own folder goes: WANDB_DIR, else the run folder; elsewhere in it if `wandb` is something else."""
        named = os.environ.get("WANDB_DIR")
        if named and not _can_hold_files(Path(named).expanduser()):
            _log.warning("WANDB_DIR: found %s, where W&B's files cannot be written; they go to %s", named, run_dir)
        elif named:
            return Path(named).expanduser()
        return run_dir if _can_hold_files(run_dir) else run_dir / "tracking"

    def _choose_mode(self, configured: str) -> Mode:
        try:
            return _mode(configured)
        except _SettingsError as error:
            self._warn(error)
            return "offline"

    def _init(self, mode: Mode, **arguments: Any) -> None:
        """Start the W&B run, offline if it cannot be as asked for, and if need be without W&B's own settings."""
        for attempt in dict.fromkeys((mode, "offline")):
            try:
                self._run = self._started(attempt, **arguments)
                return
            except Exception as error:
                self._warn(error)
                with suppress(Exception):
                    wandb.teardown()  # else W&B holds the id as in use
        with self._warning(), _without_settings(self._folder):
            self._run = self._started("offline", **arguments)

    def _started(self, mode: Mode, **arguments: Any) -> wandb.Run:
        settings = wandb.Settings(
            silent=True, console="off", init_timeout=_INIT_SECONDS, finish_timeout=_FINISH_SECONDS, use_dot_wandb=False
        )
        return wandb.init(
            id=self._run_id, resume="allow", reinit="create_new", mode=mode, settings=settings, **arguments
        )

    def _prepare(self, run: wandb.Run) -> None:
        run.define_metric(EPOCH)
        run.define_metric("*", step_metric=EPOCH)
        for metric, best in _BETTER.items():
            run.define_metric(metric, step_metric=EPOCH, summary=best)
        if not (run.offline or run.disabled):
            self._go_on_from_server(run)
            announce(f"W&B: {run.url}")

    def _go_on_from_server(self, run: wandb.Run) -> None:
        """The server knows best what has reached it; what only offline files hold is logged to it anew."""
        set_aside_offline(self._folder, self._run_id)
        self._logged = Logged()
        if run.starting_step > 0:
            try:
                self._logged = logged_on_server(run)
            except Exception as error:
                _log.info("W&B does not tell what it has of this run (%s); its summary does", _in_a_line(error))
                self._logged = logged_by_summary(run)

    @contextmanager
    def _warning(self) -> Iterator[None]:
        """W&B's troubles are not the training's; interrupts and exits (no `Exception`s) pass."""
        try:
            yield
        except Exception as error:
            self._warn(error)

    def _attempt(self, action: Callable[[wandb.Run], object]) -> None:
        if self._run is not None:
            with self._warning():
                action(self._run)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            _log.warning("W&B failed and may lack part of this run (%s); training goes on", _in_a_line(error))
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


def _can_hold_files(folder: Path) -> bool:
    """Whether W&B's own folder is, or can be made, in this one."""
    try:
        (folder / "wandb").mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.R_OK | os.W_OK) and os.access(folder / "wandb", os.R_OK | os.W_OK)
    except OSError:
        return False


@contextmanager
def _without_settings(folder: Path) -> Iterator[None]:
    """W&B as if nobody had set anything: neither in the environment nor in its files."""
    named = {name: value for name, value in os.environ.items() if name.startswith("WANDB_")}
    for name in named:
        del os.environ[name]
    os.environ["WANDB_CONFIG_DIR"] = str(folder)  # which holds no settings
    try:
        yield
    finally:
        del os.environ["WANDB_CONFIG_DIR"]
        os.environ.update(named)


def _in_a_line(error: Exception) -> str:
    """What W&B complains of, without the credentials that it may quote."""
    if isinstance(error, _SettingsError):
        told = str(error)
    elif isinstance(error, ValidationError):
        told = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
    else:
        told = f"{type(error).__name__}: {error}"
    key = os.environ.get("WANDB_API_KEY", "").strip()
    return printable(" ".join((told.replace(key, "...") if key else told).split()))


def check_settings(config: WandbTrackerConfig) -> None:
    """Raises UserError, before there is any work to lose, where the run is to be online and W&B cannot be."""
    with suppress(_SettingsError):
        _mode(config.mode)
    with suppress(ImportError):  # which `wandb.init` would do, for half a second in which training waits
        importlib.import_module("wandb.sdk.launch.inputs.internal")


class _SettingsError(Exception):
    """W&B's settings or credentials are such that it raises before a run is started."""


def _mode(configured: str) -> Mode:
    """What `wandb.init` is told: the configured mode, else WANDB_MODE, else online exactly if that needs no login."""
    try:
        wandb.setup(settings=wandb.Settings(silent=True))
        mode = os.environ.get("WANDB_MODE", "auto") if configured == "auto" else configured
        if mode not in ("auto", "online"):
            return cast(Mode, mode)  # W&B has checked what WANDB_MODE says
        if wandb.login(prompt=False, verify=False):
            return "online"
    except Exception as error:
        if configured == "online":
            raise UserError(
                f"tracker.mode: found online, but W&B raises {_in_a_line(error)}; mend its settings, or give "
                "tracker.mode=offline"
            ) from None
        raise _SettingsError(f"its settings: {_in_a_line(error)}") from None
    if mode == "auto":
        return "offline"
    key = "tracker.mode" if configured == "online" else "WANDB_MODE"
    raise UserError(
        f"{key}: found online, but no W&B credentials; run `wandb login`, set WANDB_API_KEY, or give "
        "tracker.mode=offline"
    )
