"""The metric logger of a process: tracks values, reduces them by kind, writes rows to sinks."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mario_agents.telemetry.schema import MetricDef, MetricKind
from mario_agents.telemetry.sinks import MetricSink
from mario_agents.telemetry.snapshot import MetricSnapshot, RollingMean

Publish = Callable[[int, MetricSnapshot], object]
"""Takes the run-wide agent steps and a snapshot; never blocks."""


class MetricLogger:
    """Current values of a fixed set of metrics.

    Counters start at 0; gauges and rolling means are NaN until something is tracked.

    Args:
        defs: the metrics.
        sinks: where :meth:`write` puts rows; closed with the logger.
        publish: where :meth:`publish` sends snapshots, for instance as an event.
    """

    def __init__(
        self,
        defs: Iterable[MetricDef],
        sinks: Sequence[MetricSink] = (),
        publish: Publish | None = None,
    ) -> None:
        self._defs: dict[str, MetricDef] = {}
        for metric in defs:
            if metric.name in self._defs:
                raise ValueError(f"the metric {metric.name!r} is defined twice")
            self._defs[metric.name] = metric
        self._sinks = tuple(sinks)
        self._publish = publish
        self._scalars = {
            name: 0.0 if metric.kind is MetricKind.COUNTER else math.nan
            for name, metric in self._defs.items()
            if metric.kind is not MetricKind.ROLLING
        }
        self._windows: dict[str, deque[float]] = {
            name: deque(maxlen=metric.window)
            for name, metric in self._defs.items()
            if metric.kind is MetricKind.ROLLING
        }
        self._started_from = self._counters()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics in the order of their definition."""
        return tuple(self._defs)

    def track(self, name: str, value: float = 1.0) -> None:
        """Add to a counter, set a gauge, or append to a rolling mean.

        Raises:
            KeyError: if the metric is not defined.
            ValueError: if a counter would shrink.
        """
        metric = self._defs.get(name)
        if metric is None:
            raise KeyError(f"no metric {name!r}; defined are {', '.join(self._defs)}")
        if metric.kind is MetricKind.ROLLING:
            self._windows[name].append(float(value))
        elif metric.kind is MetricKind.GAUGE:
            self._scalars[name] = float(value)
        elif value < 0:
            raise ValueError(f"the counter {name!r} cannot shrink (got {value})")
        else:
            self._scalars[name] += float(value)

    def track_all(self, values: Mapping[str, float]) -> None:
        """:meth:`track` for every item."""
        for name, value in values.items():
            self.track(name, value)

    def value(self, name: str) -> float:
        """Current value of one metric.

        Raises:
            KeyError: if it is not defined.
        """
        return self._mean(name) if name in self._windows else self._scalars[name]

    def snapshot(self) -> dict[str, float]:
        """Current value of every metric, in the order of their definition."""
        return {name: self.value(name) for name in self._defs}

    def _mean(self, name: str) -> float:
        window = self._windows[name]
        return math.fsum(window) / len(window) if window else math.nan

    def write(self, step: int) -> dict[str, float]:
        """Write a row for agent step ``step`` to every sink; returns the snapshot."""
        values = self.snapshot()
        for sink in self._sinks:
            sink.write(step, values)
        return values

    def publish(self, step: int) -> MetricSnapshot:
        """Send the present values, at run-wide agent step ``step``, to whoever listens."""
        snapshot = MetricSnapshot(
            counters=self._counters(),
            gauges={
                name: self._scalars[name]
                for name, metric in self._defs.items()
                if metric.kind is MetricKind.GAUGE
            },
            rolling={
                name: RollingMean(self._mean(name), len(window))
                for name, window in self._windows.items()
            },
            started_from=self._started_from,
        )
        if self._publish is not None:
            self._publish(step, snapshot)
        return snapshot

    def _counters(self) -> dict[str, float]:
        return {
            name: self._scalars[name]
            for name, metric in self._defs.items()
            if metric.kind is MetricKind.COUNTER
        }

    def start_from(self, counters: Mapping[str, float]) -> None:
        """Go on counting from the totals of a process whose place this one takes.

        Counters that are not defined here are left out.
        """
        for name in self._counters():
            self._scalars[name] = float(counters.get(name, self._scalars[name]))
        self._started_from = self._counters()

    def state(self) -> dict[str, Any]:
        """Everything a resumed logger needs, JSON-able."""
        windows = {name: list(window) for name, window in self._windows.items()}
        return {"scalars": dict(self._scalars), "windows": windows}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a :meth:`state`; metrics that it lacks keep their values."""
        for name, value in state["scalars"].items():
            if name in self._scalars:
                self._scalars[name] = float(value)
        for name, values in state["windows"].items():
            if name in self._windows:
                self._windows[name].clear()
                self._windows[name].extend(float(value) for value in values)
        self._started_from = self._counters()

    def close(self) -> None:
        """Close the sinks; harmless when repeated."""
        for sink in self._sinks:
            sink.close()
