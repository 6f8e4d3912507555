"""Reads a run directory as the events that led to it, for runs that have ended."""

from __future__ import annotations

import csv
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import reduce as fold
from itertools import chain
from pathlib import Path

import msgspec

from mario_agents.monitor.state import MAX_LEVELS, Dashboard, clean, record_deaths, reduce
from mario_agents.run import RunDir
from mario_agents.run.level_rates import read_level_rates
from mario_agents.telemetry import MetricKind, MetricSnapshot, RunMetrics, read_metrics
from mario_agents.telemetry.events import (
    COORDINATOR,
    PROTOCOL_VERSION,
    AnyEvent,
    Envelope,
    LearnerStatus,
    Log,
    Metrics,
    WorkerStatus,
)
from mario_agents.telemetry.run_metrics import METRICS_NAME, ROW_COLUMNS
from mario_agents.telemetry.snapshot import RollingMean
from mario_envkit.command_line import showable
from mario_envkit.curriculum.hotspots import DeathHotspotAggregate
from mario_envkit.errors import HotspotError, RunError

ROWS = 500
"""Rows of a CSV file that are looked at; of longer ones every n-th."""
LOG_BYTES = 20_000
"""Of the end of ``training.log``."""

Row = dict[str, float]


def stored_state(run: RunDir, *, ended: bool = True) -> Dashboard:
    """What the files of a run say; what is missing or damaged is left out.

    Args:
        run: the run.
        ended: whether what is missing will not come any more: its log then says what it is.
    """
    total = run.options.get("total_steps")
    problems: list[str] = []
    state = Dashboard(
        title=showable(run.path.resolve().name),
        total_steps=total if isinstance(total, int) else 0,
        metrics=definitions(run.path, problems),
    )
    names = sorted(path.stem for path in run.path.glob("worker_*.csv"))
    events: list[Envelope] = []
    for source in [*names, COORDINATOR]:
        rows = _rows(run.csv_path(source), problems)
        if rows:
            kinds = {name: state.metrics.find(name).kind for name in rows[0]}
            events += (_envelope(source, row["time"], _metrics(row, kinds)) for row in rows)
            events.append(_envelope(source, rows[-1]["time"], _last_word(source, rows[-1])))
    events.sort(key=lambda envelope: envelope.time)
    state = fold(reduce, chain(events, _log_lines(run.log_path, problems)), state)
    state = _with_deaths(state, run, problems)
    state = _with_rates(state, run, problems)
    now = time.time()
    told = (
        _envelope("monitor", now, Log(level=logging.WARNING, logger="monitor", text=problem))
        for problem in (problems if ended else ())
    )
    return replace(fold(reduce, told, state), heard=math.nan)


def definitions(run_path: Path, problems: list[str]) -> RunMetrics:
    """What a run measures; why that cannot be read is added to ``problems``."""
    try:
        return read_metrics(run_path)
    except (OSError, msgspec.DecodeError) as error:
        problems.append(f"{METRICS_NAME} cannot be read: {error}")
        return RunMetrics()


def _rows(path: Path, problems: list[str]) -> list[Row]:
    """Rows of a CSV file, with ``step`` and ``time``; empty fields are NaN."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        # The last line may have been cut by a crash, or be about to be written.
        rows = list(_numbers(csv.DictReader(line for line in lines if line.endswith("\n"))))
    except (OSError, csv.Error) as error:
        problems.append(f"{path.name} cannot be read: {error}")
        return []
    stride = max(math.ceil(len(rows) / ROWS), 1)
    # The latest row always counts.
    return rows[(len(rows) - 1) % stride :: stride] if rows else []


def _numbers(rows: Iterable[dict[str | None, str]]) -> Iterator[Row]:
    for row in rows:
        try:
            numbers = {
                name: float(text) if text else math.nan
                for name, text in row.items()
                if name is not None
            }
        except (TypeError, ValueError):  # damaged
            continue
        if math.isfinite(numbers.get("step", math.nan)) and math.isfinite(
            numbers.get("time", math.nan)
        ):
            yield numbers


def _envelope(source: str, seconds: float, event: AnyEvent) -> Envelope:
    return Envelope(
        version=PROTOCOL_VERSION,
        run="",
        source=source,
        generation=0,
        sender=0,
        sequence=0,
        dropped=0,
        time=seconds,
        event=event,
    )


def _metrics(row: Row, kinds: Mapping[str, MetricKind]) -> Metrics:
    counters, gauges, rolling = {}, {}, {}
    for name, value in row.items():
        kind = kinds[name]
        if kind is MetricKind.COUNTER:
            counters[name] = value
        elif kind is MetricKind.GAUGE:
            gauges[name] = value
        elif name not in ROW_COLUMNS:
            rolling[name] = RollingMean(value, 0 if math.isnan(value) else 1)
    snapshot = MetricSnapshot(counters, gauges, rolling, {})
    return Metrics(step=round(row["step"]), snapshot=snapshot)


def _last_word(source: str, row: Row) -> WorkerStatus | LearnerStatus:
    step, updates = round(row["step"]), row.get("updates", math.nan)
    if source == COORDINATOR:
        version = round(updates) if math.isfinite(updates) else 0
        return LearnerStatus(state="stopped", pid=0, step=step, version=version)
    return WorkerStatus(state="stopped", pid=0, step=step)


def _log_lines(path: Path, problems: list[str]) -> Iterator[Envelope]:
    """The end of ``training.log``: lines such as ``2026-11-21 13:00:00,123 INFO Finished.``."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - LOG_BYTES, 0))
            text = file.read().decode(errors="replace")
    except OSError as error:
        problems.append(f"{path.name} cannot be read: {error.strerror}")
        return
    lines = text.splitlines()
    for line in lines[1:] if size > LOG_BYTES else lines:
        moment, _, rest = line.partition(",")
        _, _, rest = rest.partition(" ")
        name, _, message = rest.partition(" ")
        level = logging.getLevelName(name)
        try:
            seconds = time.mktime(time.strptime(moment, "%Y-%m-%d %H:%M:%S"))
        except (ValueError, OverflowError):  # a traceback, or another format
            continue
        grave = level if isinstance(level, int) else logging.INFO
        yield _envelope("log", seconds, Log(level=grave, logger="", text=message))


def _with_deaths(state: Dashboard, run: RunDir, problems: list[str]) -> Dashboard:
    if not run.hotspots_path.is_file():
        return state
    try:
        hotspots = DeathHotspotAggregate.load_or_create(run.hotspots_path)
    except HotspotError as error:
        problems.append(str(error))
        return state
    for level in hotspots.levels:
        state = record_deaths(state, level, dict(hotspots.get_hotspots(level, min_deaths=1)))
    return state


def _with_rates(state: Dashboard, run: RunDir, problems: list[str]) -> Dashboard:
    try:
        rates = read_level_rates(run.levels_path)
    except RunError as error:
        problems.append(str(error))
        return state
    kept = {clean(level, 12): rate for level, rate in list(rates.items())[:MAX_LEVELS]}
    return replace(state, rates=kept)
