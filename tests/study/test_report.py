"""The report: numbers that can be checked by hand, and honesty about what is not there."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from pointrad.errors import UserError
from pointrad.run.status import RunState
from pointrad.study.conclude import bring_report_up_to_date, report, report_is_current
from pointrad.study.plan import Plan, Variant
from pointrad.study.report import write_report
from pointrad.study.report.charts import Chart
from pointrad.study.report.figures import SUFFIXES, draw_figure, write_figure
from pointrad.study.report.tables import Entry, Table
from pointrad.study.results import StudyResults
from tests.study import fabricated

COMMAND = "python sweep.py study=tiny"
PUBLISHED = [{"source": "Somebody 2023", "scene": "ball", "x": [0, 0.12], "values": {"psnr_db": [33.5, 20.25]}}]
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Chart]:
    """The charts that would be drawn as figures, which takes most of a report's time."""
    charts: list[Chart] = []

    def keep(folder: Path, chart: Chart) -> None:
        charts.append(chart)
        folder.mkdir(parents=True, exist_ok=True)
        for suffix in SUFFIXES:
            (folder / f"{chart.name}{suffix}").touch()

    monkeypatch.setattr("pointrad.study.report.write_figure", keep)
    return charts


class _Outside(HTMLParser):
    """Collects what a page would load or run: every src, href and url()."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        named = dict(attrs)
        self.loads += [str(named[key]) for key in ("src", "srcset", "data", "action", "poster") if key in named]
        self.loads += [str(named["href"])] if tag == "link" else []

    def handle_data(self, data: str) -> None:
        self.loads += re.findall(r"url\(([^)]*)\)", data)


def page_of(results: StudyResults) -> str:
    return write_report(results, COMMAND).read_text(encoding="utf-8")


def rows_of(markdown: str, heading: str) -> list[dict[str, str]]:
    """The rows of the Markdown table under a heading, by column."""
    block = markdown.split(f"## {heading}\n\n")[1].split("\n\n")[0]
    head, _, *rows = [[field.strip() for field in line.strip("|").split(" | ")] for line in block.splitlines()]
    return [dict(zip(head, row, strict=True)) for row in rows]


def charts_of(page: str) -> dict[str, dict[str, Any]]:
    found = re.search(r'id="charts">(.*?)</script>', page, re.DOTALL)
    assert found
    return {chart["name"]: chart for chart in json.loads(found[1])}


def line_of(chart: dict[str, Any], name: str, panel: int = 0) -> dict[str, Any]:
    return next(line for line in chart["panels"][panel]["lines"] if line["name"] == name)


def gallery_of(page: str, title: str) -> str:
    """What the page has of the first scene's pictures of a kind."""
    return page.split(f'role="group" aria-label="{title}"')[1].split('role="group"')[0].split("</section>")[0]


def all_but(state: RunState, *repeats: int) -> fabricated.Fate:
    """Every run is done but these repeats of level 12 % with the hard hull."""

    def fate(variant: Variant) -> RunState:
        met = variant.labels == {"level": 0.12, "consistency": 1.0} and variant.repeat in repeats
        return state if met else RunState.DONE

    return fate


def test_means_and_spreads_are_those_computed_by_hand(tmp_path: Path) -> None:
    # 34 - 12 + (0, 0.2, 0.4): mean 22.2, sample standard deviation 0.2.
    page = page_of(fabricated.results(tmp_path))
    point = line_of(charts_of(page)["psnr_db"], "1")["points"][2]
    assert point["x"] == pytest.approx(12)
    assert point["y"] == pytest.approx(22.2)
    assert point["bar"] == pytest.approx(0.2)
    assert point["text"] == "22.20 ± 0.20 (n = 3)"
    row = rows_of((tmp_path / "report" / "table.md").read_text(), "Mean over repeats")[4]
    assert (row["corruption level (%)"], row["consistency ratio"], row["n"]) == ("12", "1", "3")
    assert row["PSNR (dB)"] == "22.20 ± 0.20"


def test_an_unfinished_repeat_counts_nowhere(tmp_path: Path) -> None:
    # Repeats 0 and 2 are left: 22.0 and 22.4, with a sample standard deviation of 0.2828.
    page = page_of(fabricated.results(tmp_path, fate=all_but(RunState.MISSING, 1)))
    assert line_of(charts_of(page)["psnr_db"], "1")["points"][2]["text"] == "22.20 ± 0.28 (n = 2 of 3: 1 missing)"
    row = rows_of((tmp_path / "report" / "table.md").read_text(), "Mean over repeats")[4]
    assert (row["n"], row["PSNR (dB)"]) == ("2 of 3", "22.20 ± 0.28")
    assert "17 of 18 runs are done (1 missing)" in page


