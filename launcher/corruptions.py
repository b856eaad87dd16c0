"""`corruptions.py`, and `pointrad-corruptions` where pointrad is installed."""

from __future__ import annotations

from typing import Any

from launcher.entry import job, start


def main() -> None:
    start("corruptions", compare)


def compare(composed: Any) -> None:
    """Draw or match the models of mask errors."""
    job(lambda folder: _compare(composed))


def _compare(composed: Any) -> None:
    from launcher.composition import checked
    from pointrad.config import CorruptionsConfig
    from pointrad.corruption.compare import compare

    compare(checked(CorruptionsConfig, composed))
