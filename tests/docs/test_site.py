"""The site: its strict build, and what a browser makes of it at any width, light and dark."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.agents.browser import CHROMIUM, Page, browser_page
from tests.docs.markdown import PAGES, ROOT
from tests.docs.options import hook
from tests.waiting import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("mkdocs") is None or find_spec("material") is None
        or find_spec("mkdocstrings") is None,
        reason="needs the extra docs",
    ),
]  # fmt: skip
browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
DESKTOP, PHONE = (1280, 900), (390, 844)
FOUND = """new Promise(resolve => {
  const look = () => {
    const links = [...document.querySelectorAll('.md-search-result__link')];
    if (links.length) resolve(links.map(link => link.href));
    else setTimeout(look, 100);
  };
  look();
})"""
WIDTH = """new Promise(resolve => {  // a page is laid out for 980 pixels until its head is read
  const until = performance.now() + 5000;
  const look = () => {
    const width = document.documentElement.scrollWidth;
    if (width <= SCREEN || performance.now() > until) resolve(width);
    else setTimeout(look, 50);
  };
  look();
})"""
FORMULAS = "document.querySelectorAll('.arithmatex').length"
DRAWN = "document.querySelectorAll('.arithmatex .katex-html').length"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; nothing is wrong with a link, an anchor or a name in a docstring."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f",
               "docs/mkdocs.yml", "-d", str(folder)]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10 * PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served."""
    handler = functools.partial(_Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


def test_every_page_and_every_name_of_the_reference_is_there(site: Path) -> None:
    for source in PAGES.rglob("*.md"):
        built = source.relative_to(PAGES).with_suffix(".html")
        assert (site / built).is_file(), built
    text = (site / "reference" / "training-options.html").read_text(encoding="utf-8")
    catalogue = hook("catalogue")
    for trainer in catalogue.own_trainers():
        for group in catalogue.agents_command("train", trainer).groups:
            for option in group.options:
                assert f"<code>{option.flags[0]}</code>" in text, (trainer, option.flags)
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for command in catalogue.all_commands():
        if not command.name.startswith("mario-agents train"):
            assert f'id="{command.name.replace(" ", "-")}"' in commands
    for path in ("repository/mario_agents/algos/ppo/index.html", "reference/api/rewards.html"):
        assert (site / path).is_file()


@browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_say_nothing_to_the_console_and_ask_nobody_else(
    page: Page, address: str, site: Path, size: tuple[int, int], dark: bool
) -> None:
    width, height = size
    names = ["index", "start/install", "results", "reference/commands", "how-to/reward"]
    names += [path.relative_to(PAGES).with_suffix("").as_posix()
              for path in sorted((PAGES / "learn").glob("*.md"))]  # fmt: skip
    colours = set()
    for name in names:
        page.open(f"{address}/{name}.html", width=width, height=height, dark=dark)
        wide = page.value(WIDTH.replace("SCREEN", str(width)))
        assert wide <= width, f"{name} is {wide} pixels wide on a screen of {width}"
        assert page.value(DRAWN) == page.value(FORMULAS), f"a formula of {name} is not drawn"
        colours.add(page.value("getComputedStyle(document.body).backgroundColor"))
    assert page.console == []
    others = [url for url in page.requests if not url.startswith((address, "data:", "blob:"))]
    assert others == []
    (colour,) = colours
    assert (sum(map(int, colour.strip("rgb()").split(",")[:3])) < 3 * 128) == dark


@browser
@pytest.mark.parametrize("served", [True, False], ids=["served", "from files"])
def test_search(page: Page, address: str, site: Path, served: bool) -> None:
    start = address if served else site.resolve().as_uri()
    page.open(f"{start}/index.html?q=sticky+actions", width=1280, height=900)
    found = page.value(FOUND)
    assert any("environment.html" in link or "results.html" in link for link in found)
    assert page.console == []
    assert [url for url in page.requests if not url.startswith((start, "data:", "blob:"))] == []