def test_a_single_repeat_has_no_spread(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, fate=all_but(RunState.MISSING, 1, 2)))
    point = line_of(charts_of(page)["psnr_db"], "1")["points"][2]
    assert (point["text"], point["bar"]) == ("22.00 (n = 1 of 3: 2 missing)", None)


def test_a_setting_without_a_finished_repeat_keeps_its_row(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, fate=all_but(RunState.STOPPED, 0, 1, 2)))
    row = rows_of((tmp_path / "report" / "table.md").read_text(), "Mean over repeats")[4]
    assert (row["n"], row["PSNR (dB)"]) == ("0 of 3", "—")
    line = line_of(charts_of(page)["psnr_db"], "1")
    assert [point["x"] for point in line["points"]] == [0, 4]
    assert [(gap["x"], gap["text"]) for gap in line["gaps"]] == [(12, "no value (3 stopped)")]


def test_numbers_that_some_runs_lack_say_how_many_they_come_from(tmp_path: Path) -> None:
    results = fabricated.results(tmp_path, numbers=lambda variant: {"ssim": None} if variant.repeat == 2 else {})
    page = page_of(results)
    row = rows_of((tmp_path / "report" / "table.md").read_text(), "Mean over repeats")[0]
    assert (row["n"], row["SSIM"]) == ("3", "0.9700 ± 0.0000 (n = 2)")
    assert "LPIPS" not in row  # which no run has, and the study does not ask for
    assert "6 of 18 finished runs have no value of SSIM." in page


def test_a_metric_that_no_run_has_is_named_and_not_drawn(tmp_path: Path) -> None:
    plot = {"x": "level", "lines": "consistency", "metrics": ["psnr_db", "lpips"]}
    page = page_of(fabricated.results(tmp_path, plot=plot))
    assert "No finished run has a value of LPIPS." in page
    assert "lpips" not in charts_of(page)


def test_published_values_are_drawn_and_listed_for_their_scene_alone(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, scenes=("ball", "box"), published=PUBLISHED))
    panels = {panel["title"]: panel for panel in charts_of(page)["psnr_db_scenes"]["panels"]}
    drawn = next(line for line in panels["ball"]["lines"] if line["published"])
    assert drawn["name"] == "Somebody 2023"
    assert [(point["x"], point["y"]) for point in drawn["points"]] == [(0, 33.5), (12, 20.25)]
    assert not any(line["published"] for line in panels["box"]["lines"])
    listed = rows_of((tmp_path / "report" / "table.md").read_text(), "Published, ball: Somebody 2023")
    assert listed == [
        {"corruption level (%)": "0", "PSNR (dB)": "33.50"},
        {"corruption level (%)": "12", "PSNR (dB)": "20.25"},
    ]


def test_published_values_that_cannot_be_drawn_are_owned_up_to(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, published=[PUBLISHED[0] | {"scene": "moon"}]))
    assert "The published values of Somebody 2023 for moon have no place in these figures." in page


def test_the_mean_over_scenes_takes_whole_sets_of_scenes_only(tmp_path: Path) -> None:
    # "ball" is 3 dB better than "box": 34 - 12 + (0, 0.4) - 1.5, without repeat 1, which "box" lacks.
    def fate(variant: Variant) -> RunState:
        return RunState.DONE if variant.scene == "ball" else all_but(RunState.FAILED, 1)(variant)

    page = page_of(fabricated.results(tmp_path, scenes=("ball", "box"), fate=fate))
    chart = charts_of(page)["psnr_db"]
    assert [panel["title"] for panel in chart["panels"]] == ["mean of 2 scenes"]
    assert line_of(chart, "1")["points"][2]["text"] == "20.70 ± 0.28 (n = 2 of 3: 1 failed)"


def test_axes_that_move_a_measured_x_make_points_and_the_others_lines(tmp_path: Path) -> None:
    plot = {"x": "mask_iou", "lines": None, "metrics": ["psnr_db"]}
    chart = charts_of(page_of(fabricated.results(tmp_path, plot=plot)))["psnr_db"]
    assert [line["name"] for line in chart["panels"][0]["lines"]] == ["1", "0.9"]
    assert [round(point["x"], 2) for point in line_of(chart, "1")["points"]] == [0.76, 0.92, 1.0]
    assert line_of(chart, "1")["points"][0]["name"] == "corruption level 12 %"


