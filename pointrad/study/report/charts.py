"""What the report draws, as plain values: the printed figures and the page's charts show the same ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib import colormaps
from matplotlib.colors import to_hex

from pointrad.run.status import RunState
from pointrad.study.config import PublishedConfig, StudyConfig
from pointrad.study.report.baseline import Baseline, subtract
from pointrad.study.report.cells import Axis, Cell, Measured, Run, average_over_scenes, gather
from pointrad.study.report.labels import Quantity, quantity

# Okabe and Ito's colours, which stay apart for every kind of colour blindness, without the yellow that print loses.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted", "plus", "cross", "star")
OURS = "this study"  # the only line's name
PUBLISHED_COLOUR, PUBLISHED_MARKER = "#777777", "circle"

SIZE_QUALITY = "size_quality"
_NARROWEST_GAP = 0.08  # between ticks, of the axis
_MOST_PANELS = 24  # of one figure
_LOWEST_MARK, _MARK_STEP, _HIGHEST_MARK = 0.03, 0.05, 0.25  # of the marks of gaps, as shares of the axis' height
_ORDERED, _DARKEST, _LIGHTEST = "viridis", 0.2, 0.85  # a scale of colours, as far as it shows on white and on black
_SIZE, _QUALITY, _TIME = "model_mb", "psnr_db", "train_seconds"


@dataclass(frozen=True)
class Point:
    """The repeats of one setting and their mean.

    bar: half the length of the bar at the mean (`Chart.caption` says of what); None for one repeat. repeats: x and y of
    each. count: how many of how many repeats have a value, such as "2/3", where some have not;
    else "". name, short: the setting along x in full and in brief. text: the value, for people.
    """

    x: float
    y: float
    bar: float | None
    repeats: tuple[tuple[float, float], ...]
    count: str
    name: str
    short: str
    text: str


@dataclass(frozen=True)
class Gap:
    """A setting along x without a value in any repeat. height: where its mark stands, as a share of the axis' height.
    name: the setting. text: why, for people."""

    x: float
    height: float
    name: str
    text: str


@dataclass(frozen=True)
class Line:
    """Points of one name, in order, and the gaps between them; published ones are not ours."""

    name: str
    colour: str
    marker: str
    published: bool
    points: tuple[Point, ...]
    gaps: tuple[Gap, ...]

    def stretches(self) -> list[list[Point]]:
        """The points that may be joined: those without a gap between them."""
        found: list[list[Point]] = []
        for point in self.points:
            if found and not any(found[-1][-1].x < gap.x < point.x for gap in self.gaps):
                found[-1].append(point)
            else:
                found.append([point])
        return found


@dataclass(frozen=True)
class Panel:
    """The lines of one scene, or of the mean over scenes."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Chart:
    """A figure: one panel, or small multiples with common axes.

    name: stem of its files. caption: what is drawn, and what is not there. categories: what the whole numbers along x
    stand for; None for a numeric x. ticks: where along a numeric x to put numbers; None for where it suits. joined:
    whether lines connect the points. of_differences: whether y is a difference to the baseline, which is at 0. lost:
    how many settings are not drawn, for want of an x.
    """

    name: str
    title: str
    caption: str
    x_label: str
    y_label: str
    categories: tuple[str, ...] | None
    ticks: tuple[float, ...] | None
    joined: bool
    of_differences: bool
    lost: int
    legend_title: str
    panels: tuple[Panel, ...]

    @property
    def has_counts(self) -> bool:
        """Whether some points are of fewer repeats than others."""
        return any(point.count for panel in self.panels for line in panel.lines for point in line.points)

    @property
    def has_gaps(self) -> bool:
        return any(line.gaps for panel in self.panels for line in panel.lines)


