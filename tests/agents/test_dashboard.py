"""The dashboard as it looks, and what its keys do: by Textual's pilot, without a terminal."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mario_agents.monitor import app as app_module
from mario_agents.monitor.app import DashboardApp
from mario_agents.monitor.report import ReportJob
from mario_agents.monitor.state import Dashboard
from mario_agents.telemetry.events import MAIN, DeathPositions, Log, ProcessHeartbeat
from tests import waiting
from tests.agents.dashboards import (
    START,
    FakeFeed,
    envelope,
    heartbeats,
    learner_status,
    screen_text,
    second_of,
    state_after,
    worker_status,
)

SCREENS = Path(__file__).parent / "screens"
SMALL, LARGE = (80, 24), (200, 60)

Scenario = Callable[[DashboardApp, Any], Coroutine[Any, Any, None]]


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture(autouse=True)
def immediate(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens is drawn soon."""
    monkeypatch.setattr(app_module, "DRAW_SECONDS", 0.05)
    monkeypatch.setattr(app_module, "POLL_SECONDS", 0.02)


@pytest.fixture
def show(feed: FakeFeed, tmp_path: Path) -> Callable[..., None]:
    """Run a dashboard of a state, in a size, through a scenario."""

    def show(state: Dashboard, size: tuple[int, int], scenario: Scenario, **options: Any) -> None:
        async def main() -> None:
            app = DashboardApp(
                feed,
                state,
                ReportJob(tmp_path),
                now=lambda: START + 41.0,
                local_time=lambda seconds: f"+{seconds - START:.0f}s",
                **options,
            )
            async with app.run_test(size=size, notifications=True) as pilot:
                await pilot.pause()
                await scenario(app, pilot)

        asyncio.run(main())

    return show


def text_of(app: DashboardApp) -> str:
    return screen_text(app.export_screenshot())


async def until(pilot: Any, condition: Callable[[], bool]) -> None:
    """Wait for something; machines that test are slow and busy."""
    deadline = time.monotonic() + waiting.PATIENCE
    while not condition():
        assert time.monotonic() < deadline, text_of(pilot.app)
        await pilot.pause(0.03)


async def seen(pilot: Any, words: str) -> None:
    """Wait until the screen says something."""
    await until(pilot, lambda: words in text_of(pilot.app))


@pytest.mark.parametrize("workers", [1, 4, 16])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "200x60"])
def test_the_screen(show, size, workers):
    """Compared with what somebody has looked at; UPDATE_SCREENS=1 writes it anew."""
    file = SCREENS / f"{size[0]}x{size[1]}-{workers}.txt"

    async def scenario(app, pilot):
        text = text_of(app)
        if os.environ.get("UPDATE_SCREENS"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    show(state_after(40, workers), size, scenario)


def test_everything_that_was_asked_for_is_on_the_smallest_screen(show):
    async def scenario(app, pilot):
        text = text_of(app)
        for word in (
            *("steps", "/s", "ep.", "return", "ε", "max x", "died", "flags", "grads", "beat"),
            *("💾=8 ⏮=4(0/3)", "loss", "q mean", "td error", "lr", "updates/s", "staleness"),
            *("learner v1600", "success", "deaths 1-1", "Second 40 of many."),
            *("Pause view", "Level", "Report", "Stop run", "Quit view"),
        ):
            assert word in text

    show(state_after(40, 4), SMALL, scenario)


def test_workers_beyond_the_screen_are_scrolled_to(show):
    async def scenario(app, pilot):
        assert "●12" not in text_of(app)
        for _ in range(9):
            await pilot.press("down")
        await seen(pilot, "●12")

    show(state_after(40, 16), SMALL, scenario)


def test_lines_of_the_log_are_broken_anew_for_another_width(show, feed):
    words = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"

    async def scenario(app, pilot):
        feed.waiting.append(envelope(Log(level=20, logger="x", text=words), MAIN, 41))
        await seen(pilot, "fourteen")
        assert words not in text_of(app)
        await pilot.resize_terminal(*LARGE)
        await seen(pilot, words)
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: words not in text_of(app) and "fourteen" in text_of(app))

    show(state_after(40, 1), SMALL, scenario)


def test_resizing(show, feed):
    async def scenario(app, pilot):
        small = text_of(app)
        large = (SCREENS / "200x60-4.txt").read_text(encoding="utf-8")
        await pilot.resize_terminal(*LARGE)
        await until(pilot, lambda: text_of(app) == large)
        await pilot.resize_terminal(20, 5)
        await until(pilot, lambda: len(text_of(app).splitlines()) == 5)
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: text_of(app) == small)

    show(state_after(40, 4), SMALL, scenario)


def test_a_worker_dies_and_comes_back(show, feed):
    dead = ProcessHeartbeat(source="worker_1", pid=0, age=2.0, restarts=0)
    born = ProcessHeartbeat(source="worker_1", pid=300, age=0.1, restarts=1)

    async def scenario(app, pilot):
        feed.waiting.append(envelope(heartbeats(4, 41, worker_1=dead), MAIN, 41))
        await seen(pilot, "✖ 1 gone; to be replaced for the 1st time")
        feed.waiting.append(envelope(heartbeats(4, 41, worker_1=born), MAIN, 41))
        feed.waiting.append(envelope(worker_status(1, 41), "worker_1", 41, generation=1))
        await seen(pilot, "● 1")
        assert "gone" not in text_of(app)

    show(state_after(40, 4), SMALL, scenario)