def test_axes_not_named_in_the_plot_make_lines_as_well(tmp_path: Path) -> None:
    axes = fabricated.AXES | {"targets": {"corruption.targets": ["clean", "masked"]}}
    chart = charts_of(page_of(fabricated.results(tmp_path, axes=axes)))["psnr_db"]
    names = [line["name"] for line in chart["panels"][0]["lines"]]
    assert len(names) == 4
    assert "consistency ratio 0.9, training targets masked" in names


def test_an_axis_of_words_is_drawn_by_category(tmp_path: Path) -> None:
    axes = {"kind": {"label": ["none", "much"], "corruption.level": [0, 0.12]}}
    plot = {"x": "kind", "lines": None, "metrics": ["psnr_db"]}
    chart = charts_of(page_of(fabricated.results(tmp_path, axes=axes, plot=plot)))["psnr_db"]
    assert (chart["categories"], chart["joined"]) == (["none", "much"], False)
    assert [point["x"] for point in line_of(chart, "this study")["points"]] == [0, 1]


def test_what_changes_along_a_paired_axis_is_said(tmp_path: Path) -> None:
    pair = {"init.consistency": [1.0, 0.8], "model.splat_radius": [0.015, 0.01]}
    plot = {"x": "consistency", "lines": None, "metrics": ["psnr_db"]}
    page = page_of(fabricated.results(tmp_path, axes={"consistency": pair}, plot=plot))
    assert "Along consistency ratio there changes as well: splat radius (NDC)." in page


def test_every_chart_is_drawn_for_screen_and_print(tmp_path: Path, drawn: list[Chart]) -> None:
    page = page_of(fabricated.results(tmp_path, scenes=("ball", "box"), published=PUBLISHED))
    stems = {"psnr_db", "psnr_db_difference", "ssim", "ssim_difference", "train_seconds", "size_quality"}
    names = {f"{stem}{scenes}" for stem in stems for scenes in ("", "_scenes")}
    assert {chart.name for chart in drawn} == set(charts_of(page)) == names


def test_a_column_and_a_page_wide_figure_come_as_png_and_pdf(tmp_path: Path, drawn: list[Chart]) -> None:
    page_of(fabricated.results(tmp_path, scenes=("ball", "box"), published=PUBLISHED))
    charts = {chart.name: chart for chart in drawn}
    for name, inches in (("psnr_db", 3.5), ("psnr_db_scenes", 7.2)):
        write_figure(tmp_path, charts[name])
        assert Image.open(tmp_path / f"{name}.png").width == 300 * inches
        assert b"/FontFile2" in (tmp_path / f"{name}.pdf").read_bytes()  # text stays text