@dataclass(frozen=True)
class Layout:
    """Which axes make lines, and which make the points along each; x is one of the axes or a key of summary.json."""

    x: Axis | str
    lines: tuple[Axis, ...]
    points: tuple[Axis, ...]

    @property
    def x_quantity(self) -> Quantity:
        return quantity(self.x) if isinstance(self.x, str) else self.x.quantity

    @property
    def legend_title(self) -> str:
        return self.lines[0].quantity.label if len(self.lines) == 1 else ""

    def line_name(self, labels: Mapping[str, str]) -> str:
        if not self.lines:
            return OURS
        if len(self.lines) == 1:
            return labels[self.lines[0].name]
        return self.line_title(labels)

    def line_title(self, labels: Mapping[str, str]) -> str:
        """The line's name where no legend's title stands above it."""
        return ", ".join(axis.named(labels[axis.name]) for axis in self.lines)

    def point_name(self, labels: Mapping[str, str]) -> str:
        return ", ".join(axis.named(labels[axis.name]) for axis in self.points)

    def point_short(self, labels: Mapping[str, str]) -> str:
        return ", ".join(axis.with_unit(labels[axis.name]) for axis in self.points)


def choose_layout(study: StudyConfig, axes: Mapping[str, Axis], runs: Sequence[Run]) -> Layout:
    """Lines and points as `study.plot` asks.

    Where x is a result (such as mask_iou), the axes that move it make the points and the others lines.
    """
    x = study.plot.x
    varied = sorted(
        (axis for axis in axes.values() if len(axis.texts) > 1), key=lambda axis: axis.name != study.plot.lines
    )
    if x in axes:
        return Layout(axes[x], tuple(axis for axis in varied if axis.name != x), (axes[x],))
    points = tuple(axis for axis in varied if axis.name != study.plot.lines and _moves(axis, x, runs))
    return Layout(x, tuple(axis for axis in varied if axis not in points), points)


def make_charts(
    study: StudyConfig, layout: Layout, runs: Sequence[Run], baseline: Baseline | None
) -> tuple[Chart, ...]:
    """Every metric and its difference to the baseline over x, training time over x, and quality over size; those
    without a value are left out."""
    averages = average_over_scenes(runs)
    names = tuple(dict.fromkeys(layout.line_name(run.labels) for run in runs))
    maker = _Maker(study, layout, names, gather(runs), gather(averages), None)
    makers = [maker]
    if baseline:
        pairs, of_averages = (gather(subtract(baseline, of, study.plot.metrics)) for of in (runs, averages))
        makers.append(_Maker(study, layout, names, pairs, of_averages, baseline))
    charts = [chart for metric in study.plot.metrics for each in makers for chart in each.over_x(metric)]
    charts += [*maker.over_x(_TIME), *maker.size_quality()]
    by_name = {chart.name: chart for chart in charts}  # the study may plot training time itself
    return tuple(sorted(by_name.values(), key=lambda chart: len(chart.panels) > 1))


def _looks(layout: Layout, count: int) -> list[tuple[str, str]]:
    """A colour and a marker for each of `count` lines, no two alike up to 56; the colours of many numbers in order."""
    markers = [MARKERS[index % len(MARKERS)] for index in range(count)]
    if count > len(COLOURS) and len(layout.lines) == 1 and layout.lines[0].numeric:
        scale = colormaps[_ORDERED].resampled(256)
        shares = [_DARKEST + (_LIGHTEST - _DARKEST) * index / (count - 1) for index in range(count)]
        return list(zip([to_hex(scale(share)) for share in shares], markers, strict=True))
    return [(COLOURS[index % len(COLOURS)], marker) for index, marker in enumerate(markers)]


