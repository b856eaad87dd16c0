"""The page of an inspection in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pointrad.inspection.page import html
from tests.browser import chromium, find_chromium
from tests.inspection import planted

pytestmark = pytest.mark.integration


def test_the_page_shows_findings_cameras_and_photographs_and_asks_for_nothing_more(tmp_path: Path) -> None:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium; install it (Debian: apt-get install chromium) to test the page")
    folder = planted.write(tmp_path / "balls")
    planted.paint(folder, 4, np.logical_not)
    page = tmp_path / "inspection.html"
    page.write_text(html(planted.inspected(folder)), encoding="utf-8")
    with chromium(program, tmp_path / "profile") as browser:
        for width in (1280, 320):
            browser.open(page, width)
            assert browser.run("document.documentElement.scrollWidth") == width
        assert "inverted" in browser.run("document.querySelector('.finding.fault').textContent")
        assert browser.run("document.querySelector('figure.faulty').textContent").startswith(planted.name_of(4))
        assert browser.run("document.querySelectorAll('figure img').length") == planted.COUNT
        assert browser.run("document.querySelector('figure img').naturalWidth") == planted.WIDTH
        before = browser.run("document.querySelector('canvas').toDataURL()")
        x, y = browser.centre("canvas")
        browser.drag((x, y), (x + 60, y + 20))
        assert browser.run("document.querySelector('canvas').toDataURL()") != before
        assert browser.complaints == []
        assert [url[:80] for url in browser.requests if not url.startswith(("file:", "data:"))] == []