def test_a_figure_is_drawn_the_same_each_time(tmp_path: Path, drawn: list[Chart]) -> None:
    page_of(fabricated.results(tmp_path))
    for folder in ("one", "two"):
        write_figure(tmp_path / folder, drawn[0])
    for suffix in (".png", ".pdf"):
        one, two = (tmp_path / folder / f"psnr_db{suffix}" for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_figures_of_an_earlier_plot_go(tmp_path: Path) -> None:
    stale, own = tmp_path / "report" / "figures" / "lpips.png", tmp_path / "report" / "figures" / "README"
    stale.parent.mkdir(parents=True)
    stale.touch()
    own.touch()
    page_of(fabricated.results(tmp_path))
    assert (stale.exists(), own.exists()) == (False, True)


def test_the_csv_has_every_planned_run_and_every_number(tmp_path: Path) -> None:
    write_report(fabricated.results(tmp_path, fate=all_but(RunState.FAILED, 1)), COMMAND)
    rows = pd.read_csv(tmp_path / "report" / "runs.csv")
    assert len(rows) == 18
    assert rows.state.value_counts().to_dict() == {"done": 17, "failed": 1}
    assert rows[rows.state == "failed"].error.tolist() == [fabricated.ERROR]
    assert rows.psnr_db.count() == 17
    assert json.loads(rows.points_by_stage[0]) == {"init": 10, "base": 50_000}


def test_the_csv_holds_no_formula(tmp_path: Path) -> None:
    formulas = ['=HYPERLINK("http://x")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", " =1", "\uff1d1", "-0.5"]
    axes = {"kind": {"label": formulas, "corruption.level": [0.01 * n for n in range(8)]}}
    plot = {"x": "kind", "lines": None, "metrics": ["psnr_db"]}
    results = fabricated.results(
        tmp_path,
        axes=axes,
        plot=plot,
        numbers=lambda variant: {"=1+1": 2, "device": "=1", "note": "\x1b[2J", "host": "=\x1b[2J1"},
    )
    write_report(results, COMMAND)
    rows = pd.read_csv(tmp_path / "report" / "runs.csv", dtype=str)
    assert rows.kind.unique().tolist() == [*(f"'{formula}" for formula in formulas[:-1]), "-0.5"]
    assert rows["'=1+1"].unique().tolist() == ["2"]
    assert rows.device.unique().tolist() == ["'=1"]
    assert rows.note.unique().tolist() == [r"\x1b[2J"]
    assert rows.host.unique().tolist() == [r"'=\x1b[2J1"]


def test_dollars_in_names_are_no_tex(tmp_path: Path, drawn: list[Chart]) -> None:
    hostile = r"$\frac{$ Some_body$^"
    axes = {"kind": {"label": [hostile, "$x"], "corruption.level": [0, 0.12]}}
    page_of(
        fabricated.results(
            tmp_path, axes=axes, plot={"x": "kind", "lines": None, "metrics": ["psnr_db"]},
            scenes=("ball",), published=[PUBLISHED[0] | {"source": hostile, "x": [0, 0.12]}],
        )
    )  # fmt: skip
    write_figure(tmp_path, drawn[0])
    assert (tmp_path / "psnr_db.pdf").exists()


def test_failed_and_broken_runs_are_marked_with_their_errors(tmp_path: Path) -> None:
    fates = {0: RunState.FAILED, 1: RunState.BROKEN, 2: RunState.STOPPED}
    results = fabricated.results(
        tmp_path,
        fate=lambda variant: fates[variant.repeat] if variant.labels["level"] == 0.12 else RunState.DONE,
    )
    page = page_of(results)
    wrong = page.split("What went wrong")[1].split("</section>")[0]
    assert wrong.count("<li>") == 4
    assert wrong.count(fabricated.ERROR) == 1  # said once, of two runs
    assert "2 failed</span>" in wrong
    assert wrong.count("unreadable summary") == 2
    links = re.findall(r'href="([^"]+)">traceback', wrong)
    assert [(tmp_path / "report" / link.replace("%20", " ")).is_file() for link in links] == [True, True]
    assert str(tmp_path) not in page


def test_the_page_loads_nothing_from_anywhere(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, pictures=True))
    outside = _Outside()
    outside.feed(page)
    assert outside.loads
    assert [load[:60] for load in outside.loads if not load.startswith("data:")] == []
    assert not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", page)


def test_hostile_names_and_errors_stay_text(tmp_path: Path) -> None:
    axes = {"kind": {"label": [HOSTILE, "</style>"], "corruption.level": [0, 0.12]}}
    results = fabricated.results(
        tmp_path, scenes=("ball",), axes=axes, plot={"x": "kind", "lines": None, "metrics": ["psnr_db"]},
        question=HOSTILE, pictures=True, fate=lambda variant: RunState.FAILED if variant.repeat else RunState.DONE,
    )  # fmt: skip
    results.table.loc[results.table.state == "failed", "error"] = f"RuntimeError: {HOSTILE}"
    page = page_of(results)
    outside = _Outside()
    outside.feed(page)
    assert outside.scripts == 2  # the charts' values and the page's own
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") > 4
    assert charts_of(page)["psnr_db"]["categories"] == [HOSTILE, "</style>"]


def test_pictures_are_those_of_the_last_stage(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, pictures=True))
    renders = gallery_of(page, "Renders")
    assert renders.count('corruption level 4 % <b data-view="0" data-repeat="0">30.00 dB</b>') == 2
    assert "consistency ratio 0.9" in renders
    assert len(page) < 200_000


def test_runs_without_pictures_are_reported_without(tmp_path: Path) -> None:
    assert 'id="pictures"' not in page_of(fabricated.results(tmp_path))


def test_a_damaged_picture_or_provenance_does_not_stop_the_report(tmp_path: Path) -> None:
    results = fabricated.results(tmp_path, pictures=True)
    first = tmp_path / results.table.folder[0]
    (first / "pictures" / "2_full.png").write_bytes(b"no picture")
    (first / "provenance.json").write_text('{"versions"')
    page = page_of(results)
    assert gallery_of(page, "Renders").count("<img") == (6 * 3 - 1) * 2
    assert "no picture" in gallery_of(page, "Renders")
    assert "1 run comes from an unknown place: no readable provenance.json." in page


