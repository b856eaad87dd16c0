"""The exceptions that are the user's to fix, and those that are the machine's."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches

from pointrad.terminal import printable

_OF_MACHINE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EREMOTEIO, errno.ENXIO, errno.ENODEV,
    errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN, errno.ECONNRESET, errno.ENOMEM, errno.EMFILE,
    errno.ENFILE,
}  # fmt: skip


class UserError(Exception):
    """Bad input or configuration: its message names the file or key, what was found and what is expected.

    `train.py` prints the message alone and exits with 1; anything else is a bug and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))  # it quotes what others wrote


class MachineError(UserError):
    """Trouble of the machine, such as a full disk: nothing is wrong with a run that meets it, and the same call resumes
    it."""


class OtherRunError(UserError):
    """The folder holds another run than the one asked for; that one keeps its status."""


def trouble_of_machine(error: BaseException | None) -> BaseException | None:
    """`error`, or what it was raised over, if that is trouble of the machine: its disks, its memory, its network."""
    if error is None:
        return None
    of_memory = isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)  # torch has no class for it
    of_system = isinstance(error, OSError) and error.errno in _OF_MACHINE
    if isinstance(error, MachineError) or of_memory or of_system:
        return error
    return trouble_of_machine(error.__cause__ or error.__context__)


def did_you_mean(found: str, valid: Iterable[str]) -> str:
    """The end of a sentence that names the valid word nearest to `found`; "" where none is near."""
    near = get_close_matches(found, list(valid), n=1)
    return f"; did you mean {near[0]}?" if near else ""