@dataclass(frozen=True)
class _Maker:
    """names: of all lines of the study, so that one looks the same in every chart. baseline: what the numbers of the
    cells are differences to; None for the numbers themselves."""

    study: StudyConfig
    layout: Layout
    names: tuple[str, ...]
    cells: Sequence[Cell]
    averages: Sequence[Cell]
    baseline: Baseline | None

    def over_x(self, metric: str) -> list[Chart]:
        x = self.layout.x
        if metric == x:
            return []
        categories = None if isinstance(x, str) or x.numeric else x.texts
        name = _capital(quantity(metric).name)
        if self.baseline:
            title = f"{name}: difference to {self.baseline.name}"
            return self._charts(f"{metric}_difference", title, x, metric, categories)
        return self._charts(metric, f"{name} over {self.layout.x_quantity.name}", x, metric, categories)

    def size_quality(self) -> list[Chart]:
        title = f"{_capital(quantity(_QUALITY).name)} over {quantity(_SIZE).name}"
        return self._charts(SIZE_QUALITY, title, _SIZE, _QUALITY, None)

    def _charts(self, name: str, title: str, x: Axis | str, y: str, categories: tuple[str, ...] | None) -> list[Chart]:
        """One panel for the only scene or the mean over scenes; small multiples besides where there are several."""
        scenes = [self._panel(scene, x, y) for scene in dict.fromkeys(cell.scene for cell in self.cells)]
        groups = [(name, title, scenes)]
        if len(scenes) > 1:
            mean = [self._panel(scene, x, y) for scene in dict.fromkeys(cell.scene for cell in self.averages)]
            groups = [(name, title, mean), *_sheets(f"{name}_scenes", f"{title}, by scene", scenes)]
        x_label = quantity(x).label if isinstance(x, str) else x.quantity.label
        ticks = None if isinstance(x, str) or categories else _ticks(x)
        joined = categories is None and name != SIZE_QUALITY
        y_label = f"difference in {quantity(y).label}" if self.baseline else quantity(y).label
        lost = sum(not cell.done for cell in self.cells) if isinstance(x, str) else 0
        return [
            Chart(stem, heading, self._caption(panels, lost), x_label, y_label, categories, ticks, joined,
                  self.baseline is not None, lost, self.layout.legend_title, tuple(panels))
            for stem, heading, panels in groups
            if any(line.points for panel in panels for line in panel.lines if not line.published)
        ]  # fmt: skip

    def _panel(self, scene: str, x: Axis | str, y: str) -> Panel:
        looks = _looks(self.layout, len(self.names))
        ours: list[Line] = []
        for name, look in zip(self.names, looks, strict=True):
            ours.append(self._line(name, look, scene, x, y, [gap.x for line in ours for gap in line.gaps]))
        entries = () if self.baseline else self.study.published
        theirs = [self._published(entry, x, y) for entry in entries if entry.scene == scene]
        return Panel(scene, tuple(line for line in (*ours, *theirs) if line.points or line.gaps))

    def _line(
        self, name: str, look: tuple[str, str], scene: str, x: Axis | str, y: str, gaps_before: Sequence[float]
    ) -> Line:
        cells = [
            cell
            for cell in (*self.cells, *self.averages)
            if cell.scene == scene and self.layout.line_name(cell.labels) == name
        ]
        points = [(cell, self._point(cell, x, y)) for cell in cells]
        found = [point for _, point in points if point is not None]
        if x == self.layout.x:
            found.sort(key=lambda point: point.x)
        gaps = [self._gap(cell, x, gaps_before) for cell, point in points if point is None and not isinstance(x, str)]
        return Line(name or "pointrad", *look, False, tuple(found), tuple(gaps))

    def _point(self, cell: Cell, x: Axis | str, y: str) -> Point | None:
        repeats = [
            (run.numbers[x] * quantity(x).scale if isinstance(x, str) else x.position(cell.labels[x.name]),
             run.numbers[y] * quantity(y).scale)
            for run in cell.done
            if y in run.numbers and (not isinstance(x, str) or x in run.numbers)
        ]  # fmt: skip
        if not repeats:
            return None
        across, up = (Measured(tuple(values)) for values in zip(*repeats, strict=True))
        planned = len(cell.runs)
        undone = f": {cell.undone}" if cell.undone else ""
        value, bar = (up.text_with_interval, up.margin) if self.baseline else (up.text, up.spread)
        text = f"{value(quantity(y))} (n = {up.n}" + (")" if up.n == planned else f" of {planned}{undone})")
        count = "" if up.n == planned else f"{up.n}/{planned}"
        name, short = self.layout.point_name(cell.labels), self.layout.point_short(cell.labels)
        return Point(across.mean, up.mean, bar, tuple(repeats), count, name, short, text)

    def _gap(self, cell: Cell, x: Axis, before: Sequence[float]) -> Gap:
        at = x.position(cell.labels[x.name])
        text = f"no value ({cell.undone or f'{len(cell.runs)} done without it'})"
        height = _LOWEST_MARK + before.count(at) * min(_MARK_STEP, _HIGHEST_MARK / len(self.names))
        return Gap(at, height, self.layout.point_name(cell.labels), text)

    def _caption(self, panels: Sequence[Panel], lost: int) -> str:
        """What dots and bars stand for, how many repeats are behind them, and what is not there."""
        said = [_repeats(panels, self.baseline)]
        runs = [run for cell in self.cells for run in cell.runs]
        undone = Cell("", {}, tuple(runs)).undone
        if undone:
            done = sum(run.state is RunState.DONE for run in runs)
            said.append(f"{done} of {len(runs)} {'pairs' if self.baseline else 'runs'} are done ({undone}).")
        if any(point.count for panel in panels for line in panel.lines for point in line.points):
            said.append("Hollow, with a count: fewer repeats than planned.")
        if any(line.gaps for panel in panels for line in panel.lines):
            said.append("Crosses: no repeat has a value there.")
        if lost:
            said.append(f"{lost} of {len(self.cells)} settings have no finished run, and so no place here.")
        return " ".join(said)

    def _published(self, entry: PublishedConfig, x: Axis | str, y: str) -> Line:
        points = [
            Point(across, up, None, (), "", self._published_name(entry.x[index]), "", quantity(y).text(up))
            for index in range(len(entry.x))
            if (across := self._published_x(entry, index, x)) is not None
            and (up := _published_value(entry, index, y)) is not None
        ]
        return Line(entry.source, PUBLISHED_COLOUR, PUBLISHED_MARKER, True, tuple(points), ())

    def _published_x(self, entry: PublishedConfig, index: int, x: Axis | str) -> float | None:
        if x != self.layout.x:
            return _published_value(entry, index, str(x))
        if isinstance(x, str) or x.numeric:
            return entry.x[index] * self.layout.x_quantity.scale
        text = x.text(entry.x[index])
        return x.position(text) if text in x.texts else None

    def _published_name(self, x: float) -> str:
        shown = self.layout.x_quantity
        unit = f" {shown.unit}" if shown.unit else ""
        return f"{shown.name} {shown.text(x * shown.scale)}{unit}"


