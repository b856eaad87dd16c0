"""How each command starts: `train.py`, `sweep.py` and `corruptions.py`, in a checkout or installed, from any folder.

Hydra composes the configuration and calls the command's work. What a user can mend ends in a sentence instead of a
traceback. Nothing here imports torch or whatever else takes long: `--help`, a wrong key and Tab answer at once.
"""

from __future__ import annotations

import errno
import gc
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

from pointrad import __version__
from pointrad.bundled import CONFIG_FOLDER
from pointrad.errors import UserError
from pointrad.files import refusal
from pointrad.terminal import end_with_reader, printable

T = TypeVar("T")

_FULL_ERROR = "HYDRA_FULL_ERROR"
_WANTS_TRACEBACKS = os.environ.get(_FULL_ERROR) == "1"  # as the user set it; `start` sets it for Hydra


def start(config_name: str, work: Callable[[Any], Any]) -> None:
    """Do what the command line asks for: call `work` with the configuration composed from `config_name`, once or, with
    -m, for each job; or answer a question about it."""
    if "--version" in sys.argv[1:]:
        print(f"pointrad {__version__}")
        return
    end_with_reader()
    sys.argv[1:] = [with_home(word) for word in sys.argv[1:]]
    os.environ[_FULL_ERROR] = "1"  # what is wrong is raised, to be told here, instead of printed

    import hydra
    from hydra._internal.utils import get_args_parser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from launcher import help, mistakes

    sys.argv[1:] = options_first(sys.argv[1:])
    asked = get_args_parser().parse_args()
    name = asked.config_name or config_name
    call = hydra.main(version_base="1.3", config_path=str(CONFIG_FOLDER), config_name=config_name)(work)
    if asked.shell_completion:
        with suppress(HydraException, OmegaConfBaseException):  # Tab completes nothing, then
            call()
        return
    with telling_errors():
        if asked.config_path is not None:
            raise UserError(
                f"--config-path: found {asked.config_path}; expected --config-dir, whose files precede those of conf/"
            )
        loader = mistakes.config_loader(asked.config_dir)
        try:
            if asked.help:
                print(help.text(loader, name, asked.overrides))
            else:
                refuse_folders_without_effect(name, asked)
                if missing := mistakes.missing_choices(loader, name, asked.overrides):
                    raise UserError("\n".join(missing))
                _call(call)
        except (HydraException, OmegaConfBaseException) as error:
            if _WANTS_TRACEBACKS:
                raise
            raise UserError(mistakes.explained(error, loader, name, asked.overrides)) from None


def _call(call: Callable[[], Any]) -> None:
    from launcher.many import Sweep, telling_failures

    with telling_failures():
        try:
            call()
        except KeyboardInterrupt:
            if Sweep.folder is not None:
                tell_how_to_go_on({"hydra.sweep.dir": str(Sweep.folder)})
            sys.exit(130)
        except Exception as error:
            # What fails in a job does not come here: it is a launcher that lost a process, or a search without results.
            if Sweep.folder is None or _WANTS_TRACEBACKS or _is_told_elsewhere(error):
                raise
            print(printable(f"Error: the sweep ended early: {type(error).__name__}: {error}"), file=sys.stderr)
            sys.exit(1)


def job(work: Callable[[Path], T]) -> T | None:
    """What `work` returns for the folder of a job of Hydra's; with -m, None where it failed (`launcher.many`).

    Relative paths mean what they meant where the command was started, also under hydra.job.chdir=true.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    with chdir(hydra.runtime.cwd) if hydra.job.chdir else nullcontext():
        if hydra.mode is not RunMode.MULTIRUN:
            with telling_errors():
                return work(folder)
        try:
            return work(folder)
        except Exception as error:
            from launcher.many import Failure, note

            note(Path(hydra.sweep.dir), Failure(str(folder), list(hydra.overrides.task), one_sentence(error)))
            return None


def tell_how_to_go_on(folder: dict[str, str]) -> None:
    """Say on standard error that a run was stopped, and the command that goes on: the same, with this key."""
    kept = [word for word in sys.orig_argv if word.split("=")[0] not in folder]
    given = [f"{key}={value}" for key, value in folder.items()]
    print(f"\nStopped. The same command with {' '.join(given)} goes on from its last checkpoint:", file=sys.stderr)
    print(f"    {shlex.join([*kept, *given])}", file=sys.stderr)


def one_sentence(error: Exception) -> str:
    """What ended something, for a list of such."""
    if isinstance(error, UserError):
        return str(error)
    refused = refusal(error) if isinstance(error, OSError) else None
    return refused or f"{type(error).__name__}: {error}"


@contextmanager
def telling_errors() -> Iterator[None]:
    """End the program with one sentence where the block meets something that a user can mend."""
    try:
        yield
    except (UserError, OSError) as error:
        text = str(error) if isinstance(error, UserError) else refusal(error)
        if text is None or _WANTS_TRACEBACKS:
            raise
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # all other names are short
            text += "; expected a shorter hydra.run.dir or hydra.sweep.subdir, such as ${hydra.job.num}"
        sys.exit(printable(f"Error: {text}"))


@contextmanager
def loading_libraries() -> Iterator[None]:
    """For a command's import of torch and all else: a sixth faster, since no garbage is looked for among what modules
    make, which stays; neither meanwhile nor later."""
    if "torch" in sys.modules:  # of the second of several jobs, what the first left may be garbage
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def refuse_folders_without_effect(config_name: str, asked: Any) -> None:
    """Hydra ignores in silence the folder that a run has without -m where there is -m, and the other way round."""
    used, ignored = "hydra.run.dir", ["hydra.sweep.dir", "hydra.sweep.subdir"]
    if config_name == "sweep":
        used, ignored = "study.dir", ["hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"]
    elif asked.multirun:
        used, ignored = "hydra.sweep.dir", ["hydra.run.dir"]
    keys = [word.split("=")[0].lstrip("+") for word in asked.overrides]
    if "hydra.mode" in keys:
        return
    for key in ignored:
        if key in keys:
            how = "with -m" if asked.multirun else f"for {config_name}.py" if config_name == "sweep" else "without -m"
            raise UserError(f"{key}: has no effect {how}; expected {used}=FOLDER")


def _is_told_elsewhere(error: Exception) -> bool:
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    return isinstance(error, UserError | OSError | HydraException | OmegaConfBaseException)


def options_first(words: list[str]) -> list[str]:
    """The command line as Python's parser takes it, which is puzzled by values on both sides of an option."""
    from hydra._internal.utils import get_args_parser

    values = get_args_parser().parse_intermixed_args(words).overrides
    left = iter([*values, None])
    value, options = next(left), list[str]()
    for word in words:
        if word == value:
            value = next(left)
        else:
            options.append(word)
    return [*options, *values]


def with_home(word: str) -> str:
    """An override whose values begin with ~ as the shell would have it, which leaves what follows KEY= alone."""
    if "=" not in word or word.startswith("-"):
        return word
    return re.sub(r"(?<=[=\[,:'\"])~[\w.-]*(?=[/,\]}'\"]|$)", lambda found: str(Path(found[0]).expanduser()), word)
