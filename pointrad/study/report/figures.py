"""Charts for print: PNG and PDF, sized for a column (one panel) or the width of a page (small multiples)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType
from numpy.typing import NDArray

from pointrad.files import replacing
from pointrad.study.report.charts import Chart, Line, Panel, Point

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
_STYLE: dict[RcKeyType, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "legend.handlelength": 3,
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
    "text.parse_math": False,  # names are names, dollars included, as on the page
}
_MOST_NAMES = 14  # beside points, before they cover each other
_BESIDE: dict[str, Any] = {"textcoords": "offset points", "fontsize": 5.5}
_MOST_LINES = 24  # in a legend
_MOST_CATEGORIES = 24  # named along x
_LEGEND_ROW = 0.16  # inches


def write_figure(folder: Path, chart: Chart) -> None:
    """Draw `chart` as `folder/NAME.png` and `.pdf`; the same chart gives the same bytes."""
    figure = draw_figure(chart)
    with rc_context(_STYLE):
        for suffix in SUFFIXES:
            with replacing(folder / f"{chart.name}{suffix}") as temporary:
                metadata = {"CreationDate": None} if suffix == ".pdf" else {}
                figure.savefig(temporary, metadata=metadata)


def draw_figure(chart: Chart) -> Figure:
    with rc_context(_STYLE):
        return _draw(chart)


def _draw(chart: Chart) -> Figure:
    columns = min(len(chart.panels), 4)
    rows = -(-len(chart.panels) // columns)
    single = len(chart.panels) == 1
    legend = -(-len(_legend(chart)) // _legend_columns(chart, single)) if _legend(chart) else 0
    more = _LEGEND_ROW * max(0, legend - 3)  # what a long legend needs, the panels keep
    figure = Figure(figsize=(_COLUMN, 2.6 + more) if single else (_PAGE, 0.5 + 1.8 * rows + more), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, chart.panels, strict=False):
        axes.set_title(panel.title)
        for index, line in enumerate(panel.lines):
            _plot(axes, line, chart, index, len(panel.lines))
        _name(axes, panel, chart)
        if chart.of_differences:
            axes.axhline(0, color="0.35", linewidth=0.8, zorder=1)
        _dress(axes, chart)
    _label(figure, grid, chart)
    _add_legend(figure, chart, single)
    return figure


def _label(figure: Figure, grid: NDArray[np.object_], chart: Chart) -> None:
    for axes in grid[:, 0]:
        axes.set_ylabel(chart.y_label)
    if len(chart.panels) == 1:
        grid[0, 0].set_xlabel(chart.x_label)
    else:
        figure.supxlabel(chart.x_label, fontsize=8)
    count, columns = len(chart.panels), grid.shape[1]
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, count - columns) : count]:  # a hidden panel below shows no values along x
        axes.tick_params(labelbottom=True)


def _plot(axes: Axes, line: Line, chart: Chart, index: int, count: int) -> None:
    """Repeats as faint dots, means with bars; where x is categorical, lines stand beside each other."""
    aside = 0.0 if chart.categories is None else 0.5 * ((index + 0.5) / count - 0.5)
    repeats = [repeat for point in line.points if len(point.repeats) > 1 for repeat in point.repeats]
    axes.plot(
        [x + aside for x, _ in repeats], [y for _, y in repeats],
        linestyle="none", marker=".", markersize=4, markeredgewidth=0, color=line.colour, alpha=0.35, zorder=2,
    )  # fmt: skip
    for points in line.stretches():
        axes.errorbar(
            [point.x + aside for point in points],
            [point.y for point in points],
            # matplotlib leaves out bars of NaN.
            yerr=[float("nan") if point.bar is None else point.bar for point in points],
            capsize=2, elinewidth=0.8, zorder=3, **_look(line, chart.joined),
        )  # fmt: skip
    _mark_what_lacks(axes, line, chart, aside)


def _mark_what_lacks(axes: Axes, line: Line, chart: Chart, aside: float) -> None:
    """Hollow markers where repeats lack, with counts as long as there is room; crosses above the axis where all do."""
    few = [point for point in line.points if point.count]
    hollow = _look(line, joined=False) | {"markerfacecolor": "white"}
    axes.plot([point.x + aside for point in few], [point.y for point in few], zorder=4, **hollow)
    if all(sum(point.count != "" for point in _ours(panel)) <= _MOST_NAMES for panel in chart.panels):
        for point in few:
            axes.annotate(point.count, (point.x + aside, point.y), (4, -7), color=line.colour, **_BESIDE)
    for gap in line.gaps:
        axes.plot(
            gap.x + aside, gap.height, transform=axes.get_xaxis_transform(), clip_on=False, zorder=4,
            linestyle="none", marker="x", markersize=4, color=line.colour,
        )  # fmt: skip


def _name(axes: Axes, panel: Panel, chart: Chart) -> None:
    """Beside points, as long as there is room, the settings that x does not show."""
    has_room = all(len(_ours(other)) <= _MOST_NAMES for other in chart.panels)
    if has_room and not chart.joined and chart.categories is None:
        for point in _ours(panel):
            axes.annotate(point.short, (point.x, point.y), (0, 4), color="0.35", ha="center", **_BESIDE)


def _ours(panel: Panel) -> list[Point]:
    """The panel's points, without published ones."""
    return [point for line in panel.lines if not line.published for point in line.points]


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
    if chart.ticks is not None:
        axes.set_xticks(chart.ticks, [f"{value:.10g}" for value in chart.ticks])
    elif chart.categories is None:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    else:
        _name_categories(axes, chart.categories, len(chart.panels))


def _name_categories(axes: Axes, categories: Sequence[str], panels: int) -> None:
    crowded = sum(map(len, categories)) > 36 // min(panels, 4)
    slant: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if crowded else {}
    every = -(-len(categories) // _MOST_CATEGORIES)
    axes.set_xticks(range(0, len(categories), every), categories[::every], **slant)
    axes.set_xlim(-0.5, len(categories) - 0.5)


def _add_legend(figure: Figure, chart: Chart, single: bool) -> None:
    handles = _legend(chart)
    if not handles:
        return
    columns = _legend_columns(chart, single)
    figure.legend(
        handles=handles, loc="outside upper center", frameon=False, title=chart.legend_title or None, ncols=columns
    )


def _legend(chart: Chart) -> list[Line2D]:
    """The lines if there are several, and what marks what is not there."""
    lines = {line.name: line for panel in chart.panels for line in panel.lines}
    named = list(lines.items())[:_MOST_LINES] if len(lines) > 1 or chart.of_differences else []
    handles = [Line2D([], [], label=name, **_look(line, chart.joined)) for name, line in named]
    grey: dict[str, Any] = {"linestyle": "none", "color": "0.35"}
    if len(lines) > _MOST_LINES:
        handles.append(Line2D([], [], label=f"... and {len(lines) - _MOST_LINES} more", linestyle="none"))
    if chart.has_counts:
        handles.append(Line2D([], [], label="fewer repeats", marker="o", markerfacecolor="white", **grey))
    if chart.has_gaps:
        handles.append(Line2D([], [], label="no value", marker="x", markersize=4, **grey))
    if chart.lost:
        handles.append(Line2D([], [], label=f"not drawn: {chart.lost} without a finished run", linestyle="none"))
    return handles


def _legend_columns(chart: Chart, single: bool) -> int:
    handles = _legend(chart)
    widest = max(len(str(handle.get_label())) for handle in handles)
    return max(1, min(len(handles), (60 if single else 130) // (widest + 8)))
