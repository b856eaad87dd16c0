"""What a terminal is given: nothing that commands it, and nothing once nobody reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pointrad.errors import UserError
from pointrad.terminal import printable
from tests.runs import REPOSITORY

pytestmark = pytest.mark.integration

CHATTER = (
    "from pointrad.terminal import end_with_reader; end_with_reader()\nfor n in range({lines}): print(n, flush={flush})"
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),  # the same in one character
        ("back\x08 and \rover", r"back\x08 and \rover"),
        ("\u202egnp.exe", r"\u202egnp.exe"),  # text backwards
        ("\udcff", r"\udcff"),  # of a file's name that is no UTF-8
        ("Größe 12 %, 深さ\n\tnext", "Größe 12 %, 深さ\n\tnext"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_an_error_quotes_what_it_found_without_its_escapes() -> None:
    assert str(UserError("scene.name: found \x1b[31mred\x1b[0m")) == r"scene.name: found \x1b[31mred\x1b[0m"


@pytest.mark.parametrize("flush", [True, False], ids=["line by line", "at once"])
@pytest.mark.parametrize("lines", [3, 100_000])
def test_a_program_whose_reader_has_left_ends_without_a_word(lines: int, flush: bool) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", CHATTER.format(lines=lines, flush=flush)], cwd=REPOSITORY,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    assert program.stderr.read() == b""
    assert program.wait() in ((141,) if flush or lines > 3 else (0, 141))


@pytest.mark.parametrize("closed", [">&-", ">/dev/null"])
def test_a_program_without_output_does_its_work(closed: str, tmp_path: Path) -> None:
    body = f"{CHATTER.format(lines=3, flush=True)}\nopen(r'{tmp_path}/done', 'w')"
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, body], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr, (tmp_path / "done").exists()) == (0, b"", True)


@pytest.mark.parametrize(
    "words", [["train.py", "--help"], ["sweep.py", "--help"], ["-m", "pointrad.tracking", "--help"]]
)
def test_our_programs_end_with_their_reader(words: list[str]) -> None:
    program = subprocess.Popen(
        [sys.executable, "-u", *words], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    assert program.stderr.read() == b""
    assert program.wait() == 141
