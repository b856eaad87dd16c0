"""The one exception that is the user's to fix."""

from pointrad.terminal import printable


class UserError(Exception):
    """Bad input or configuration: its message names the file or key, what was found and what is expected.

    `train.py` prints the message alone and exits with 1; anything else is a bug and keeps its traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))  # it quotes what others wrote
