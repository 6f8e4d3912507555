"""What a dashboard knows of a run: a value, and a pure function from events to the next value.

Nothing here draws, waits or reads a file. Events come from other processes, so any sequence of
them leads to a state, of bounded size, that can be drawn: texts are cleaned of control characters,
numbers may be NaN or nonsense.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mario_agents.monitor.series import Series
from mario_agents.run.level_rates import LevelRate
from mario_agents.telemetry import MetricDef, MetricSnapshot, RunMetrics
from mario_agents.telemetry.aggregator import combine
from mario_agents.telemetry.events import (
    COORDINATOR,
    DeathPositions,
    Envelope,
    Heartbeats,
    LearnerStatus,
    LevelOutcomes,
    Log,
    Metrics,
    ProcessHeartbeat,
    WorkerStatus,
)

BUCKET = 25
"""Pixels of a stretch whose deaths are counted together, as in ``death_hotspots.json``."""
LAST_X = 16_383
"""Positions beyond are counted here; the longest level ends at about 6000."""
MAX_WORKERS = 256
MAX_LEVELS = 128
MAX_METRICS = 64
"""Metrics of workers that are looked at."""
MAX_LOGS = 200
MAX_LINE = 300
"""Characters of a log line that are kept."""

GAME_CURVES = ("reward", "success")
"""Metrics of the game whose course is shown, before that of the algorithm's first headline."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker.

    Attributes:
        name: such as ``worker_0``.
        generation: number of times the process had been replaced when it was last heard of.
        status: its latest.
        snapshot: its latest metrics.
        best_x: the farthest that it, or a process before it, came; pixels, NaN if unknown.
        heartbeat: its latest sign of life, and when that was told (Unix seconds).
    """

    name: str
    generation: int = 0
    status: WorkerStatus | None = None
    snapshot: MetricSnapshot | None = None
    best_x: float = math.nan
    heartbeat: ProcessHeartbeat | None = None
    heartbeat_time: float = math.nan

    @property
    def gone(self) -> bool:
        """Whether its process is dead and not yet replaced."""
        return self.heartbeat is not None and self.heartbeat.pid == 0 and not self.stopped

    @property
    def stopped(self) -> bool:
        """Whether it has ended of its own accord."""
        return self.status is not None and self.status.state == "stopped"

    def number(self, name: str) -> float:
        """The latest value of a metric; NaN if it has not told it."""
        return math.nan if self.snapshot is None else self.snapshot.get(name)

    def age(self, now: float) -> float:
        """Seconds since its last beat; NaN if that is unknown, or of no interest any more."""
        if self.heartbeat is None or self.stopped:
            return math.nan
        return self.heartbeat.age + max(now - self.heartbeat_time, 0.0)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log: when (Unix seconds), from which process, how grave, what."""

    time: float
    source: str
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """All that is known of a run.

    Attributes:
        title: name of the run.
        total_steps: its budget in agent steps, 0 if unknown.
        step: run-wide agent steps.
        deadline: when the run will have had its time (Unix seconds), NaN if it has no limit.
        workers: by name, in their order.
        learner: the latest status of the owner of the weights.
        learner_heartbeat, learner_heartbeat_time: as of a worker.
        learner_snapshot: its latest metrics.
        metrics: the definitions of what it measures.
        curves: by metric, over all workers.
        deaths: by level and by left end of the bucket.
        level: where the latest death was.
        rates: how often each level is completed.
        logs: the latest lines, the oldest first.
        logged: lines that there have been.
        heard: time of the latest event from a living run (Unix seconds), NaN if there was none.
    """

    title: str = ""
    total_steps: int = 0
    step: int = 0
    deadline: float = math.nan
    workers: Mapping[str, Worker] = field(default_factory=dict)
    learner: LearnerStatus | None = None
    learner_heartbeat: ProcessHeartbeat | None = None
    learner_heartbeat_time: float = math.nan
    learner_snapshot: MetricSnapshot | None = None
    metrics: RunMetrics = field(default_factory=RunMetrics)
    curves: Mapping[str, Series] = field(default_factory=dict)
    deaths: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    level: str = ""
    rates: Mapping[str, LevelRate] = field(default_factory=dict)
    logs: tuple[LogLine, ...] = ()
    logged: int = 0
    heard: float = math.nan

    @property
    def phase(self) -> Literal["waiting", "starting", "running", "stopped"]:
        """How the run is getting on, as far as its processes said."""
        told = [worker.status.state for worker in self.workers.values() if worker.status]
        if self.learner is not None:
            told.append(self.learner.state)
        if not told:
            return "waiting"
        if all(state == "stopped" for state in told):
            return "stopped"
        return "starting" if all(state == "starting" for state in told) else "running"

    def of_learner(self, name: str) -> float:
        """A metric of the owner of the weights; NaN if it has not told it."""
        return math.nan if self.learner_snapshot is None else self.learner_snapshot.get(name)

    def value(self, metric: MetricDef) -> float:
        """A gauge or rolling mean over all workers that have it, as its definition combines it; of
        the algorithm's, also over the owner of the weights, where that learns."""
        snapshots = [worker.snapshot for worker in self.workers.values()]
        if metric in self.metrics.algorithm:
            snapshots.append(self.learner_snapshot)
        return combine((snapshot for snapshot in snapshots if snapshot is not None), metric)

    @property
    def algorithm_metrics(self) -> tuple[MetricDef, ...]:
        """What workers measure beside the game and their process, and show: as the algorithm has
        defined it, then what nobody has defined."""
        defined = {metric.name for metric in (*self.metrics.game, *self.metrics.process)}
        names = dict.fromkeys(metric.name for metric in self.metrics.algorithm)
        for worker in self.workers.values():
            if worker.snapshot is not None:
                names.update(dict.fromkeys([*worker.snapshot.rolling, *worker.snapshot.gauges]))
        own = [self.metrics.find(name) for name in names if name not in defined]
        return tuple(metric for metric in own if metric.panel is not None)[:MAX_METRICS]

    @property
    def headlines(self) -> tuple[MetricDef, ...]:
        """What to look at first of what the algorithm measures."""
        return tuple(metric for metric in self.metrics.algorithm if metric.headline)

    @property
    def curve_metrics(self) -> tuple[MetricDef, ...]:
        """Metrics whose course is shown: of the game, and the first headline of the algorithm."""
        return (*map(self.metrics.find, GAME_CURVES), *self.headlines[:1])


