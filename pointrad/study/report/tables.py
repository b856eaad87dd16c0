"""The report's tables: all runs as CSV, and means over repeats as Markdown and for the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pointrad.files import replacing
from pointrad.study.config import StudyConfig
from pointrad.study.report.baseline import Baseline
from pointrad.study.report.cells import Axis, Cell, Measured, Run, gather
from pointrad.study.report.labels import Quantity, quantity
from pointrad.study.results import StudyResults
from pointrad.terminal import printable

_USUAL = (
    "psnr_db", "ssim", "lpips", "psnr_object_db", "silhouette_iou", "model_mb", "train_seconds", "mask_iou",
    "repaired_iou", "points",
)  # fmt: skip
_NONE = "—"
# What begins a formula in a spreadsheet, in half and in full width.
_FORMULA, _BLANK = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"), ("\t", "\r", "\n")


@dataclass(frozen=True)
class Entry:
    """One field: its text, and the number to sort by where it is one, or the rank of the text where it is `ranked`."""

    text: str
    order: float | None = None
    ranked: bool = False


@dataclass(frozen=True)
class Table:
    """Headings and rows of as many entries. keys: what filters may call the columns besides."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    lacking: frozenset[int] = frozenset()  # rows of fewer repeats than planned
    keys: tuple[str, ...] = ()

    @cached_property
    def numeric(self) -> tuple[bool, ...]:
        """Which columns hold numbers."""
        columns = ([row[column] for row in self.rows] for column in range(len(self.headings)))
        return tuple(any(entry.order is not None and not entry.ranked for entry in column) for column in columns)

    def markdown(self) -> str:
        rule = ["---:" if numeric else "---" for numeric in self.numeric]
        lines = [self.headings, rule, *([entry.text for entry in row] for row in self.rows)]
        return "".join(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |\n" for line in lines)


def shown_metrics(study: StudyConfig, runs: Sequence[Run]) -> tuple[str, ...]:
    """What the study plots, then the usual numbers that any run has."""
    had = {key for run in runs for key in run.numbers}
    return tuple(dict.fromkeys([*study.plot.metrics, *(key for key in _USUAL if key in had)]))


def means_table(axes: Mapping[str, Axis], runs: Sequence[Run], metrics: Sequence[str]) -> Table:
    """A row per setting, finished or not: mean ± sample standard deviation over its n finished repeats."""
    headings = ("scene", *_axis_headings(axes), "n", *(quantity(metric).label for metric in metrics))
    cells = gather(runs)
    rows = tuple(_cell_row(cell, axes, metrics, Measured.text) for cell in cells)
    lacking = frozenset(row for row, cell in enumerate(cells) if len(cell.done) < len(cell.runs))
    return Table("Mean over repeats", headings, rows, lacking)


def differences_table(
    axes: Mapping[str, Axis], differences: Sequence[Run], baseline: Baseline, metrics: Sequence[str]
) -> Table:
    """A row per setting but the baseline's: mean difference to it and 95 % confidence interval over n pairs of runs."""
    headings = ("scene", *_axis_headings(axes), "n", *(quantity(metric).label for metric in metrics))
    rows = tuple(_cell_row(cell, axes, metrics, Measured.text_with_interval) for cell in gather(differences))
    return Table(f"Difference to {baseline.name}", headings, rows)


def published_tables(study: StudyConfig, x: Quantity) -> tuple[Table, ...]:
    """The values that the study compares itself with, one table a source."""
    return tuple(
        Table(
            f"Published, {entry.scene}: {entry.source}",
            (x.label, *(quantity(metric).label for metric in entry.values)),
            tuple(
                (Entry(x.text(at * x.scale), at), *(_published(metric, values[index])
                                                      for metric, values in entry.values.items()))
                for index, at in enumerate(entry.x)
            ),
        )
        for entry in study.published
    )  # fmt: skip


def runs_table(axes: Mapping[str, Axis], runs: Sequence[Run], metrics: Sequence[str]) -> Table:
    """A row per planned run, whatever has become of it."""
    headings = ("scene", *_axis_headings(axes), "repeat", *(quantity(metric).label for metric in metrics))
    rows = tuple(
        (
            *_place(run.scene, run.labels, axes),
            Entry(str(run.repeat), run.repeat),
            *(
                _measured(Measured((run.numbers[metric],) if metric in run.numbers else ()), metric)
                for metric in metrics
            ),
        )
        for run in runs
    )
    return Table("Runs", headings, rows, keys=("scene", *axes, "repeat", *metrics))


def write_csv(path: Path, results: StudyResults) -> None:
    """Every row and column of the results; nested values as JSON, and no text that a spreadsheet would compute."""
    plain = results.table.map(_csv_field).rename(columns=_csv_field)
    with replacing(path) as temporary:
        plain.to_csv(temporary, index=False)


def _csv_field(value: object) -> object:
    """Text that neither a terminal nor a spreadsheet obeys: an apostrophe before a formula makes it one, as OWASP
    advises ("CSV injection")."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if _is_formula(value) else value)


def _is_formula(text: str) -> bool:
    if not (text.startswith(_BLANK) or text.lstrip().startswith(_FORMULA)):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def write_markdown(path: Path, title: str, notes: Sequence[str], tables: Sequence[Table]) -> None:
    """The tables under their titles, after what there is to say of them."""
    parts = [f"# {title}\n", *(f"{note}\n" for note in notes)]
    parts += [part for table in tables for part in (f"## {table.title}\n", table.markdown())]
    with replacing(path) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


def _cell_row(
    cell: Cell, axes: Mapping[str, Axis], metrics: Sequence[str], text: Callable[[Measured, Quantity], str]
) -> tuple[Entry, ...]:
    done, planned = len(cell.done), len(cell.runs)
    n = Entry(str(done) if done == planned else f"{done} of {planned}", done)
    measured = [(cell.measure(metric), metric) for metric in metrics]
    return (
        *_place(cell.scene, cell.labels, axes),
        n,
        *(_measured(values, metric, text, done) for values, metric in measured),
    )


def _measured(
    values: Measured, metric: str, text: Callable[[Measured, Quantity], str] = Measured.text, expected: int = 1
) -> Entry:
    """How many values are behind a number stands beside it where it is not the n of its row."""
    if not values.values:
        return Entry(_NONE)
    scaled = Measured(tuple(value * quantity(metric).scale for value in values.values))
    count = f" (n = {values.n})" if values.n != expected else ""
    return Entry(text(scaled, quantity(metric)) + count, scaled.mean)


def _published(metric: str, value: float | None) -> Entry:
    return Entry(_NONE) if value is None else _measured(Measured((value,)), metric)


def _place(scene: str, labels: Mapping[str, str], axes: Mapping[str, Axis]) -> tuple[Entry, ...]:
    steps = ((labels[axis.name], axis) for axis in axes.values())
    return (Entry(scene), *(Entry(text, axis.position(text), ranked=not axis.numeric) for text, axis in steps))


def _axis_headings(axes: Mapping[str, Axis]) -> tuple[str, ...]:
    return tuple(axis.quantity.label for axis in axes.values())
