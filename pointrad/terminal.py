"""What a terminal is given: text that cannot command it, for as long as somebody reads."""

from __future__ import annotations

import atexit
import io
import os
import sys
import unicodedata
from pathlib import Path

_EXIT_STATUS = 141  # as a shell tells of a program whose reader left (128 + SIGPIPE)
_PLAIN = "\n\t"
_COMMANDING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, formatting (such as text backwards), surrogates, separators


def printable(text: str) -> str:
    """`text` with every character that a terminal would obey instead of showing written as its escape.

    Names and messages come from run folders and scenes of others; lines and tabs stay.
    """
    return "".join(
        character if character in _PLAIN or unicodedata.category(character) not in _COMMANDING else _escape(character)
        for character in text
    )


def end_with_reader() -> None:
    """From now on, the program ends without a word where whoever reads its output has left, as in `... | head`."""
    if sys.stdout is None:  # closed from the start (`>&-`)
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (until the end)
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _Output(sys.stdout)
        atexit.register(sys.stdout.close_quietly)


class _Output(io.TextIOWrapper):
    """Standard output whose reader may leave: SystemExit then, which no `except Exception` takes for a failure."""

    def __init__(self, stdout: io.TextIOWrapper) -> None:
        super().__init__(
            stdout.buffer, stdout.encoding, stdout.errors, line_buffering=stdout.line_buffering,
            write_through=stdout.write_through,
        )  # fmt: skip

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop_the_rest()
            raise SystemExit(_EXIT_STATUS) from None

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            self._drop_the_rest()
            raise SystemExit(_EXIT_STATUS) from None

    def close_quietly(self) -> None:
        """At the end of the program, which keeps its exit status."""
        try:
            super().flush()
        except BrokenPipeError:
            self._drop_the_rest()

    def _drop_the_rest(self) -> None:
        """What is still buffered goes nowhere, so that nothing complains of it later."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