def test_commands_versions_and_mixed_origins_are_told(tmp_path: Path) -> None:
    results = fabricated.results(tmp_path)
    provenance = tmp_path / results.table.folder[0] / "provenance.json"
    values = json.loads(provenance.read_text())
    values["versions"]["torch"] = "2.11.0"
    provenance.write_text(json.dumps(values | {"git": {"commit": "f" * 40, "dirty": True}, "device": "a GPU"}))
    page = page_of(results)
    assert COMMAND in page
    assert f"{'f' * 40} with uncommitted changes" in page
    for expected in ("17 runs", "2.11.0", "a GPU", fabricated.COMMIT):
        assert expected in page
    for warning in (
        "The runs come from 2 different git commits.",
        "1 run comes from a checkout with uncommitted changes.",
        "The runs differ in their versions of torch.",
    ):
        assert warning in page


def test_without_a_finished_run_an_earlier_report_stays(tmp_path: Path) -> None:
    earlier = tmp_path / "report" / "report.html"
    earlier.parent.mkdir()
    earlier.write_text("earlier")
    fates = {0: RunState.FAILED, 1: RunState.MISSING, 2: RunState.STOPPED}
    results = fabricated.results(tmp_path, fate=lambda variant: fates[variant.repeat])
    with pytest.raises(UserError, match=r"no finished run.*6 missing, 6 stopped, 6 failed"):
        write_report(results, COMMAND)
    assert earlier.read_text() == "earlier"
    assert [path.name for path in earlier.parent.iterdir()] == ["report.html"]


def test_an_x_that_no_run_has_leaves_the_tables(tmp_path: Path) -> None:
    page = page_of(fabricated.results(tmp_path, plot={"x": "lpips", "lines": None, "metrics": ["psnr_db"]}))
    assert "No finished run has a value of LPIPS." in page
    assert set(charts_of(page)) == {"size_quality"}


class TestTheDifferenceToABaseline:
    """Of runs with the same seeds, so that what seeds do to both does not count."""

    @staticmethod
    def numbers(variant: Variant) -> dict[str, Any]:
        """The soft hull is better by 1.0, 1.2 and 1.4 dB, whatever the seeds do to both."""
        gain = (1.0 + 0.2 * variant.repeat) * (variant.labels["consistency"] == 0.9)
        return {"psnr_db": 20 + 5 * variant.repeat + gain}

    def test_has_a_mean_and_an_interval_over_pairs(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path, numbers=self.numbers))
        # The mean of 1.0, 1.2 and 1.4, and 4.3027 (Student's t, 2 degrees of freedom) * 0.2 / sqrt(3).
        chart = charts_of(page)["psnr_db_difference"]
        point = line_of(chart, "0.9")["points"][0]
        assert point["y"] == pytest.approx(1.2)
        assert point["bar"] == pytest.approx(0.49683, abs=1e-5)
        assert point["text"] == "+1.20 [0.70, 1.70] (n = 3)"
        assert chart["title"] == "PSNR: difference to consistency ratio 1"
        assert chart["y_label"] == "difference in PSNR (dB)"
        assert "95 % confidence interval" in chart["caption"]
        row = rows_of((tmp_path / "report" / "table.md").read_text(), "Difference to consistency ratio 1")[0]
        assert (row["consistency ratio"], row["n"], row["PSNR (dB)"]) == ("0.9", "3", "+1.20 [0.70, 1.70]")

    def test_keeps_the_looks_of_its_lines(self, tmp_path: Path) -> None:
        charts = charts_of(page_of(fabricated.results(tmp_path)))
        looks = [
            (line["colour"], line["marker"])
            for line in (line_of(charts[name], "0.9") for name in ("psnr_db", "psnr_db_difference"))
        ]
        assert looks[0] == looks[1]
        assert [line["name"] for line in charts["psnr_db_difference"]["panels"][0]["lines"]] == ["0.9"]

    def test_takes_whole_pairs_only_and_marks_the_others(self, tmp_path: Path) -> None:
        # Of the baseline itself, the hard hull, repeat 1 failed at 12 %.
        page = page_of(fabricated.results(tmp_path, numbers=self.numbers, fate=all_but(RunState.FAILED, 1)))
        point = line_of(charts_of(page)["psnr_db_difference"], "0.9")["points"][2]
        assert (point["count"], point["y"]) == ("2/3", pytest.approx(1.2))
        assert point["text"].endswith("(n = 2 of 3: 1 failed)")

    def test_leaves_a_cross_where_no_pair_is_whole(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path, fate=all_but(RunState.FAILED, 0, 1, 2)))
        assert [gap["x"] for gap in line_of(charts_of(page)["psnr_db_difference"], "0.9")["gaps"]] == [12]

    def test_of_a_single_pair_has_no_interval(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path, seeds={"seed": [0]}))
        point = line_of(charts_of(page)["psnr_db_difference"], "0.9")["points"][2]
        assert (point["bar"], point["text"]) == (None, "+9.00 (n = 1)")

    def test_is_to_the_step_that_the_study_names(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path, baseline=0.9))
        point = line_of(charts_of(page)["psnr_db_difference"], "1")["points"][2]
        assert point["text"] == "-9.00 [-9.00, -9.00] (n = 3)"

    def test_of_a_study_with_nothing_to_compare_is_left_out(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path, axes={"level": {"corruption.level": [0]}},
                                          plot={"x": "level", "lines": None, "metrics": ["psnr_db"]}))  # fmt: skip
        assert set(charts_of(page)) == {"psnr_db", "train_seconds", "size_quality"}


