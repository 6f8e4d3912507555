"""Progress, terminal pictures and videos."""

from __future__ import annotations

import math
import os
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import imageio.v2 as imageio
import numpy as np
import pytest
from rich.console import Console

from mario_agents.config import TrainConfig
from mario_agents.playback.terminal import TerminalScreen, half_blocks
from mario_agents.run import RunDir
from mario_agents.runtime.run import Run
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.telemetry import progress as progress_module
from mario_agents.telemetry.progress import TrainingProgress
from mario_agents.telemetry.schema import rolling
from mario_envkit.video import mp4_writer


class Clock:
    """Time that only moves when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("mario_agents.telemetry.progress.time", clock)
    monkeypatch.setattr("mario_agents.playback.terminal.time", clock)
    return clock


def test_plain_lines_come_every_ten_seconds(clock: Clock) -> None:
    out = StringIO()
    with TrainingProgress(1000, console=Console(file=out, width=40)) as progress:
        for step in range(0, 260, 10):
            clock.now += 1.0
            progress.update(step, best_x=7 * step, loss=0.12345, epsilon=math.nan)
        assert progress.steps_per_second == pytest.approx(10.0)
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0/1000", "100/1000", "200/1000", "250/1000"]
    assert lines[1] == "step 100/1000  9.09 steps/s  best_x 700  loss 0.123  epsilon -"


def test_the_display_keeps_what_workers_said_that_have_ended(tmp_path: Path) -> None:
    said = {"loss": 0.5, "best_x": 311.0}
    shown: list[dict[str, float]] = []
    hub = SimpleNamespace(
        combined=lambda: said,
        metrics=SimpleNamespace(
            headlines=[rolling("loss", "", label="loss"), rolling("best_x", "", label="best x")]
        ),
        announce=lambda event: None,
        write=lambda step: None,
    )
    topology = SimpleNamespace(heartbeat=SharedHeartbeat.private(workers=1), nodes={})
    config = TrainConfig(log_interval=0, ui=False)
    run = RunDir.create(tmp_path / "run", trainer="toy", config=config)
    loop = Run(config, run, cast(Any, hub), cast(Any, topology))
    loop.display = cast(Any, SimpleNamespace(update=lambda step, **values: shown.append(values)))
    loop.show()
    said = {"loss": math.nan, "best_x": 400.0}
    loop.show()
    assert shown == [{"loss": 0.5, "best x": 311.0}, {"loss": 0.5, "best x": 400.0}]


def test_a_terminal_gets_a_bar() -> None:
    out = StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with TrainingProgress(1000, initial_step=400, console=console) as progress:
        progress.update(500, flags=3.0)
    assert "50%" in out.getvalue()
    assert "flags 3" in out.getvalue()


def test_a_file_gets_lines_where_colours_are_asked_for_as_in_notebooks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with TrainingProgress(1000) as progress:
        progress.update(500, flags=3.0)
    shown = capsys.readouterr().err
    assert shown.startswith("step 500/1000")
    assert "\x1b" not in shown


def test_disabled_shows_nothing_but_still_measures(clock: Clock) -> None:
    out = StringIO()
    with TrainingProgress(10, enabled=False, console=Console(file=out)) as progress:
        assert math.isnan(progress.steps_per_second)
        clock.now += 2.0
        progress.update(8, loss=1.0)
    assert out.getvalue() == ""
    assert progress.steps_per_second == 4.0


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (0.00012, "0.00012"), (12345.6, "12346"), (math.inf, "inf"), (math.nan, "-")],
)
def test_numbers(value: float, text: str) -> None:
    assert progress_module._number(value) == text


def test_half_blocks_colours_two_pixels_a_cell() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, :, 0] = 9
    picture[1, 2] = (1, 2, 3)
    assert half_blocks(picture) == (
        "\x1b[38;2;9;0;0;48;2;0;0;0m▀▀\x1b[38;2;9;0;0;48;2;1;2;3m▀\x1b[0m"
    )


def test_the_terminal_keeps_the_games_time_and_drops_frames(clock: Clock) -> None:
    out = StringIO()
    screen = TerminalScreen(Console(file=out, width=64, height=20, force_terminal=True), fps=60)
    for _ in range(60):
        screen.show(np.zeros((240, 256, 3), np.uint8))
    assert clock.now == pytest.approx(101.0)
    drawn = out.getvalue().count("\x1b[H")
    assert 15 <= drawn <= 21
    assert out.getvalue().count("\n") == drawn * 18  # 19 lines of 20, in the shape of the picture


@pytest.mark.parametrize(("scale", "size"), [(1, (26, 34)), (2, (52, 68)), (3, (78, 102))])
def test_a_video_shows_every_pixel_enlarged(
    tmp_path: Path, scale: int, size: tuple[int, int]
) -> None:
    picture = np.zeros((26, 34, 3), np.uint8)
    picture[4:12, 8:16] = 250
    with mp4_writer(tmp_path / "a.mp4", 30, scale, quick=True) as video:
        for _ in range(3):
            video.show(picture)
    *_, shown = imageio.get_reader(tmp_path / "a.mp4")
    assert shown.shape == (*size, 3)
    larger = picture.repeat(scale, 0).repeat(scale, 1)
    assert np.abs(shown.astype(int) - larger).mean() < 6


def test_a_failed_video_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")

    def fail() -> None:
        with mp4_writer(path, 60) as video:
            video.show(np.zeros((32, 32, 3), np.uint8))
            raise RuntimeError("the game broke")

    with pytest.raises(RuntimeError, match="the game broke"):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.mp4"]