def reduce(state: Dashboard, envelope: Envelope) -> Dashboard:
    """The state after an event."""
    event, source = envelope.event, clean(envelope.source, 40)
    now = envelope.time if math.isfinite(envelope.time) else 0.0
    state = replace(state, heard=now)
    if isinstance(event, Log):
        return _log(state, LogLine(now, source, event.level, clean(event.text)))
    if isinstance(event, DeathPositions):
        return record_deaths(state, event.level, Counter(event.positions))
    if isinstance(event, LevelOutcomes):
        return record_outcomes(state, event.level, event.episodes, event.successes)
    if isinstance(event, Heartbeats):
        return _heartbeats(state, event, now)
    if isinstance(event, LearnerStatus):
        return replace(_moved(state, event.step), learner=event)
    if source == COORDINATOR:
        if isinstance(event, Metrics):
            return replace(_moved(state, event.step), learner_snapshot=event.snapshot)
        return state
    worker = _worker(state, source)
    if worker is None or envelope.generation < worker.generation:
        return state
    worker = replace(worker, generation=envelope.generation)
    state = _moved(state, event.step)
    if isinstance(event, WorkerStatus):
        return _with_worker(state, replace(worker, status=event))
    # The process that replaces another knows nothing of how far that came.
    known = [x for x in (worker.best_x, event.snapshot.get("best_x")) if not math.isnan(x)]
    worker = replace(worker, snapshot=event.snapshot, best_x=max(known, default=math.nan))
    return _sampled(_with_worker(state, worker), now)


