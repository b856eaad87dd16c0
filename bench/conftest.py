"""Orders the benchmarks by sitting, and reports when all are done."""

from __future__ import annotations

import pytest

from bench.report import RESULTS, Report

REPORT = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report()
    config.option.benchmark_quiet = True  # its table has a row for each sitting; ours pools them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.callspec.params.get("sitting", 0) if hasattr(item, "callspec") else 0)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    return pytestconfig.stash[REPORT]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    report = config.stash[REPORT]
    if not report.seconds:
        return
    results = report.results()
    report.print_table(results)
    if exitstatus == 0 and not terminalreporter.stats.get("deselected"):
        report.write(results)
        terminalreporter.write_line(f"Written: {RESULTS}")
    else:
        terminalreporter.write_line(f"Not all benchmarks ran: {RESULTS} stays as it was")
