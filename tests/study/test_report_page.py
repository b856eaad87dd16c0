"""The report's page in a real browser: what a reader does with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pointrad.run.status import RunState
from pointrad.study.plan import Variant
from pointrad.study.report import write_report
from tests.browser import Browser, chromium, find_chromium
from tests.study import fabricated

pytestmark = pytest.mark.integration

VISIBLE_ROWS = "[...document.querySelectorAll('#runs-table tbody tr')].filter((row) => !row.hidden).length"


def _fate(variant: Variant) -> RunState:
    return RunState.FAILED if (variant.scene, variant.repeat) == ("box", 2) else RunState.DONE


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium; install it (Debian: apt-get install chromium) to test the report's page")
    with chromium(program, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with pictures and failed runs, published values and a name that has no place to break."""
    results = fabricated.results(
        tmp_path_factory.mktemp("study"), scenes=("ball", "box"), fate=_fate, pictures=True, question="long" * 60,
        plot=fabricated.PLOT | {"metrics": ["psnr_db"]},
        published=[{"source": "Somebody 2023", "scene": "ball", "x": [0, 0.12], "values": {"psnr_db": [33.5, 20.25]}}],
    )  # fmt: skip
    return write_report(results, "python sweep.py study=tiny " + "word" * 60)


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Browser]:
    """The page at desktop width; whatever a test does with it, it has nothing to complain of."""
    browser.open(report)
    yield browser
    assert browser.complaints == []
    assert [url[:80] for url in browser.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_at_any_width(page: Browser, report: Path, width: int, scheme: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(report, width)
    page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run(
        "[...document.querySelectorAll('.panels svg')].every((svg) => svg.getBoundingClientRect().width > 200)"
    )


def test_every_chart_is_drawn(page: Browser) -> None:
    assert page.run("document.querySelectorAll('.chart').length") == 6
    assert page.run("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('.point'))")


def test_pointing_at_a_value_shows_it(page: Browser) -> None:
    assert page.run("document.getElementById('tip').hidden")
    page.move_to(*page.centre(".chart .point"))
    shown = page.run("document.getElementById('tip').textContent")
    assert shown == "consistency ratio 1\ncorruption level 0 %\nPSNR (dB): 32.60 ± 0.14 (n = 2 of 3: 1 failed)"
    page.move_to(2, 2)
    assert page.run("document.getElementById('tip').hidden")


def test_the_legend_hides_and_shows_a_line(page: Browser) -> None:
    points = "document.querySelectorAll('.chart .panels')[0].querySelectorAll('.point').length"
    pressed = "document.querySelector('.legend button').getAttribute('aria-pressed')"
    assert (page.run(points), page.run(pressed)) == (6, "true")
    page.click(".legend button")
    assert (page.run(points), page.run(pressed)) == (3, "false")
    page.click(".legend button + button")
    assert page.run(points) == 0
    page.click(".legend button")
    assert page.run(points) == 3


def test_a_heading_sorts_by_number_both_ways_with_gaps_last(page: Browser) -> None:
    heading = "#runs-table th:nth-child(6)"
    column = "[...document.querySelectorAll('#runs-table td:nth-child(6)')].map((cell) => cell.textContent)"
    assert page.run(f"document.querySelector('{heading}').textContent") == "PSNR (dB)"
    for direction in ("ascending", "descending"):
        page.click(f"{heading} button")
        texts = page.run(column)
        values = [float(text) for text in texts if text != "—"]
        assert values == sorted(values, reverse=direction == "descending")
        assert texts[-6:] == ["—"] * 6
        assert page.run(f"document.querySelector('{heading}').getAttribute('aria-sort')") == direction


def test_filters_narrow_the_runs_down(page: Browser) -> None:
    assert page.run(VISIBLE_ROWS) == 36
    page.type("#filter", "box failed")
    assert page.run(VISIBLE_ROWS) == 6
    assert page.run("document.getElementById('shown').textContent") == "6 of 36"
    page.run("document.getElementById('state').value = 'done'")
    page.run("document.getElementById('state').dispatchEvent(new Event('input'))")
    assert page.run(VISIBLE_ROWS) == 0


def test_dragging_across_a_picture_uncovers_the_truth(page: Browser) -> None:
    x, y = page.centre(".compare input")
    split = "document.querySelector('.compare:has(input)').style.getPropertyValue('--split')"
    width = page.run("document.querySelector('.compare:has(input)').getBoundingClientRect().width")
    page.drag((x + width / 2 - 4, y), (x + 5, y), (x, y))
    assert 40 <= float(page.run(split).rstrip("%")) <= 60
    clip = page.run("getComputedStyle(document.querySelector('.compare img')).clipPath")
    assert clip.startswith("inset(0px ")
    assert clip != "inset(0px)"
    page.run("document.querySelector('.compare input').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Home", code="Home", windowsVirtualKeyCode=36)
    assert page.run(split) == "0%"


def test_one_slider_moves_all_pictures(page: Browser) -> None:
    page.run("document.getElementById('split-all').value = 30")
    page.run("document.getElementById('split-all').dispatchEvent(new Event('input'))")
    splits = (
        "[...document.querySelectorAll('.compare:has(input)')].map((tile) => tile.style.getPropertyValue('--split'))"
    )
    assert set(page.run(splits)) == {"30%"}


def test_what_lacks_is_marked_and_told(page: Browser) -> None:
    assert page.run("document.querySelectorAll('.chart')[0].querySelectorAll('.point.few').length") == 6
    assert page.run("document.querySelectorAll('.chart')[0].querySelector('.count').textContent") == "2/3"
    assert "fewer repeats" in page.run("document.querySelectorAll('.chart')[0].querySelector('.legend').textContent")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve lines of twelve levels with three repeats each, of which one level is without a value."""
    axes = {
        "level": {"corruption.level": [round(0.01 * n, 2) for n in range(12)]},
        "consistency": {"init.consistency": [round(1 - 0.01 * n, 2) for n in range(12)]},
    }
    fates = {0.05: RunState.FAILED, 0.07: RunState.MISSING}
    results = fabricated.results(
        tmp_path_factory.mktemp("crowded"), axes=axes, pictures=True, plot=fabricated.PLOT | {"metrics": ["psnr_db"]},
        fate=lambda variant: fates.get(variant.labels["level"], RunState.DONE),
    )  # fmt: skip
    return write_report(results, "python sweep.py study=crowded")


def test_a_large_study_is_paged_and_no_two_lines_look_alike(browser: Browser, crowded: Path) -> None:
    browser.open(crowded)
    looks = (
        "[...document.querySelectorAll('.chart')[0].querySelectorAll('.legend button path:last-child')]"
        ".map((path) => path.getAttribute('d') + path.getAttribute('stroke'))"
    )
    assert len(set(browser.run(looks))) == 12
    assert browser.run("document.querySelectorAll('.chart')[0].querySelectorAll('.panels .gap').length") == 24
    assert browser.run(VISIBLE_ROWS) == 100
    pager = "section[aria-labelledby=runs] .pager"
    browser.click(f"{pager} button:last-child")
    assert browser.run(VISIBLE_ROWS) == 100
    assert "rows 101 to 200 of 432" in browser.run(f"document.querySelector('{pager}').textContent")
    browser.type("#filter", "failed")
    assert browser.run(VISIBLE_ROWS) == 36
    assert browser.complaints == []


def test_controls_and_pictures_have_names(page: Browser) -> None:
    unnamed = """[...document.querySelectorAll('button, input, select, img, svg[role=img], a')].filter((element) =>
        !(element.textContent.trim() || element.getAttribute('aria-label') || element.alt || element.labels?.length))"""
    assert page.run(f"{unnamed}.map((element) => element.outerHTML)") == []


def test_links_lead_to_files(page: Browser, report: Path) -> None:
    links = page.run("[...document.querySelectorAll('a[href]')].map((a) => a.getAttribute('href'))")
    files = {link.replace("%20", " ") for link in links if not link.startswith("#")}
    assert len(files) > 36
    assert [link for link in files if not (report.parent / link).exists()] == []