class TestThePictures:
    def test_show_each_masks_once_where_lines_were_given_the_same(self, tmp_path: Path) -> None:
        masks = gallery_of(page_of(fabricated.results(tmp_path, pictures=True)), "Masks")
        assert masks.count('<div class="strip">') == 1
        assert masks.count("<img") == 3 * 3 * 2  # levels, repeats and views
        assert "IoU 1.00" in masks

    def test_show_masks_by_line_where_these_were_given_others(self, tmp_path: Path) -> None:
        results = fabricated.results(tmp_path, pictures=True)
        sheets = [tmp_path / folder / "pictures" / "masks.png" for folder in results.table.folder]
        (soft,) = [
            sheets[n] for n in range(2, 6) if results.table.level[n] == 0.12 and results.table.consistency[n] < 1
        ]
        soft.write_bytes(sheets[0].read_bytes())
        masks = gallery_of(page_of(results), "Masks")
        assert masks.count('<div class="strip">') == 2
        assert "<h5>consistency ratio 0.9</h5>" in masks

    def test_of_an_earlier_version_are_linked(self, tmp_path: Path) -> None:
        results = fabricated.results(tmp_path, pictures=True)
        for folder in results.table.folder:
            with Image.open(sheet := tmp_path / folder / "pictures" / "masks.png") as image:
                Image.fromarray(np.asarray(image)).save(sheet)
        page = page_of(results)
        assert 'aria-label="Masks"' not in page
        assert page.count(">masks</a>") == 18

    def test_come_with_all_their_views_and_repeats(self, tmp_path: Path) -> None:
        renders = gallery_of(page_of(fabricated.results(tmp_path, pictures=True)), "Renders")
        assert renders.count("<img") == 6 * 3 * 2
        assert re.findall(r"<option[^>]*>([^<]+)", renders) == ["train/r_1", "train/r_0", "0", "1", "2"]
        assert renders.count("{ --truth:") == 2


def test_texts_stand_at_the_left_of_their_columns_though_they_have_an_order() -> None:
    row = Entry("hard hull", 0.0, ranked=True), Entry("4", 4.0), Entry("box")
    assert Table("", ("method", "level", "scene"), (row,)).numeric == (False, True, False)


