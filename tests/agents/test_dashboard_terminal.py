"""The dashboard in a real terminal, beside training and from elsewhere."""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mario_agents.telemetry.events.address import SERVER_NAME
from tests.agents.terminals import Terminal, children_of
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

AGENTS = [sys.executable, "-m", "mario_agents.cli"]
TRAIN = [*AGENTS, "train", "walk", "--device", "cpu", "--pause", "0.02", "--run-dir", "run"]
LONG = ["--total-steps", "100000000"]


@pytest.fixture
def terminal(tmp_path: Path, cli_env: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_terminal(*command: str, **options: object) -> Terminal:
        env = {key: value for key, value in cli_env.items() if key not in ("COLUMNS", "LINES")}
        opened.append(Terminal(list(command), tmp_path, env, **options))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


def dashboard_of(terminal: Terminal) -> int:
    (pid,) = children_of(terminal.pid, "mario_agents.monitor")
    return pid


def is_sane(terminal: Terminal) -> bool:
    return terminal.line_mode and not terminal.alternate


@pytest.mark.slow
def test_ctrl_c_stops_training_and_gives_the_terminal_back(terminal):
    shell = terminal(*TRAIN, *LONG)
    shell.until(lambda: "running" in shell.output)
    assert shell.alternate
    assert not shell.line_mode
    priorities = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (shell.pid, dashboard_of(shell))]
    assert priorities[1] == min(priorities[0] + 5, 19)  # training comes first
    shell.type("\x03")
    assert shell.end() == 130
    assert is_sane(shell)
    assert "Continue with: mario-agents train --resume run" in shell.left
    assert "Traceback" not in shell.output


@pytest.mark.slow
def test_a_run_ends_under_its_dashboard(terminal):
    for steps in (40_000 * 4**attempt for attempt in itertools.count()):
        words = ("--total-steps", str(steps), "--run-dir", f"run-{steps}")
        shell = terminal(*TRAIN, *words, size=(200, 60))
        shell.until(lambda shell=shell: "running" in shell.output or shell.status is not None)
        if "running" in shell.output:
            break  # and not over before its dashboard was there
    assert shell.end() == 0
    assert is_sane(shell)
    assert "100%" in shell.left
    assert "Finished." in shell.left


@pytest.mark.parametrize("way", ["killed", "closed"])
@pytest.mark.slow
def test_training_goes_on_without_the_dashboard(terminal, way):
    shell = terminal(*TRAIN, *LONG)
    shell.until(lambda: "running" in shell.output)
    if way == "killed":
        os.kill(dashboard_of(shell), signal.SIGKILL)
    else:
        shell.type("q")
    shell.until(lambda: not shell.alternate and "steps/s" in shell.left)
    assert shell.line_mode
    shell.type("\x03")
    assert shell.end() == 130
    assert is_sane(shell)
    assert ("The dashboard ended with status -9" in shell.left) == (way == "killed")


@pytest.mark.slow
def test_the_dashboard_does_not_outlive_training(terminal):
    # Under a shell, as always: the terminal of a session whose leader dies is closed.
    shell = terminal("sh", "-c", f"{shlex.join([*TRAIN, *LONG])}; sleep 100")
    shell.until(lambda: "running" in shell.output)
    (train,) = children_of(shell.pid, "train")
    os.kill(train, signal.SIGKILL)
    shell.until(lambda: is_sane(shell))


@pytest.mark.slow
def test_no_ui_and_no_terminal_keep_the_plain_line(terminal, tmp_path, cli_env):
    shell = terminal(*TRAIN, "--total-steps", "640", "--no-ui")
    assert shell.end() == 0
    assert "\x1b[?1049h" not in shell.output
    assert "100%" in shell.output
    (tmp_path / "run").rename(tmp_path / "other")
    plain = subprocess.run(
        [*TRAIN, "--total-steps", "640"], cwd=tmp_path, env=cli_env, capture_output=True, text=True
    )
    assert plain.returncode == 0
    assert "step 640/640" in plain.stderr
    assert "\x1b" not in plain.stderr + plain.stdout


@pytest.mark.slow
def test_a_run_is_watched_and_stopped_from_another_terminal(terminal, tmp_path, cli_env):
    command = [*TRAIN, *LONG, "--workers", "2", "--no-ui"]
    train = subprocess.Popen(
        command, cwd=tmp_path, env=cli_env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        server = tmp_path / "run" / SERVER_NAME
        other = terminal("sh", "-c", f"while ! test -e {server}; do sleep 0.1; done; exec "
                         f"{' '.join(AGENTS)} monitor run")  # fmt: skip
        other.until(lambda: "running" in other.output)
        other.type("s")
        other.until(lambda: "Press s again" in other.output)
        other.type("s")
        _, errors = train.communicate(timeout=PATIENCE)
        assert train.returncode == 130, errors
        other.until(lambda: "ended" in other.output)
        assert other.status is None  # it shows the end until somebody has seen it
        other.type("\x03")
        assert other.end() == 0
        assert is_sane(other)
    finally:
        train.kill()
        train.wait()
    told = subprocess.run(
        [*AGENTS, "monitor", "run"], cwd=tmp_path, env=cli_env, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert "ended" in told.stdout
    assert "Stopped by a signal." in told.stdout


def test_monitor_needs_a_run(cli_env, tmp_path):
    told = subprocess.run(
        [*AGENTS, "monitor", "nowhere"], cwd=tmp_path, env=cli_env, capture_output=True, text=True
    )
    assert told.returncode == 2
    assert "There is no run directory nowhere" in told.stderr
