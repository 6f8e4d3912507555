"""Combines the metrics of several processes, in the main process."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from mario_agents.telemetry.schema import Across, MetricDef, MetricKind
from mario_agents.telemetry.snapshot import MetricSnapshot


@dataclass(slots=True)
class _Source:
    """What is known of one process, over all its restarts."""

    generation: int
    step: int
    snapshot: MetricSnapshot
    offset: dict[str, float] = field(default_factory=dict)
    live: bool = True

    def total(self, name: str) -> float:
        return self.snapshot.counters.get(name, 0.0) + self.offset.get(name, 0.0)


class MetricAggregator:
    """The latest snapshot of every process, and their combination metric by metric.

    Counters never go back: what a process had counted when it was last heard of is kept when
    another one takes its place, whether that one begins at zero or goes on from a known total.
    Counters are summed, gauges combined as their definition says (see
    :class:`~mario_agents.telemetry.schema.Across`), and rolling means weighted by the number of
    values in each window, which makes them the mean over the windows of all processes together.
    """

    def __init__(self, defs: Iterable[MetricDef]) -> None:
        self._defs = {metric.name: metric for metric in defs}
        self._sources: dict[str, _Source] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the processes heard of (``worker_0``), sorted."""
        return tuple(sorted(self._sources, key=_natural))

    def update(self, source: str, generation: int, step: int, snapshot: MetricSnapshot) -> bool:
        """Take a snapshot.

        Args:
            source: name of the process, the same after a restart.
            generation: number of the restart.
            step: run-wide agent steps at the time.
            snapshot: of metrics; those without a definition here are left out everywhere.

        Returns:
            False if it is from a process that has been replaced; nothing changes then.
        """
        known = self._sources.get(source)
        if known is None:
            self._sources[source] = _Source(generation, step, snapshot)
            return True
        if generation < known.generation:
            return False
        if generation > known.generation:
            started = snapshot.started_from
            known.offset = {
                name: max(known.total(name) - started.get(name, 0.0), 0.0)
                for name in known.snapshot.counters
            }
            known.generation = generation
        known.step, known.snapshot, known.live = step, snapshot, True
        return True

    def retire(self, source: str) -> None:
        """A process has ended: its gauges and means leave the combination, its counters stay."""
        if source in self._sources:
            self._sources[source].live = False

    def step(self, source: str) -> int:
        """Run-wide agent steps at the latest snapshot of a process.

        Raises:
            KeyError: if nothing was heard of it.
        """
        return self._sources[source].step

    def values(self, source: str) -> dict[str, float]:
        """One process's latest values by metric; its counters over all its restarts.

        Raises:
            KeyError: if nothing was heard of it.
        """
        found = self._sources[source]
        return {
            name: found.total(name)
            if metric.kind is MetricKind.COUNTER
            else found.snapshot.get(name)
            for name, metric in self._defs.items()
        }

    def combined(self) -> dict[str, float]:
        """All processes as one; NaN for what nobody has measured."""
        return {name: self._combine(metric) for name, metric in self._defs.items()}

    def _combine(self, metric: MetricDef) -> float:
        name = metric.name
        if metric.kind is MetricKind.COUNTER:
            return math.fsum(source.total(name) for source in self._sources.values())
        return combine((src.snapshot for src in self._sources.values() if src.live), metric)


def combine(snapshots: Iterable[MetricSnapshot], metric: MetricDef) -> float:
    """A metric of several processes as one number, see
    :class:`~mario_agents.telemetry.schema.Across`; NaN if nobody has measured it."""
    across = Across.SUM if metric.kind is MetricKind.COUNTER else metric.across
    name, total, weights, most = metric.name, 0.0, 0, -math.inf
    for snapshot in snapshots:
        rolling = snapshot.rolling.get(name)
        value = snapshot.get(name) if rolling is None else rolling.mean
        weight = 1 if rolling is None else rolling.count
        if weight > 0 and not math.isnan(value):
            total, weights, most = total + value * weight, weights + weight, max(most, value)
    if not weights:
        return math.nan
    if across is Across.MAX:
        return most
    return total if across is Across.SUM else total / weights


def _natural(name: str) -> tuple[str, int]:
    """``worker_10`` after ``worker_9``."""
    stem, _, number = name.rpartition("_")
    return (stem, int(number)) if number.isdecimal() else (name, -1)
