"""A study's report, kept up to date without being drawn more often than needed."""

from __future__ import annotations

from pathlib import Path

from pointrad.status import STATUS_FILE, SUMMARY_FILE, RunState
from pointrad.study.plan import PAGE_FILE, PLAN_FILE, REPORT_FOLDER, Plan


def bring_report_up_to_date(plan: Plan) -> Path | None:
    """Write the report where it is missing or older than what became of a run; None while no run is done."""
    page = plan.study.dir / REPORT_FOLDER / PAGE_FILE
    if _is_current(page, plan):
        return page
    done = any(plan.status(run).state is RunState.DONE for run in plan.distinct())
    return report(plan) if done else None


def report(plan: Plan) -> Path:
    """Write the report and return its page. Raises UserError if no run is done."""
    from pointrad.study.report import write_report  # imports pandas and Matplotlib, which take as long as all else
    from pointrad.study.results import collect

    return write_report(collect(plan), plan.command)


def table(plan: Plan) -> Path:
    """Write the report's table of all runs alone, whatever has become of them, and return it."""
    from pointrad.study.report import write_tables
    from pointrad.study.results import collect

    return write_tables(collect(plan))


def _is_current(page: Path, plan: Plan) -> bool:
    if not page.exists():
        return False
    folders = [plan.run_dir(run) for run in plan.distinct()]
    # A folder's own time tells when a run was taken over from another study, whose files keep theirs.
    sources = [plan.study.dir / PLAN_FILE, *folders]
    sources += [folder / name for folder in folders for name in (STATUS_FILE, SUMMARY_FILE)]
    return all(source.stat().st_mtime <= page.stat().st_mtime for source in sources if source.exists())
