"""A study's report, kept up to date without being drawn more often than needed."""

from __future__ import annotations

from pathlib import Path

from pointrad.run.status import RunState
from pointrad.study.plan import PAGE_FILE, REPORT_FOLDER, Plan
from pointrad.study.results import Findings

_HEAD = 4096  # bytes of a page, in which it says what it was made from


def bring_report_up_to_date(plan: Plan) -> Path | None:
    """Write the report unless there is one that was made from just this; None while no run is done."""
    findings = Findings.read(plan)
    if _is_made_from(findings):
        return _page(plan)
    return _write(findings) if any(row["state"] == RunState.DONE for row in findings.rows) else None


def report_is_current(plan: Plan) -> bool | None:
    """Whether the report was made from what the runs are now; None where there is none."""
    return _is_made_from(Findings.read(plan)) if _page(plan).exists() else None


def report(plan: Plan) -> Path:
    """Write the report and return its page. Raises UserError if no run is done."""
    return _write(Findings.read(plan))


def table(plan: Plan) -> Path:
    """Write the report's table of all runs alone, whatever has become of them, and return it."""
    from pointrad.study.report import write_tables

    return write_tables(Findings.read(plan).results())


def made_from_tag(digest: str) -> str:
    """How a page says what it was made from."""
    return f'<meta name="made-from" content="{digest}">'


def _write(findings: Findings) -> Path:
    from pointrad.study.report import write_report  # imports pandas and Matplotlib, which take as long as all else

    return write_report(findings.results(), findings.plan.command)


def _is_made_from(findings: Findings) -> bool:
    try:
        with _page(findings.plan).open("rb") as page:
            return made_from_tag(findings.digest).encode() in page.read(_HEAD)
    except OSError:
        return False


def _page(plan: Plan) -> Path:
    return plan.study.dir / REPORT_FOLDER / PAGE_FILE
