"""A report in a browser: nothing goes wrong, nothing leaves the page, everything can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mario_agents.report.page import build_page
from mario_agents.report.rundata import RunData
from tests.agents.browser import CHROMIUM, Page, browser_page
from tests.agents.run_files import write_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

SEEN = """[...document.querySelectorAll('svg, video')].map(element => {
  const box = element.getBoundingClientRect();
  const parts = element.querySelectorAll('path, rect, use, text').length;
  return [box.width, box.height, element.localName == 'svg' ? parts : 1];
})"""
VIDEO = """new Promise(resolve => {
  const video = document.querySelector('video');
  const tell = () => resolve([video.videoWidth, video.error && video.error.message]);
  if (video.readyState > 0 || video.error) tell();
  video.addEventListener('loadedmetadata', tell); video.addEventListener('error', tell);
})"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    runs = [RunData.load(write_run(folder / name, seed=i).path) for i, name in enumerate("ab")]
    path = folder / "report.html"
    path.write_text(build_page(runs))
    return path


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


def shot(page: Page, folder: Path) -> NDArray[np.uint8]:
    """The whole page as BGR."""
    page.screenshot(folder / "shot.png")
    picture: NDArray[np.uint8] = cv2.imread(str(folder / "shot.png"))
    return picture


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_a_report_is_whole_on_every_screen(
    page: Page, report: Path, tmp_path: Path, width: int, height: int, dark: bool
) -> None:
    page.console.clear()
    page.requests.clear()
    page.open(report, width=width, height=height, dark=dark)
    assert page.value("document.documentElement.scrollWidth") <= width  # only tables scroll
    boxes = page.value(SEEN)
    assert len(boxes) >= 8
    for wide, high, parts in boxes:
        assert wide >= 200
        assert high >= 10
        assert parts > 0
    assert page.value(VIDEO) == [128, None]
    # Everything can be reached, and the layers be switched off, without a mouse.
    assert page.value("document.querySelectorAll('.scroll:not([tabindex])').length") == 0
    page.value("document.querySelector('.show-deaths').click()")
    assert page.value("getComputedStyle(document.querySelector('.deaths')).display") == "none"
    hidden = shot(page, tmp_path)
    page.value("document.querySelector('.show-deaths').click()")
    picture = shot(page, tmp_path)
    top = int(page.value("document.querySelector('.whole').getBoundingClientRect().top + scrollY"))
    overview = slice(top, top + 15)
    assert (picture[overview] != hidden[overview]).any()
    paper = picture[-5:, :5].mean()  # below the last line
    assert paper < 60 if dark else paper > 230
    assert page.console == []
    outside = [url for url in page.requests if not url.startswith("data:")]
    assert outside == [report.resolve().as_uri()]


def test_a_figure_is_readable_in_dark_and_in_light(page: Page, report: Path) -> None:
    for dark in (False, True):
        page.open(report, width=1280, height=900, dark=dark)
        contrast = page.value(
            """(() => {
              const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
              const light = color => { const [r, g, b] = rgb(color).map(c => { c /= 255;
                return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
              const card = document.querySelector('figure');
              const paper = light(getComputedStyle(card).backgroundColor);
              return [...document.querySelectorAll('.figure text')].map(text => {
                const ink = light(getComputedStyle(text).fill);
                return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05); });
            })()"""  # WCAG 2.1, relative luminance and contrast ratio
        )
        assert len(contrast) > 20
        assert min(contrast) >= 4.5
