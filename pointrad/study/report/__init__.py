"""The report of a study: one page that opens from disk, figures for print, and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pointrad.errors import UserError
from pointrad.files import replacing
from pointrad.run.status import RunState
from pointrad.study.config import StudyConfig
from pointrad.study.plan import PAGE_FILE, REPORT_FOLDER, TABLE_FILE
from pointrad.study.report.baseline import Baseline, read_baseline, subtract
from pointrad.study.report.cells import Axis, Run, average_over_scenes, read_axes, read_runs
from pointrad.study.report.charts import Chart, choose_layout, make_charts
from pointrad.study.report.figures import SUFFIXES, write_figure
from pointrad.study.report.labels import quantity
from pointrad.study.report.origins import read_origins
from pointrad.study.report.page import Page, run_rows
from pointrad.study.report.strips import make_strips
from pointrad.study.report.tables import (
    Table,
    differences_table,
    means_table,
    published_tables,
    runs_table,
    shown_metrics,
    write_csv,
    write_markdown,
)
from pointrad.study.results import StudyResults


def write_report(results: StudyResults, command: str) -> Path:
    """Write what `results` hold, whatever has become of the runs, into the study's `report/`; return its page.

    command: what was called to compute them. Raises UserError, and leaves an earlier report as it was, where no run is
    done or where the study plots over what its runs do not have.
    """
    study = results.study
    axes = read_axes(study)
    runs = read_runs(results, axes)
    states = Counter(run.state for run in runs)
    if not states[RunState.DONE]:
        raise UserError(
            f"{study.name}: no finished run to report in {study.dir}; expected at least one ({_said(states)})"
        )
    layout = choose_layout(study, axes, runs)
    baseline = read_baseline(study, axes)
    charts = make_charts(study, layout, runs, baseline)
    metrics = shown_metrics(study, runs)
    notes = _notes(study, axes, charts, runs, states)
    all_runs = (*runs, *average_over_scenes(runs))
    means = means_table(axes, all_runs, metrics)
    differences = _differences(study, axes, all_runs, baseline)
    published = published_tables(study, layout.x_quantity)
    page = Page(
        title=study.name,
        question=study.question,
        states=tuple((state, states[state]) for state in sorted(RunState, key=_done_first) if states[state]),
        notes=notes,
        charts=charts,
        scenes=make_strips(study.dir, layout, runs),
        means=means,
        differences=differences,
        published=published,
        runs=runs_table(axes, runs, metrics),
        run_rows=run_rows(study.dir, axes, runs),
        command=command,
        made_from=results.made_from,
        study=study,
        origins=read_origins(dict.fromkeys(study.dir / run.folder for run in runs if run.state is RunState.DONE)),
    )
    folder = study.dir / REPORT_FOLDER
    _write_figures(folder / "figures", charts)
    write_tables(results)
    write_markdown(folder / "table.md", study.name, (study.question, *notes), (means, *differences, *published))
    with replacing(folder / PAGE_FILE) as temporary:
        temporary.write_text(page.html(folder), encoding="utf-8")
    return folder / PAGE_FILE


def _differences(
    study: StudyConfig, axes: Mapping[str, Axis], runs: Sequence[Run], baseline: Baseline | None
) -> tuple[Table, ...]:
    """The table of differences of what the study plots, where there is a baseline."""
    if baseline is None:
        return ()
    return (differences_table(axes, subtract(baseline, runs, study.plot.metrics), baseline, study.plot.metrics),)


def write_tables(results: StudyResults) -> Path:
    """Write the table of all runs alone, whatever has become of them, and return it."""
    path = results.study.dir / REPORT_FOLDER / TABLE_FILE
    write_csv(path, results)
    return path


def _write_figures(folder: Path, charts: Sequence[Chart]) -> None:
    """Figures of these charts and no others, which an earlier report may have left."""
    for chart in charts:
        write_figure(folder, chart)
    names = {f"{chart.name}{suffix}" for chart in charts for suffix in SUFFIXES}
    for path in folder.glob("*.*") if folder.is_dir() else ():
        if path.suffix in SUFFIXES and path.name not in names:
            path.unlink()


def _notes(
    study: StudyConfig,
    axes: Mapping[str, Axis],
    charts: Sequence[Chart],
    runs: Sequence[Run],
    states: Counter[RunState],
) -> tuple[str, ...]:
    """What a reader must know of what is not there."""
    notes = []
    if open_states := states - Counter({RunState.DONE: len(runs)}):
        notes.append(
            f"{states[RunState.DONE]} of {len(runs)} runs are done ({_said(open_states)}): the numbers are not final."
        )
    had = {key for run in runs for key in run.numbers}
    for metric in dict.fromkeys([*study.plot.metrics, *([study.plot.x] if study.plot.x not in axes else [])]):
        lacking = sum(run.state is RunState.DONE and metric not in run.numbers for run in runs)
        if metric not in had:
            notes.append(f"No finished run has a value of {quantity(metric).name}.")
        elif lacking:
            notes.append(
                f"{lacking} of {states[RunState.DONE]} finished runs have no value of {quantity(metric).name}."
            )
    for axis in axes.values():
        if axis.besides:
            others = ", ".join(other.label for other in axis.besides)
            notes.append(f"Along {axis.quantity.name} there changes as well: {others}.")
    scenes = {run.scene for run in runs}
    for entry in study.published:
        drawn = any(line.name == entry.source for chart in charts for panel in chart.panels for line in panel.lines)
        if entry.scene not in scenes or not drawn:
            notes.append(f"The published values of {entry.source} for {entry.scene} have no place in these figures.")
    averages = average_over_scenes(runs)
    if averages and not any(run.state is RunState.DONE for run in averages):
        notes.append("No setting is done in every scene yet: there is no mean over scenes.")
    return tuple(notes)


def _done_first(state: RunState) -> bool:
    return state is not RunState.DONE


def _said(states: Counter[RunState]) -> str:
    return ", ".join(f"{states[state]} {state.value}" for state in RunState if states[state]) or "no runs are planned"
