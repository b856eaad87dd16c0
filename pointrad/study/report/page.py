"""The page: one HTML file with its styles, scripts, data and pictures inside."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import yaml
from markupsafe import Markup

from pointrad.pages.template import rendered, resource
from pointrad.run.status import TRACEBACK_FILE, RunState
from pointrad.study.conclude import made_from_tag
from pointrad.study.config import StudyConfig
from pointrad.study.report.cells import Axis, Run
from pointrad.study.report.charts import Chart
from pointrad.study.report.clouds import pack_clouds
from pointrad.study.report.origins import Origins
from pointrad.study.report.strips import SceneStrips
from pointrad.study.report.tables import Table

_LINKED = {
    "folder": "",
    "cloud": "splats.ply",
    "curves": "pictures/curves.png",
    "masks": "pictures/masks.png",
    "turntable": "turntable.mp4",
}
_MIME = {".png": "image/png", ".pdf": "application/pdf", ".md": "text/markdown", ".csv": "text/csv"}


@dataclass(frozen=True)
class RunRow:
    """What a row of the runs' table says besides its entries; links are relative to the page.

    view_command: what opens its cloud; "" where there is none. cloud: some of its points (`clouds.packed`), likewise.
    """

    title: str
    state: RunState
    error: str
    view_command: str
    cloud: str
    traceback: str | None
    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Failure:
    """Runs that ended with one and the same error."""

    state: RunState
    error: str
    rows: tuple[RunRow, ...]


@dataclass(frozen=True)
class Page:
    """All that the page shows."""

    most_listed: ClassVar = 20  # runs of one error
    view_command: ClassVar = "python runs.py view"

    title: str
    question: str
    states: tuple[tuple[RunState, int], ...]
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]
    scenes: tuple[SceneStrips, ...]
    means: Table
    differences: tuple[Table, ...]
    published: tuple[Table, ...]
    runs: Table
    run_rows: tuple[RunRow, ...]
    command: str
    made_from: str
    study: StudyConfig
    origins: Origins

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The errors of failed and broken runs, the most frequent first."""
        found: dict[tuple[RunState, str], list[RunRow]] = {}
        for row in self.run_rows:
            if row.state in (RunState.FAILED, RunState.BROKEN):
                found.setdefault((row.state, row.error), []).append(row)
        failures = [Failure(state, error, tuple(rows)) for (state, error), rows in found.items()]
        return tuple(sorted(failures, key=lambda failure: -len(failure.rows)))

    @property
    def pictures_elsewhere(self) -> int:
        galleries = [gallery for scene in self.scenes for gallery in scene.galleries]
        return sum(tile.link != "" for gallery in galleries for strip in gallery.strips for tile in strip.tiles)

    @property
    def clouds(self) -> bool:
        """Whether some are in the page."""
        return any(row.cloud for row in self.run_rows)

    @property
    def probe(self) -> str:
        """A picture in a run's folder, which the page finds unless it was copied without the study; "" for none."""
        links = (link for row in self.run_rows for _, link in row.links)
        return next((link for link in links if link.endswith(".png")), "")

    def html(self, folder: Path) -> str:
        """The page as text, with the files of `folder` that it offers inside.

        Whatever it shows of runs and settings is escaped.
        """
        # The study's folder is where the page lies, and nobody else's business.
        definition = yaml.safe_dump(
            self.study.model_dump(mode="json", exclude={"dir"}), sort_keys=False, default_flow_style=None, width=100
        )
        return rendered(
            __package__,
            resource(__package__, "page.css"),
            page=self,
            made_from=Markup(made_from_tag(self.made_from)),
            charts=[asdict(chart) for chart in self.charts],
            inside=lambda name: _data_uri(folder / name),
            definition=definition,
        )


def run_rows(study_dir: Path, axes: Mapping[str, Axis], runs: Sequence[Run]) -> tuple[RunRow, ...]:
    """A row's further fields for every run, with links to what there is."""
    clouds = pack_clouds(list(dict.fromkeys(study_dir / run.folder for run in runs if run.state is RunState.DONE)))
    return tuple(_row(study_dir / run.folder, run, axes, clouds.get(study_dir / run.folder, "")) for run in runs)


def _row(run_dir: Path, run: Run, axes: Mapping[str, Axis], cloud: str) -> RunRow:
    base = f"../{quote(run.folder)}/"
    has_traceback = run.state is RunState.FAILED and (run_dir / TRACEBACK_FILE).is_file()
    links = tuple((name, base + file) for name, file in _LINKED.items() if (run_dir / file).exists())
    place = [axis.named(run.labels[name]) for name, axis in axes.items()]
    title = ", ".join([run.scene, *place, f"repeat {run.repeat}"])
    view = f"{Page.view_command} {shlex.quote(f'STUDY/{run.folder}')}" if run.state is RunState.DONE else ""
    return RunRow(title, run.state, run.error, view, cloud, base + TRACEBACK_FILE if has_traceback else None, links)


def _data_uri(path: Path) -> str:
    return f"data:{_MIME[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
