"""What the dashboard costs: an event, a second of watching, and training's speed beside it.

The last is measured in pairs within one run: the same dashboard, in a terminal of its own, is let
go for a while and stopped for a while (SIGCONT, SIGSTOP), many times in turn.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import reduce as fold
from pathlib import Path

from mario_agents.monitor.app import DashboardApp
from mario_agents.monitor.report import ReportJob
from mario_agents.monitor.state import reduce
from mario_agents.telemetry.events import COORDINATOR, EventObserver, Metrics
from mario_envkit.errors import RunError
from tests.agents.dashboards import FakeFeed, second_of, state_after
from tests.agents.terminals import Terminal

AGENTS = [sys.executable, "-m", "mario_agents.cli"]
WINDOW_SECONDS, PAIRS = 4.0, 12


def events(workers: int) -> float:
    """Seconds that the state takes for an event."""
    state = state_after(60, workers)
    batch = [event for second in range(61, 66) for event in second_of(workers, second)]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        fold(reduce, batch, state)
        times.append((time.perf_counter() - start) / len(batch))
    return min(times)


def watching(workers: int, size: tuple[int, int], seconds: int = 8) -> float:
    """Share of a core that drawing and reducing take, with a second's events every second."""

    async def main() -> float:
        feed = FakeFeed()
        app = DashboardApp(feed, state_after(60, workers), ReportJob(Path()))
        async with app.run_test(size=size) as pilot:
            await pilot.pause(1.0)
            before, start = time.process_time(), time.monotonic()
            for second in range(61, 61 + seconds):
                feed.waiting += second_of(workers, second)
                await asyncio.sleep(1.0)
            return (time.process_time() - before) / (time.monotonic() - start)

    return asyncio.run(main())


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def beside(folder: Path, workers: int, size: tuple[int, int]) -> tuple[float, float, float]:
    """Steps/s without, relative speed with the dashboard, and the dashboard's share of a core."""
    command = [*AGENTS, "train", "ddqn", "--run-dir", "run", "--workers", str(workers)]
    command += ["--total-steps", "100000000", "--no-ui", "--num-envs", "4", "--device", "cpu"]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    train = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    observer = None
    while observer is None:
        time.sleep(0.2)
        try:
            observer = EventObserver(folder / "run")
        except RunError:
            assert train.poll() is None
    steps = Steps(observer)
    while steps.total() < 3_000:
        time.sleep(0.2)
    # With the priority of the dashboard that training shows itself.
    shell = Terminal(["nice", "-n", "5", *AGENTS, "monitor", "run"], folder, env, size)
    reader = threading.Thread(
        target=lambda: shell.until(lambda: shell.status is not None, patience=math.inf)
    )
    reader.start()
    time.sleep(6.0)
    ratios, alone, shares = [], [], []
    for _ in range(PAIRS):
        os.kill(shell.pid, signal.SIGSTOP)
        without = steps.rate(WINDOW_SECONDS)
        os.kill(shell.pid, signal.SIGCONT)
        time.sleep(1.0)  # what had queued up
        used, start = cpu_seconds(shell.pid), time.monotonic()
        ratios.append(steps.rate(WINDOW_SECONDS) / without)
        shares.append((cpu_seconds(shell.pid) - used) / (time.monotonic() - start))
        alone.append(without)
    os.kill(shell.pid, signal.SIGKILL)
    reader.join()
    shell.close()
    observer.close()
    train.send_signal(signal.SIGINT)
    train.wait()
    return statistics.median(alone), statistics.median(ratios), statistics.mean(shares)


class Steps:
    """Agent steps of a run, as its workers tell them."""

    def __init__(self, observer: EventObserver) -> None:
        self._observer = observer
        self._told: dict[str, tuple[float, int]] = {}

    def total(self) -> int:
        """So far."""
        for envelope in self._observer.poll():
            if isinstance(envelope.event, Metrics) and envelope.source != COORDINATOR:
                steps = round(envelope.event.snapshot.counters["steps"])
                self._told[envelope.source] = envelope.time, steps
        return sum(steps for _, steps in self._told.values())

    def rate(self, seconds: float) -> float:
        """Steps a second over about so many seconds, by the workers' own clocks."""
        self.total()
        before = dict(self._told)
        time.sleep(seconds)
        self.total()
        return sum(
            (self._told[name][1] - steps) / (self._told[name][0] - then)
            for name, (then, steps) in before.items()
        )


def main() -> None:
    """Print a table."""
    for workers in (1, 4, 16):
        print(f"{workers:>2} workers: {1e6 * events(workers):6.1f} us an event", end="")
        for size in ((80, 24), (200, 60)):
            share = watching(workers, size)
            print(f", {size[0]}x{size[1]}: {100 * share:4.1f} % of a core", end="")
        print()
    with tempfile.TemporaryDirectory() as folder:
        alone, ratio, share = beside(Path(folder), 2, (120, 40))
    print(
        f"ddqn, 2 workers: {alone:.0f} steps/s alone, {100 * (ratio - 1):+.2f} % beside the "
        f"dashboard, which takes {100 * share:.1f} % of a core"
    )