class TestWhatIsNotThere:
    """A mean of 2 of 3 does not look like one of 3, and what has no value leaves a mark, in every figure."""

    @staticmethod
    def fate(variant: Variant) -> RunState:
        """Of the hard hull at 4 % no repeat is done, of the soft one at 12 % two of three."""
        if variant.labels == {"level": 0.04, "consistency": 1.0}:
            return RunState.FAILED if variant.repeat else RunState.MISSING
        met = variant.labels == {"level": 0.12, "consistency": 0.9} and variant.repeat == 1
        return RunState.FAILED if met else RunState.DONE

    def test_is_marked_in_every_chart_of_the_levels(self, tmp_path: Path) -> None:
        charts = charts_of(page_of(fabricated.results(tmp_path, fate=self.fate)))
        for name in ("psnr_db", "ssim", "train_seconds"):
            assert [point["count"] for point in line_of(charts[name], "0.9")["points"]] == ["", "", "2/3"]
            assert [gap["x"] for gap in line_of(charts[name], "1")["gaps"]] == [4]
            assert charts[name]["caption"].endswith(
                "14 of 18 runs are done (1 missing, 3 failed). Hollow, with a count: fewer repeats than planned. "
                "Crosses: no repeat has a value there."
            )
        assert "1 of 6 settings have no finished run, and so no place here." in charts["size_quality"]["caption"]
        of_pairs = [chart["caption"] for chart in charts.values() if chart["caption"].startswith("Differences")]
        assert all(re.search(r"\d of 9 pairs are done", caption) for caption in of_pairs)
        assert of_pairs

    def test_is_marked_in_the_mean_over_scenes(self, tmp_path: Path) -> None:
        def fate(variant: Variant) -> RunState:
            return self.fate(variant) if variant.scene == "box" else RunState.DONE

        chart = charts_of(page_of(fabricated.results(tmp_path, scenes=("ball", "box"), fate=fate)))["psnr_db"]
        assert [point["count"] for point in line_of(chart, "0.9")["points"]] == ["", "", "2/3"]
        assert [(gap["x"], gap["text"]) for gap in line_of(chart, "1")["gaps"]] == [
            (4, "no value (1 missing, 2 failed)")
        ]

    def test_is_no_part_of_a_line(self, tmp_path: Path, drawn: list[Chart]) -> None:
        page_of(fabricated.results(tmp_path, fate=self.fate))
        hard, soft = drawn[0].panels[0].lines
        assert [[point.x for point in stretch] for stretch in hard.stretches()] == [[0], [12]]
        assert [[point.x for point in stretch] for stretch in soft.stretches()] == [[0, 4, 12]]

    def test_crosses_of_several_lines_stand_above_each_other(self, tmp_path: Path) -> None:
        def fate(variant: Variant) -> RunState:
            return RunState.MISSING if variant.labels["level"] == 0.04 else RunState.DONE

        chart = charts_of(page_of(fabricated.results(tmp_path, fate=fate)))["psnr_db"]
        low, high = (line["gaps"][0]["height"] for line in chart["panels"][0]["lines"])
        assert 0 < low < high < 0.3

    def test_is_marked_in_print(self, tmp_path: Path, drawn: list[Chart]) -> None:
        page_of(fabricated.results(tmp_path, fate=self.fate))
        figure = draw_figure(drawn[0])
        texts = [text.get_text() for text in figure.findobj(Text)]
        assert {"2/3", "fewer repeats", "no value"} <= set(texts)
        hollow = [line for line in figure.findobj(Line2D) if line.get_markerfacecolor() == "white"]
        assert any(list(line.get_xdata()) == [12] for line in hollow)
        assert any(line.get_marker() == "x" and list(line.get_xdata()) == [4] for line in figure.findobj(Line2D))

    def test_is_marked_in_the_tables_and_among_the_pictures(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path, fate=self.fate, pictures=True))
        assert page.count('<tr class="lacking">') == 2
        strips = gallery_of(page, "Renders")
        assert "no finished run (1 missing, 2 failed)" in strips
        assert strips.count("repeat 1: failed") == 2  # of each of two views, at 12 %

    def test_leaves_no_mark_where_all_is_there(self, tmp_path: Path) -> None:
        page = page_of(fabricated.results(tmp_path))
        for chart in charts_of(page).values():
            assert "Hollow" not in chart["caption"]
            assert not any(line["gaps"] for panel in chart["panels"] for line in panel["lines"])
        assert '<tr class="lacking">' not in page


