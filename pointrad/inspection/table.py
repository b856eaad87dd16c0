"""An inspection in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pointrad.inspection.findings import Severity
from pointrad.inspection.page import Inspection
from pointrad.terminal import printable

_MOST_VIEWS = 8  # in the table: those that differ most
_NARROWEST = 100  # columns: where there is no terminal, and no width


def show(inspection: Inspection) -> None:
    """Print facts, the views that differ most from the hull, and findings, worst first."""
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=max(_NARROWEST, console.width))
    facts = Table(
        title=_plain(inspection.name), show_header=False, title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for name, value in inspection.facts.items():
        facts.add_row(f"[bold]{name}[/bold]", _plain(value))
    console.print(facts)
    if inspection.hull is not None:
        console.print(_views(inspection))
    if inspection.findings:
        console.print(_findings(inspection))
    faults = len(inspection.faults)
    console.print(
        "Nothing looks wrong." if not faults else f"{faults} thing{'s' * (faults > 1)} look{'s' * (faults == 1)} wrong."
    )


def _findings(inspection: Inspection) -> Table:
    table = Table(
        title="Findings, worst first", title_justify="left", box=None, padding=(0, 2, 1, 0), show_header=False
    )
    for n, finding in enumerate(inspection.findings, 1):
        colour = "red" if finding.severity is Severity.FAULT else "yellow"
        said = f"[bold]{_plain(finding.kind)}[/bold]: {_plain(finding.text)}.\n-> {_plain(finding.cure)}."
        table.add_row(str(n), f"[{colour}]{finding.severity}[/{colour}]", said)
    return table


def _views(inspection: Inspection) -> Table:
    table = Table(
        title="Views that differ most from the hull of the others", title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    table.add_column("view")
    for heading in ("mask covers", "IoU with hull", "mask only", "hull only"):
        table.add_column(heading, justify="right")
    for view in inspection.views[:_MOST_VIEWS]:
        difference = (
            ("", "") if view.difference is None else (f"{view.difference.beyond:.1%}", f"{view.difference.lacking:.1%}")
        )
        iou = "" if view.iou is None else f"{view.iou:.3f}"
        table.add_row(_plain(view.name), f"{view.coverage:.1%}", iou, *difference)
    return table


def _plain(text: str) -> str:
    return escape(printable(text))
