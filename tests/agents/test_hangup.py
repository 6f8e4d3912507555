"""A closed terminal stops a run as SIGTERM does: everything is saved, and nothing is left over."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mario_agents.runtime.signals import HungUp, StopRequest, Terminated
from mario_agents.telemetry.events import COORDINATOR
from tests.agents.living_run import LivingRun
from tests.waiting import PATIENCE

if sys.platform != "linux":
    pytest.skip("looks into /proc and /dev/shm", allow_module_level=True)

import fcntl
import pty
import termios

WORDS = ("--run-dir", "run", "--checkpoint-interval", 10**8, "--log-interval", 500, "--device",
         "cpu", "--total-steps", 10**9, "--pause", 0.02)  # fmt: skip


class RunInTerminal(LivingRun):
    """A run at a terminal of its own, which can be closed."""

    def start(self, *words: object) -> None:
        self._master, slave = pty.openpty()
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mario_agents.cli", "train", *map(str, words)],
            cwd=self.path.parent, env=self._env, stdin=slave, stdout=slave, stderr=slave,
            text=True, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.statuses, self.measured, self.logged = {}, {}, []
        self._observer = None

    def _read(self) -> None:
        while not self._closing.is_set():
            if select.select([self._master], [], [], 0.05)[0]:
                try:
                    os.read(self._master, 65536)
                except OSError:  # nobody is at the other side
                    return

    def hang_up(self) -> None:
        self._closing.set()
        self._reader.join()
        os.close(self._master)

    def close(self) -> None:
        if not self._closing.is_set():
            self.hang_up()
        super().close()


@pytest.fixture(autouse=True)
def _hangups_count() -> Iterator[None]:
    """Processes inherit that SIGHUP is ignored, and these tests may run under nohup themselves."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def temporary() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="run"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def assert_saved(run: LivingRun, workers: int) -> None:
    latest = run.checkpoint().load_latest()
    assert latest.step > 0
    assert latest.step == sum(worker["steps"] for worker in latest.state["counters"])
    assert "Stopped by a signal." in run.log()
    for number in range(workers):
        assert int(run.rows(f"worker_{number}")[-1]["steps"]) > 0


@pytest.mark.parametrize(("workers", "words"), [(0, ("--no-ui",)), (1, ("--ui",))])
@pytest.mark.slow
def test_a_closed_terminal_saves_and_stops_the_run(
    tmp_path: Path, temporary: Path, cli_env: dict[str, str], workers: int, words: tuple[str, ...]
) -> None:
    env = {**cli_env, "TERM": "xterm-256color"}
    run = RunInTerminal(tmp_path, temporary, env, "walk", *WORDS, "--workers", workers, *words)
    try:
        run.until(lambda: run.updates > 5)
        run.hang_up()
        assert run.process.wait(PATIENCE) == 129
        assert_saved(run, max(workers, 1))
        if workers:
            run.assert_nothing_left()
    finally:
        run.close()


@pytest.mark.slow
def test_signals_that_come_in_a_heap_do_not_disturb_the_saving(
    tmp_path: Path, temporary: Path, cli_env: dict[str, str]
) -> None:
    """A shell and the system tell of a closed terminal, and a service manager adds SIGTERM."""
    run = LivingRun(tmp_path, temporary, cli_env, "walk", *WORDS, "--workers", 1)
    try:
        run.until(lambda: run.running(1))
        for source in (COORDINATOR, "worker_0"):
            run.kill(source, signal.SIGHUP)
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            run.process.send_signal(number)
        status, errors = run.end()
        assert status == 129, errors
        assert "Continue with: mario-agents train --resume run" in errors
        assert_saved(run, 1)
        run.assert_nothing_left()
    finally:
        run.close()


@pytest.mark.slow
def test_nohup_holds(
    tmp_path: Path, temporary: Path, cli_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def with_nohup(command: list[str], **kwargs: object) -> object:
        return popen(["nohup", *command], **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", with_nohup)
    run = LivingRun(tmp_path, temporary, cli_env, "walk", *WORDS, "--workers", 1)
    try:
        run.until(lambda: run.running(1))
        for source in (COORDINATOR, "worker_0"):
            run.kill(source, signal.SIGHUP)
        run.process.send_signal(signal.SIGHUP)
        updates = run.updates
        run.until(lambda: run.updates > updates + 10)
        run.process.send_signal(signal.SIGINT)
        status, errors = run.end()
        assert status == 130, errors
    finally:
        run.close()


def test_which_signals_ask_and_which_insist() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        assert type(stop.exception()) is HungUp
        with pytest.raises(HungUp):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # told again while files are closed
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert type(stop.exception()) is Terminated
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGINT)
    assert (HungUp.exit_status, Terminated.exit_status) == (129, 143)
