"""What produced the finished runs, from their provenance files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError


class _Git(BaseModel):
    commit: str
    dirty: bool


class _Provenance(BaseModel):
    versions: dict[str, str | None]
    git: _Git | None
    platform: str
    device: str


@dataclass(frozen=True)
class Origins:
    """How many runs come from each commit, device and platform and from each version of a package, and what of that
    makes them hard to compare or to repeat."""

    commits: tuple[tuple[str, int], ...]
    devices: tuple[tuple[str, int], ...]
    platforms: tuple[tuple[str, int], ...]
    versions: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    warnings: tuple[str, ...]


def read_origins(run_dirs: Iterable[Path]) -> Origins:
    """Read the provenance of every folder; those without a readable one are counted in a warning."""
    read = [_read(run_dir) for run_dir in run_dirs]
    known = [provenance for provenance in read if provenance is not None]
    commits = Counter(_commit(provenance.git) for provenance in known)
    packages = dict.fromkeys(package for provenance in known for package in provenance.versions)
    versions = {
        package: Counter(provenance.versions.get(package) or "absent" for provenance in known) for package in packages
    }
    return Origins(
        commits=tuple(commits.most_common()),
        devices=tuple(Counter(provenance.device for provenance in known).most_common()),
        platforms=tuple(Counter(provenance.platform for provenance in known).most_common()),
        versions=tuple((package, tuple(counter.most_common())) for package, counter in versions.items()),
        warnings=tuple(_warnings(known, len(read) - len(known), versions)),
    )


def _read(run_dir: Path) -> _Provenance | None:
    try:
        return _Provenance.model_validate_json((run_dir / "provenance.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _commit(git: _Git | None) -> str:
    if git is None:
        return "outside a git checkout"
    return f"{git.commit} with uncommitted changes" if git.dirty else git.commit


def _warnings(known: list[_Provenance], unknown: int, versions: dict[str, Counter[str]]) -> list[str]:
    commits = {provenance.git.commit for provenance in known if provenance.git}
    dirty = sum(provenance.git is not None and provenance.git.dirty for provenance in known)
    mixed = [package for package, counter in versions.items() if len(counter) > 1]
    warnings = []
    if len(commits) > 1:
        warnings.append(f"The runs come from {len(commits)} different git commits.")
    if dirty:
        warnings.append(f"{_runs(dirty)} from a checkout with uncommitted changes.")
    if mixed:
        warnings.append(f"The runs differ in their versions of {', '.join(mixed)}.")
    if unknown:
        warnings.append(f"{_runs(unknown)} from an unknown place: no readable provenance.json.")
    return warnings


def _runs(count: int) -> str:
    return "1 run comes" if count == 1 else f"{count} runs come"
