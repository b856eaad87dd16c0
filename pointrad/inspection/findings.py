"""What an inspection finds: each with a number that supports it, and a cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """FAULT: something is wrong. REMARK: worth knowing, and nothing to mend by itself."""

    FAULT = "fault"
    REMARK = "remark"


@dataclass(frozen=True)
class Finding:
    """kind: what it is, in few words. weight: how much of the capture it spoils, in [0, 1]. text: what was found, with
    the number that shows it. cure: what to do. views: which views it is about; () for the capture."""

    kind: str
    severity: Severity
    weight: float
    text: str
    cure: str
    views: tuple[str, ...] = ()


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Faults before remarks, and what spoils more before what spoils less."""
    return tuple(sorted(findings, key=lambda found: (found.severity is not Severity.FAULT, -found.weight)))


def named(views: Sequence[str], most: int = 4) -> str:
    """The names of views, of those beyond `most` how many they are."""
    more = f" and {len(views) - most} more" if len(views) > most else ""
    return ", ".join(views[:most]) + more