def test_a_run_ends(show, feed):
    async def scenario(app, pilot):
        assert "running" in text_of(app)
        feed.waiting += [envelope(worker_status(0, 41, "stopped"), "worker_0", 41)]
        feed.waiting += [envelope(learner_status(41, "stopped"), "coordinator", 41)]
        feed.living = False
        await seen(pilot, "■ 0")
        await seen(pilot, "ended")
        await pilot.press("s")
        await seen(pilot, "The run has ended.")
        assert feed.stops == 0

    show(state_after(40, 1), SMALL, scenario)


def test_a_run_that_was_killed(show, feed):
    async def scenario(app, pilot):
        feed.living = False
        await seen(pilot, "ended without a word")

    show(state_after(40, 1), SMALL, scenario)


def test_nothing_is_known_yet(show):
    async def scenario(app, pilot):
        assert "waiting" in text_of(app)
        assert "no worker has been heard of yet" in text_of(app)

    show(Dashboard(title="new", total_steps=1000), SMALL, scenario)


def test_a_paused_view_stands_still_and_then_catches_up(show, feed):
    async def scenario(app, pilot):
        await pilot.press("p")
        before = text_of(app)
        assert "paused" in before
        feed.waiting += second_of(1, 90)
        await until(pilot, lambda: app.state.learner == learner_status(90))
        await pilot.pause(0.2)
        assert text_of(app) == before
        await pilot.press("p")
        await seen(pilot, "v3600")

    show(state_after(40, 1), SMALL, scenario)


def test_levels_are_gone_through(show, feed):
    async def scenario(app, pilot):
        feed.waiting.append(envelope(DeathPositions(level="1-2", positions=[77]), "worker_0", 41))
        await seen(pilot, "deaths 1-2")
        levels = [app.level(app.state)]
        for _ in range(4):
            await pilot.press("l")
            levels.append(app.level(app.state))
        assert levels == ["1-2", "1-1", "1-2", "1-2", "1-1"]
        await seen(pilot, "deaths 1-1")
        await pilot.press("left")
        assert app.level(app.state) == "1-2"

    show(state_after(40, 1), SMALL, scenario)


def test_stopping_takes_two_presses(show, feed):
    async def scenario(app, pilot):
        await pilot.press("s")
        assert feed.stops == 0
        await pilot.press("s")
        await seen(pilot, "stopping")
        await pilot.press("s")
        await pilot.press("s")
        assert feed.stops == 1

    show(state_after(40, 1), SMALL, scenario)


def test_ctrl_c_stops_the_run_where_it_is_trained(show, feed):
    async def scenario(app, pilot):
        await pilot.press("ctrl+c")
        assert feed.stops == 1
        assert app.is_running

    show(state_after(40, 1), SMALL, scenario, parent=os.getppid())


def test_ctrl_c_only_closes_a_dashboard_elsewhere(show, feed):
    async def scenario(app, pilot):
        await pilot.press("ctrl+c")
        assert feed.stops == 0
        assert app._exit

    show(state_after(40, 1), SMALL, scenario)
    assert feed.closed


def test_it_ends_with_the_process_that_trains(show, feed):
    async def scenario(app, pilot):
        await until(pilot, lambda: app._exit)

    show(state_after(40, 1), SMALL, scenario, parent=os.getpid())  # is nobody's child


def test_log_lines_come_once_and_in_order(show, feed):
    async def scenario(app, pilot):
        for number in range(3):
            event = Log(level=30, logger="x", text=f"[b]line {number}[/b]")
            feed.waiting.append(envelope(event, "worker_0", 41))
            await seen(pilot, f"line {number}")
        text = text_of(app)
        positions = [text.index(f"[b]line {number}[/b]") for number in range(3)]
        assert positions == sorted(positions)
        assert text.count("line 2") == 1

    show(state_after(4, 1), SMALL, scenario)


@pytest.fixture
def reporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReportJob:
    """Where reports are written by a program that only says that it did, unless told to fail."""
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh\ntest -e "$4/broken" && echo "It is damaged." && exit 2\n'
        'touch "$4/report.html"; echo "Wrote $4/report.html."\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("mario_agents.monitor.report.sys.executable", str(program))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    return ReportJob(tmp_path)


def result_of(job: ReportJob) -> str:
    return waiting.until(job.poll)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_a_report_is_written_and_opened_where_there_is_a_display(reporter, tmp_path, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    monkeypatch.setattr("mario_agents.monitor.report.sys.platform", "linux")
    assert reporter.poll() is None
    assert reporter.start() == "The report is being written..."
    assert reporter.start() == "The report is being written."
    assert result_of(reporter) == f"Wrote {tmp_path}/report.html."
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    reporter.start()
    assert result_of(reporter) == f"Opened {tmp_path}/report.html."
    assert opened == [(tmp_path / "report.html").as_uri()]
    (tmp_path / "broken").touch()
    reporter.start()
    assert result_of(reporter) == "No report: It is damaged."


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_a_key_writes_the_report(show, reporter, tmp_path):
    async def scenario(app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: (tmp_path / "report.html").is_file())
        await seen(pilot, "Wrote")

    show(state_after(4, 1), LARGE, scenario)
