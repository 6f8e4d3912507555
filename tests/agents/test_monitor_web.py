"""The dashboard in a browser: it streams to whoever may see it, and ends without a trace."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from mario_agents.monitor.web import access, server
from tests.agents.browser import CHROMIUM, browser_page
from tests.agents.living_run import processes_with
from tests.agents.run_files import write_run
from tests.waiting import PATIENCE, until

aiohttp = pytest.importorskip("aiohttp", reason="pip install 'mario-envkit[web]'")
pytest.importorskip("textual_serve", reason="pip install 'mario-envkit[web]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

LAST = "Quit"
"""What a dashboard draws last: the keys."""
EVERYWHERE = ("--host", "0.0.0.0")


class Site:
    """``mario-agents monitor run --web`` in a process of its own."""

    def __init__(self, folder: Path, env: dict[str, str], *words: str) -> None:
        self.mark = uuid.uuid4().hex
        command = [sys.executable, "-m", "mario_agents.cli", "monitor", "run", "--web"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *words], cwd=folder, env={**env, "MARIO_TEST_RUN": self.mark},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.said = ""
        threading.Thread(target=self._read, daemon=True).start()
        until(lambda: "Ctrl-C" in self.said, told=lambda: (self.said, self.process.poll()))
        (self.url,) = re.findall(r"http://\S+", self.said)
        self.port = urlsplit(self.url).port
        self.token = urlsplit(self.url).query.removeprefix("token=")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    def watch(self, then: Callable[[], object], **headers: str) -> str:
        """Look at a dashboard until it has drawn itself, do something, and wait until it closes.

        Returns:
            all that it has drawn.
        """

        async def main() -> str:
            drawn, done = "", False
            url = f"http://127.0.0.1:{self.port}/ws?width=90&height=30"
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(url, headers=headers) as stream,
            ):
                async for message in stream:
                    drawn += message.data.decode() if isinstance(message.data, bytes) else ""
                    if LAST in drawn and not done:
                        done = True
                        if isinstance(said := then(), str):
                            await stream.send_json(["stdin", said])
            return drawn

        return asyncio.run(asyncio.wait_for(main(), PATIENCE))

    @property
    def dashboards(self) -> list[int]:
        """Its processes but for itself."""
        return [pid for pid in processes_with(self.mark) if pid != self.process.pid]

    def end(self, number: signal.Signals = signal.SIGINT) -> str:
        """End it, and wait until all is gone; what it said to the standard error stream."""
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        until(lambda: not processes_with(self.mark), told=lambda: processes_with(self.mark))
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        for pid in processes_with(self.mark):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


@pytest.fixture
def serve(tmp_path: Path, cli_env: dict[str, str]) -> Iterator[Callable[..., Site]]:
    write_run(tmp_path / "run", video=False)
    sites: list[Site] = []

    def start(*words: str) -> Site:
        sites.append(Site(tmp_path, cli_env, *words))
        return sites[-1]

    yield start
    for site in sites:
        site.close()


def test_at_loopback_everybody_here_sees_it(serve):
    site = serve()
    assert urlsplit(site.url).hostname == "127.0.0.1"
    assert site.token == ""
    status, headers, text = site.get("/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for file in re.findall(r'(?:src|href)="([^":]+)"', text):
        assert site.get(f"/{file}")[0] == 200, file
    assert "ended" in site.watch(lambda: "q")
    until(lambda: not site.dashboards, told=lambda: site.dashboards)  # nor when a page is closed
    for path in ("/", "/ws", "/static/js/textual.js", "/download/x", "/nowhere"):
        assert site.get(path, Host="evil.example")[2].strip() == access.WRONG_HOST
        assert site.get(path, Origin="http://evil.example")[2].strip() == access.WRONG_ORIGIN
    assert site.get("/static/../server.py")[0] == site.get("/nowhere")[0] == 404
    assert site.end() == ""
    assert site.process.returncode == 0


def test_elsewhere_it_takes_the_token(serve):
    site = serve(*EVERYWHERE)
    assert len(site.token) > 40
    assert "Whoever has this address can watch the run and stop it." in site.said
    for path in ("/", "/ws", "/static/js/textual.js", "/page.js", "/nowhere"):
        for query in ("", "?token=", "?token=wrong", f"?token={site.token[:-1]}"):
            status, _, text = site.get(path + query)
            assert (status, text.strip()) == (403, access.WRONG_TOKEN)
    assert not site.dashboards
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        site.watch(lambda: None, Cookie=f"mario_agents_token_{site.port}=wrong")
    status, headers, text = site.get(f"/?token={site.token}")
    assert (status, headers["Location"], text) == (303, "./", "")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Lax"} <= {*attributes}
    assert site.get("/", Cookie=cookie)[0] == 200
    assert site.get("/static/js/textual.js", Cookie=cookie)[0] == 200
    assert "ended" in site.watch(lambda: "q", Cookie=cookie)
    assert site.end() == ""
    assert site.token not in site.said.replace(site.url, "")


def test_a_token_at_loopback_for_machines_with_other_users(serve):
    site = serve("--token")
    assert urlsplit(site.url).hostname == "127.0.0.1"
    assert site.get("/")[0] == 403
    assert site.get(f"/?token={site.token}")[0] == 303


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(serve, number):
    site = serve()

    def end() -> None:
        assert len(site.dashboards) == 1
        site.process.send_signal(number)

    drawn = ""
    try:
        drawn = site.watch(end)
    except aiohttp.ClientError:  # it did not say goodbye
        assert number == signal.SIGKILL
    assert site.end(number) == ""
    assert LAST in drawn or number == signal.SIGKILL


def test_there_are_only_so_many_dashboards(serve):
    site = serve()

    async def main() -> int:
        url = f"http://127.0.0.1:{site.port}/ws"
        async with aiohttp.ClientSession() as session:
            for _ in range(server.MAX_VIEWERS):
                await session.ws_connect(url)
            async with session.get(url) as answer:
                assert "close one of them" in await answer.text()
                return answer.status

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == 503
    assert site.end() == ""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_in_a_browser(serve, tmp_path, size):
    site = serve("--token")
    with browser_page() as page:
        page.open(site.url, width=size[0], height=size[1])
        until(lambda: page.value("document.body.classList.contains('-first-byte')"))
        picture = tmp_path / "page.png"

        def colours() -> int:
            page.screenshot(picture, whole=False)
            pixels = cv2.imread(str(picture)).reshape(-1, 3)
            return len(np.unique(pixels, axis=0))

        until(lambda: colours() > 50, told=colours)  # letters, in the terminal's canvas
        assert page.value("location.href") == f"http://127.0.0.1:{site.port}/"
        assert page.value("document.fonts.check('14px \"Roboto Mono\"')")
        places = {urlsplit(url).netloc for url in page.requests if not url.startswith("data:")}
        assert places == {f"127.0.0.1:{site.port}"}
        assert [line for line in page.console if "error" in line.lower()] == []
        assert len(site.dashboards) == 1
        page.value("document.querySelector('.xterm-helper-textarea').focus()")
        page.call("Input.insertText", text="q")
        until(lambda: page.value("document.body.classList.contains('-closed')"))
        page.screenshot(picture, whole=False)
        until(lambda: not site.dashboards, told=lambda: site.dashboards)
    assert site.end() == ""
