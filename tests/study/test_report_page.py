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
    assert page.run("document.querySelectorAll('.chart').length") == 8
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
    heading = "#runs-table th:nth-child(8)"
    column = "[...document.querySelectorAll('#runs-table td:nth-child(8)')].map((cell) => cell.textContent)"
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


@pytest.mark.parametrize(
    ("asked", "rows"),
    [("level=12", 12), ("12 %", 12), ("12%", 12), ("level = 12 % box", 6), ("consistency=0.9", 18), ("state=failed", 6),
     ("psnr>32", 9), ("level<4 repeat=0", 4), ("2 %", 0), ('scene="ball" corruption_level=4', 6)],
)  # fmt: skip
def test_filters_take_values_and_comparisons(page: Browser, asked: str, rows: int) -> None:
    page.type("#filter", asked)
    assert page.run(VISIBLE_ROWS) == rows
    assert page.run("document.getElementById('unknown').textContent") == ""


@pytest.mark.parametrize(
    ("asked", "told"), [("colour=red", "no column is called colour"), ("psnr>much", "much is no number")]
)
def test_what_cannot_be_filtered_is_said(page: Browser, asked: str, told: str) -> None:
    page.type("#filter", asked)
    assert page.run(VISIBLE_ROWS) == 0
    assert page.run("document.getElementById('unknown').textContent") == told


def choose(page: Browser, name: str, value: str) -> None:
    """An option of the first gallery of renders."""
    select = f"document.querySelector('[aria-label=Renders] select[name={name}]')"
    page.run(f"{select}.value = '{value}'")
    page.run(f"{select}.dispatchEvent(new Event('change', {{ bubbles: true }}))")


def test_views_and_repeats_are_chosen(page: Browser) -> None:
    renders = "document.querySelector('[aria-label=Renders]')"
    shown = f"[...{renders}.querySelectorAll('img')].filter((image) => !image.hidden)"
    truth = f"getComputedStyle({renders}.querySelector('.compare')).backgroundImage"
    first = page.run(truth)
    choose(page, "view", "1")
    choose(page, "repeat", "2")
    assert page.run(f"{shown}.map((image) => [image.dataset.view, image.dataset.repeat])") == [["1", "2"]] * 6
    assert page.run(truth) != first


def test_a_repeat_that_failed_says_so_among_the_pictures(page: Browser) -> None:
    box = "document.querySelectorAll('[aria-label=Renders]')[1]"
    page.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    told = f"[...{box}.querySelectorAll('.over')].filter((block) => !block.hidden).map((block) => block.textContent)"
    assert page.run(told) == []
    select = f"{box}.querySelector('select[name=repeat]')"
    page.run(f"{select}.value = '2'")
    page.run(f"{select}.dispatchEvent(new Event('change', {{ bubbles: true }}))")
    assert page.run(told) == ["repeat 2: failed"] * 6


def test_in_print_nothing_is_cut_or_folded_and_the_truth_is_there(page: Browser, report: Path) -> None:
    page.open(report, 703)  # A4 between margins of 12 mm
    page.call("Emulation.setEmulatedMedia", media="print")
    page.run("window.dispatchEvent(new Event('beforeprint'))")
    assert page.run("document.documentElement.scrollWidth") == 703
    parts = "[...document.querySelectorAll('table, .strip')]"
    assert page.run(f"{parts}.filter((part) => part.scrollWidth > part.parentElement.clientWidth).length") == 0
    assert page.run("document.querySelectorAll('details:not([open])').length") == 0
    truth = "getComputedStyle(document.querySelector('[aria-label=Renders] .compare[role=img]'))"
    assert page.run(f"{truth}.printColorAdjust") == "exact"
    assert page.run(f"{truth}.backgroundImage").startswith('url("data:image/webp')
    page.run("window.dispatchEvent(new Event('afterprint'))")
    assert page.run("document.querySelectorAll('details:not([open])').length") > 0
    page.call("Emulation.setEmulatedMedia", media="")


def test_a_copy_of_the_page_alone_has_no_link_that_leads_nowhere(
    browser: Browser, report: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.html"
    copy.write_bytes(report.read_bytes())
    links_seen = "[...document.querySelectorAll('a[href]')].filter((link) => link.checkVisibility())"
    visible = f"{links_seen}.map((link) => link.getAttribute('href'))"
    browser.open(report)
    assert any(link.startswith("../runs/") for link in browser.run(visible))
    browser.open(copy)
    browser.wait_for("document.body.classList.contains('alone')")
    links = browser.run(visible)
    assert {link.partition(",")[0] for link in links if not link.startswith("#")} == {
        "data:image/png;base64", "data:application/pdf;base64", "data:text/markdown;base64", "data:text/csv;base64"
    }  # fmt: skip
    assert browser.run("document.querySelector('.only-alone').checkVisibility()")


def test_a_cloud_is_turned_around_in_a_copy_of_the_page(browser: Browser, report: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.html"
    copy.write_bytes(report.read_bytes())
    browser.open(copy, 390)
    drawn = "document.querySelector('dialog canvas').toDataURL()"
    empty = browser.run(drawn)
    browser.click("[data-cloud]")
    assert browser.run("document.getElementById('cloud').open")
    assert browser.run("document.getElementById('cloud-title').textContent").startswith("ball, corruption level 0 %")
    first = browser.run(drawn)
    assert first != empty
    x, y = browser.centre("dialog canvas")
    browser.drag((x, y), (x + 40, y + 10))
    assert browser.run(drawn) != first
    browser.run("document.querySelector('dialog canvas').dispatchEvent(new KeyboardEvent('keydown', {key: '-'}))")
    browser.click("dialog button")
    assert not browser.run("document.getElementById('cloud').open")


def test_dragging_across_a_picture_uncovers_the_truth(page: Browser) -> None:
    x, y = page.centre(".compare input")
    split = "document.querySelector('.compare:has(input)').style.getPropertyValue('--split')"
    width = page.run("document.querySelector('.compare:has(input)').getBoundingClientRect().width")
    page.drag((x + width / 2 - 4, y), (x + 5, y), (x, y))
    assert 40 <= float(page.run(split).rstrip("%")) <= 60
    clip = page.run("getComputedStyle(document.querySelector('.compare:has(input) img')).clipPath")
    assert clip.startswith("inset(0px ")
    assert clip != "inset(0px)"
    page.run("document.querySelector('.compare input').focus()")
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Home", code="Home", windowsVirtualKeyCode=36)
    assert page.run(split) == "0%"


def test_one_slider_moves_all_pictures(page: Browser) -> None:
    page.run("document.querySelector('.split-all').value = 30")
    page.run("document.querySelector('.split-all').dispatchEvent(new Event('input'))")
    tiles = "[...document.querySelector('[aria-label=Renders]').querySelectorAll('.compare:has(input)')]"
    splits = f"{tiles}.map((tile) => tile.style.getPropertyValue('--split'))"
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
    files = {link.replace("%20", " ") for link in links if not link.startswith(("#", "data:"))}
    assert len(files) > 36
    assert [link for link in files if not (report.parent / link).exists()] == []
