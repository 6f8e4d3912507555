"""Runs that never were, as the events they would have sent; and what a dashboard drew, as text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce as fold
from xml.etree import ElementTree

from rich.cells import cell_len

from mario_agents.algos.dqn.metrics import METRICS as DDQN
from mario_agents.monitor.state import Dashboard, reduce
from mario_agents.telemetry import MetricSnapshot, RollingMean, RunMetrics
from mario_agents.telemetry.events import (
    COORDINATOR,
    MAIN,
    PROTOCOL_VERSION,
    AnyEvent,
    DeathPositions,
    Envelope,
    Heartbeats,
    LearnerStatus,
    Log,
    Metrics,
    ProcessHeartbeat,
    WorkerStatus,
)

START = 1_800_000_000.0
"""When all these runs began (Unix seconds)."""
CELL_WIDTH = 12.2
"""Of a character in the pictures that rich makes."""


def envelope(event: AnyEvent, source: str = "worker_0", second: float = 0.0, **fields) -> Envelope:
    """An event, told ``second`` seconds after the beginning."""
    values = {"run": "0" * 16, "generation": 0, "sender": 1, "sequence": 0, "dropped": 0}
    return Envelope(
        version=PROTOCOL_VERSION, source=source, time=START + second, event=event, **values | fields
    )


METRICS = RunMetrics.of(DDQN)


def worker_status(number: int, second: int, state: str = "running") -> WorkerStatus:
    step = 50 * second * (number + 1)
    return WorkerStatus(state=state, pid=100 + number, step=step, max_stuck=3)


def metrics(number: int, second: int, **changed: float) -> Metrics:
    """What a worker has measured, but for ``changed`` counters and gauges."""
    played = 50 * second * (number + 1)
    counters = {
        "steps": played,
        "episodes": played // 120,
        "deaths": played // 130,
        "flags": second // 20,
        "train_steps": played // 4,
        "packets": played // 4,
        "saves": second // 5,
        "restores": second // 9,
    }
    rolling = {
        "reward": RollingMean(10.0 * second - 20.0 * number, 20),
        "success": RollingMean(min(second / 80, 1.0), 20),
        "loss": RollingMean(2.0 * math.exp(-second / 20), 100),
        "q_mean": RollingMean(0.1 * second, 100),
        "q_max": RollingMean(0.3 * second, 100),
        "td_error": RollingMean(0.5, 100),
    }
    gauges = {
        "epsilon": max(1.0 - second / 100, 0.05),
        "best_x": min(300.0 + 40 * second, 3161.0),
        "steps_per_second": 50.0 * (number + 1),
        "stuck": second % 4,
        "time_env": 0.42,
        "time_inference": 0.2,
        "time_learning": 0.27,
        "time_waiting": 0.01 * number,
    }
    counters |= {name: changed[name] for name in changed if name in counters}
    gauges |= {name: changed[name] for name in changed if name in gauges}
    return Metrics(step=played, snapshot=MetricSnapshot(counters, gauges, rolling, {}))


def heartbeats(workers: int, second: int, **changed: ProcessHeartbeat) -> Heartbeats:
    """Everybody has just beaten, but for those in ``changed``."""
    sources = [*(f"worker_{number}" for number in range(workers)), COORDINATOR]
    processes = [
        ProcessHeartbeat(source=source, pid=100 + row, age=0.1, restarts=0)
        for row, source in enumerate(sources)
    ]
    return Heartbeats(step=0, processes=[changed.get(p.source, p) for p in processes])


def learner_status(second: int, state: str = "running") -> LearnerStatus:
    return LearnerStatus(state=state, pid=99, step=50 * second, version=40 * second)


def learner_metrics(second: int) -> Metrics:
    counters = {"updates": 40 * second, "stale": second // 7}
    gauges = {"lr": 2.5e-4, "updates_per_second": 40.0}
    rolling = {"grad_norm": RollingMean(1.25, 9), "staleness": RollingMean(1.5, 9)}
    snapshot = MetricSnapshot(counters, gauges, rolling, {})
    return Metrics(step=50 * second, snapshot=snapshot)


def second_of(workers: int, second: int) -> Iterator[Envelope]:
    """All that is told in a second."""
    for number in range(workers):
        source = f"worker_{number}"
        yield envelope(metrics(number, second), source, second)
        yield envelope(worker_status(number, second), source, second)
        x = (second * second * 37 + 111 * number) % 2800
        yield envelope(DeathPositions(level="1-1", positions=[x, 1100]), source, second)
    yield envelope(learner_metrics(second), COORDINATOR, second)
    yield envelope(learner_status(second), COORDINATOR, second)
    yield envelope(heartbeats(workers, second), MAIN, second)
    if second % 10 == 0:
        yield envelope(Log(level=20, logger="x", text=f"Second {second} of many."), MAIN, second)


def state_after(seconds: int, workers: int) -> Dashboard:
    """A run with so many workers after so many seconds."""
    events = [event for second in range(seconds + 1) for event in second_of(workers, second)]
    return fold(reduce, events, Dashboard("ddqn-1-1", 100_000, metrics=METRICS))


class FakeFeed:
    """A :class:`~mario_agents.monitor.feed.Feed` that tells what a test puts into ``waiting``."""

    def __init__(self) -> None:
        self.waiting: list[Envelope] = []
        self.living, self.silent, self.stops, self.closed = True, False, 0, False

    def poll(self, state: Dashboard) -> Dashboard:
        events, self.waiting = self.waiting, []
        return fold(reduce, events, state)

    def stop(self) -> bool:
        self.stops += 1
        return self.living

    def close(self) -> None:
        self.closed = True


def screen_text(svg: str) -> str:
    """The characters in a picture of a terminal, where they are; colours are left out.

    What remains does not depend on versions of rich and textual: they differ in names, fonts and
    style sheets.
    """
    rows: dict[float, str] = {}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if "clip-path" not in element.attrib:  # the title of the window
            continue
        y, column = float(element.attrib["y"]), round(float(element.attrib["x"]) / CELL_WIDTH)
        text = (element.text or "").replace("\xa0", " ")
        line = rows.get(y, "")
        rows[y] = line + " " * (column - cell_len(line)) + text
    return "\n".join(rows[y].rstrip() for y in sorted(rows)) + "\n"


REPLACED = ProcessHeartbeat(source="worker_0", pid=9, age=0.1, restarts=2)
"""A new process in the place of a dead one."""