def _published_value(entry: PublishedConfig, index: int, metric: str) -> float | None:
    value = entry.values[metric][index] if metric in entry.values else None
    return None if value is None else value * quantity(metric).scale


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sheets(name: str, title: str, panels: list[Panel]) -> list[tuple[str, str, list[Panel]]]:
    """Small multiples, as many on a figure as a page holds."""
    sheets = [panels[start : start + _MOST_PANELS] for start in range(0, len(panels), _MOST_PANELS)]
    if len(sheets) == 1:
        return [(name, title, panels)]
    return [
        (f"{name}_{number}", f"{title} ({number} of {len(sheets)})", sheet)
        for number, sheet in enumerate(sheets, start=1)
    ]


def _repeats(panels: Sequence[Panel], baseline: Baseline | None) -> str:
    counts = {len(point.repeats) for panel in panels for line in panel.lines for point in line.points} - {0}
    single = not counts or counts == {1}
    n = "n = 1" if single else f"n = {min(counts)}" + (f" to {max(counts)}" if len(counts) > 1 else "")
    if baseline:
        pairs = f"Differences to {baseline.name} of runs with the same seeds"
        if single:
            return f"{pairs}: one pair per point, which has no interval ({n})."
        return (
            f"{pairs}. Points: mean; bars: its 95 % confidence interval (Student's t); faint dots: single pairs ({n})."
        )
    if single:
        return f"One run per point ({n}), so no bars."
    return f"Points: mean over repeats; bars: ± one sample standard deviation; faint dots: single repeats ({n})."


def _ticks(axis: Axis) -> tuple[float, ...] | None:
    """The values of an axis, unless some are too close to be told apart by their numbers."""
    values = sorted(axis.position(text) for text in axis.texts)
    gaps = [(after - before) / (values[-1] - values[0]) for before, after in pairwise(values)]
    return tuple(values) if not gaps or min(gaps) > _NARROWEST_GAP else None


def _moves(axis: Axis, key: str, runs: Sequence[Run]) -> bool:
    """Whether `key` changes along `axis` while all else stays."""
    seen: dict[tuple[Any, ...], float] = {}
    for run in runs:
        if key in run.numbers:
            others = (text for name, text in run.labels.items() if name != axis.name)
            first = seen.setdefault((run.scene, run.repeat, *others), run.numbers[key])
            if not math.isclose(first, run.numbers[key], rel_tol=1e-9):
                return True
    return False