class TestALargeStudy:
    AXES = {  # noqa: RUF012
        "level": {"corruption.level": [round(0.02 * n, 2) for n in range(8)]},
        "consistency": {"init.consistency": [round(1 - 0.02 * n, 2) for n in range(8)]},
    }

    def test_has_no_two_lines_of_one_look(self, tmp_path: Path) -> None:
        axes = {
            "level": {"corruption.level": [0]},
            "kind": {"label": [f"k{n}" for n in range(50)], "a.b": [*range(50)]},
        }
        plot = {"x": "level", "lines": "kind", "metrics": ["psnr_db"]}
        page = page_of(fabricated.results(tmp_path, axes=axes, plot=plot, seeds={"seed": [0]}))
        lines = charts_of(page)["psnr_db"]["panels"][0]["lines"]
        assert len({(line["colour"], line["marker"]) for line in lines}) == 50

    def test_keeps_its_figures_on_pages(self, tmp_path: Path) -> None:
        scenes = [f"s{n:02d}" for n in range(30)]
        axes = {"level": {"corruption.level": [0]}}
        plot = {"x": "level", "lines": None, "metrics": ["psnr_db"]}
        page = page_of(fabricated.results(tmp_path, scenes=scenes, axes=axes, plot=plot, seeds={"seed": [0]}))
        sheets = {name: chart for name, chart in charts_of(page).items() if name.startswith("psnr_db_scenes")}
        assert {name: len(chart["panels"]) for name, chart in sheets.items()} == {
            "psnr_db_scenes_1": 24, "psnr_db_scenes_2": 6
        }  # fmt: skip
        assert "by scene (1 of 2)" in sheets["psnr_db_scenes_1"]["title"]

    def test_shows_some_pictures_and_links_to_the_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pointrad.study.report.strips._MOST_PICTURES", 8)
        axes = {
            "level": {"corruption.level": [0, 0.12, 0.2]},
            "consistency": {"init.consistency": [1.0, 0.9, 0.8, 0.7]},
        }
        fate = all_but(RunState.MISSING, 0)
        results = fabricated.results(tmp_path, axes=axes, seeds={"seed": [0]}, fate=fate, pictures=True)
        strips = gallery_of(page_of(results), "Renders")
        assert 5 <= strips.count("<img") <= 8  # of one view and repeat each
        links = re.findall(r'href="([^"]+)">open the picture', strips)
        assert strips.count("<img") + len(links) + strips.count("no finished run") == 12
        assert all((tmp_path / "report" / link.replace("%20", " ")).is_file() for link in links)

    def test_tells_of_an_error_once(self, tmp_path: Path) -> None:
        fate = lambda variant: RunState.FAILED if variant.repeat else RunState.DONE  # noqa: E731
        page = page_of(fabricated.results(tmp_path, axes=self.AXES, fate=fate))
        wrong = page.split("What went wrong")[1].split("</section>")[0]
        assert wrong.count(fabricated.ERROR) == 1
        assert "128 failed</span>" in wrong
        assert wrong.count(">traceback<") == 20
        assert "and 108 more, in the table of runs" in wrong


class TestAReportSaysWhatItWasMadeFrom:
    @pytest.fixture
    def plan(self, tmp_path: Path) -> Plan:
        return fabricated.plan(tmp_path)

    def test_it_is_current_until_a_run_changes_whatever_the_files_times(self, plan: Plan) -> None:
        page = report(plan)
        assert report_is_current(plan)
        for path in plan.study.dir.rglob("*"):
            os.utime(path, (2e9, 2e9))  # newer than the report
        assert report_is_current(plan)
        summary = plan.run_dir(plan.runs[0]) / "summary.json"
        values = json.loads(summary.read_text())
        summary.write_text(json.dumps(values | {"psnr_db": 1.5}))
        os.utime(summary, (1, 1))  # older than the report
        assert not report_is_current(plan)
        assert bring_report_up_to_date(plan) == page
        assert "1.50" in page.read_text()
        assert report_is_current(plan)

    def test_it_is_drawn_no_second_time_for_the_same(self, plan: Plan) -> None:
        page = report(plan)
        page.write_text(page.read_text() + "mine")
        assert bring_report_up_to_date(plan) == page
        assert page.read_text().endswith("mine")

    def test_a_run_that_failed_since_makes_it_stale(self, plan: Plan) -> None:
        report(plan)
        run_dir = plan.run_dir(plan.runs[0])
        (run_dir / "summary.json").unlink()
        assert not report_is_current(plan)
        report(plan)
        (run_dir / "status.json").write_text(json.dumps({"state": "failed", "attempts": 1, "error": "E"}))
        assert not report_is_current(plan)

    def test_another_question_or_command_makes_it_stale(self, plan: Plan) -> None:
        report(plan)
        other = plan.study.model_copy(update={"question": "Why?"})
        assert not report_is_current(replace(plan, study=other))
        assert not report_is_current(replace(plan, command="another"))
        assert report_is_current(replace(plan))

    def test_a_moved_study_is_as_current_as_it_was(self, plan: Plan, tmp_path: Path) -> None:
        report(plan)
        moved = tmp_path / "moved"
        shutil.copytree(plan.study.dir, moved, ignore=shutil.ignore_patterns("moved"))
        assert report_is_current(replace(plan, study=plan.study.model_copy(update={"dir": moved})))

    def test_there_may_be_none(self, plan: Plan) -> None:
        assert report_is_current(plan) is None
        page = report(plan)
        page.write_bytes(b"")
        assert report_is_current(plan) is False


def test_the_same_results_give_the_same_report(tmp_path: Path) -> None:
    results = fabricated.results(tmp_path, pictures=True)

    def written() -> dict[str, bytes]:
        write_report(results, COMMAND)
        folder = tmp_path / "report"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert written() == written()
