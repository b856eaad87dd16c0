"""Charts for print: PNG and PDF, sized for a column (one panel) or the width of a page (small multiples)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pointrad.files import replacing
from pointrad.study.report.charts import Chart, Line, Point

SUFFIXES = (".png", ".pdf")

_COLUMN, _PAGE = 3.5, 7.2  # inches
_MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "inverted": "v",
    "plus": "P",
    "cross": "X",
    "star": "*",
}
_STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,  # fonts as text, as publishers ask
    "savefig.dpi": 300,
}
_MOST_NAMES = 14  # beside points, before they cover each other


def write_figure(folder: Path, chart: Chart) -> None:
    """Draw `chart` as `folder/NAME.png` and `.pdf`; the same chart gives the same bytes."""
    with rc_context(_STYLE):
        figure = _draw(chart)
        for suffix in SUFFIXES:
            with replacing(folder / f"{chart.name}{suffix}") as temporary:
                metadata = {"CreationDate": None} if suffix == ".pdf" else {}
                figure.savefig(temporary, metadata=metadata)


def _draw(chart: Chart) -> Figure:
    columns = min(len(chart.panels), 4)
    rows = -(-len(chart.panels) // columns)
    single = len(chart.panels) == 1
    figure = Figure(figsize=(_COLUMN, 2.6) if single else (_PAGE, 0.5 + 1.8 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
    for axes, panel in zip(grid, chart.panels, strict=False):
        axes.set_title(panel.title)
        for index, line in enumerate(panel.lines):
            _plot(axes, line, chart, index, len(panel.lines))
        _dress(axes, chart)
    for axes in list(grid)[len(chart.panels) :]:
        axes.set_visible(False)
    figure.supxlabel(chart.x_label, fontsize=8)
    figure.supylabel(chart.y_label, fontsize=8)
    _add_legend(figure, chart, single)
    return figure


def _plot(axes: Axes, line: Line, chart: Chart, index: int, count: int) -> None:
    """Repeats as faint dots, means with bars; where x is categorical, lines stand beside each other."""
    aside = 0.0 if chart.categories is None else 0.5 * ((index + 0.5) / count - 0.5)
    repeats = [repeat for point in line.points if len(point.repeats) > 1 for repeat in point.repeats]
    axes.plot(
        [x + aside for x, _ in repeats], [y for _, y in repeats],
        linestyle="none", marker=".", markersize=4, markeredgewidth=0, color=line.colour, alpha=0.35, zorder=2,
    )  # fmt: skip
    axes.errorbar(
        [point.x + aside for point in line.points],
        [point.y for point in line.points],
        # No bar where there is no spread: matplotlib leaves out bars of NaN.
        yerr=[float("nan") if point.spread is None else point.spread for point in line.points],
        capsize=2, elinewidth=0.8, zorder=3, **_look(line, chart.joined),
    )  # fmt: skip
    names = [point for point in line.points if not line.published]
    if not chart.joined and chart.categories is None and len(names) <= _MOST_NAMES:
        _name_points(axes, names)


def _name_points(axes: Axes, points: list[Point]) -> None:
    for point in points:
        axes.annotate(
            point.name.rpartition(", ")[2], (point.x, point.y), (4, -7), textcoords="offset points", fontsize=5,
            color="0.35",
        )  # fmt: skip


def _look(line: Line, joined: bool) -> dict[str, Any]:
    return {
        "color": line.colour,
        "marker": _MARKERS[line.marker],
        "markerfacecolor": "white" if line.published else line.colour,
        "linestyle": ("--" if line.published else "-") if joined else "none",
    }


def _dress(axes: Axes, chart: Chart) -> None:
    axes.grid(color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if chart.categories is None:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        return
    crowded = sum(map(len, chart.categories)) > 36 // len(chart.panels[:4])
    axes.set_xticks(range(len(chart.categories)), chart.categories, rotation=30 if crowded else 0,
                    ha="right" if crowded else "center", rotation_mode="anchor" if crowded else None)  # fmt: skip
    axes.set_xlim(-0.5, len(chart.categories) - 0.5)


def _add_legend(figure: Figure, chart: Chart, single: bool) -> None:
    lines = {line.name: line for panel in chart.panels for line in panel.lines}
    if len(lines) == 1:
        return
    handles = [Line2D([], [], label=name, **_look(line, chart.joined)) for name, line in lines.items()]
    widest = max(map(len, lines))
    figure.legend(
        handles=handles, loc="outside lower center", frameon=False, title=chart.legend_title or None,
        ncols=max(1, min(len(lines), (60 if single else 130) // (widest + 8))),
    )  # fmt: skip