def begin_again(state: Dashboard) -> Dashboard:
    """The state when a run is resumed by new processes, whose restarts count from 0 again."""
    workers = {
        name: Worker(name, snapshot=w.snapshot, best_x=w.best_x)
        for name, w in state.workers.items()
    }
    return replace(state, workers=workers, learner=None, learner_heartbeat=None)


def record_deaths(state: Dashboard, level: str, counts: Mapping[int, int]) -> Dashboard:
    """Count ``counts[x]`` deaths at each x, in pixels, in ``level``."""
    level = clean(level, 12)
    if level not in state.deaths and len(state.deaths) >= MAX_LEVELS:
        return state
    buckets = dict(state.deaths.get(level, {}))
    for x, count in counts.items():
        bucket = min(max(x, 0), LAST_X) // BUCKET * BUCKET
        if count > 0:
            buckets[bucket] = buckets.get(bucket, 0) + count
    return replace(state, deaths={**state.deaths, level: buckets}, level=level)


def record_outcomes(state: Dashboard, level: str, episodes: int, successes: int) -> Dashboard:
    """Count ``episodes`` of a level, of which ``successes`` reached their goal."""
    level = clean(level, 12)
    known = state.rates.get(level)
    if not 0 <= successes <= episodes or not episodes:
        return state
    if known is None and len(state.rates) >= MAX_LEVELS:
        return state
    rate = (known or LevelRate()).plus(episodes, successes)
    return replace(state, rates={**state.rates, level: rate})


def clean(text: str, limit: int = MAX_LINE) -> str:
    """``text`` in one line, without anything that a terminal would obey instead of show."""
    return "".join(c if c.isprintable() else " " for c in text[:limit])


def severity(level: int) -> Literal["info", "warning", "error"]:
    """How grave a log record is."""
    if level >= logging.ERROR:
        return "error"
    return "warning" if level >= logging.WARNING else "info"


def _log(state: Dashboard, line: LogLine) -> Dashboard:
    return replace(state, logs=(*state.logs, line)[-MAX_LOGS:], logged=state.logged + 1)


def _moved(state: Dashboard, step: int) -> Dashboard:
    return replace(state, step=max(state.step, step))


def _worker(state: Dashboard, name: str) -> Worker | None:
    """The worker of that name, a new one if there is none; None if there are too many."""
    if name in state.workers:
        return state.workers[name]
    return Worker(name) if len(state.workers) < MAX_WORKERS else None


def _with_worker(state: Dashboard, worker: Worker) -> Dashboard:
    workers = {**state.workers, worker.name: worker}
    if worker.name not in state.workers:
        workers = {name: workers[name] for name in sorted(workers, key=_natural)}
    return replace(state, workers=workers)


def _natural(name: str) -> tuple[str, int, str]:
    """``worker_10`` after ``worker_9``."""
    stem, _, number = name.rpartition("_")
    digits = number.isascii() and number.isdecimal() and len(number) < 10
    return (stem, int(number), "") if digits else (name, -1, name)


def _heartbeats(state: Dashboard, event: Heartbeats, now: float) -> Dashboard:
    state = _moved(state, event.step)
    for process in event.processes:
        source = clean(process.source, 40)
        if source == COORDINATOR:
            state = replace(state, learner_heartbeat=process, learner_heartbeat_time=now)
            continue
        worker = _worker(state, source)
        if worker is not None:
            state = _with_worker(state, replace(worker, heartbeat=process, heartbeat_time=now))
    return state


def _sampled(state: Dashboard, now: float) -> Dashboard:
    curves = dict(state.curves)
    for metric in state.curve_metrics:
        series = curves.get(metric.name, Series())
        if series.due(now):
            curves[metric.name] = series.add(now, state.value(metric))
    return replace(state, curves=curves)
