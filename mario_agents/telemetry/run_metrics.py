"""The definitions of all metrics of one run, and the file that holds them.

The main process writes them to ``metrics.json`` in the run directory. Dashboards and reports read
them there: they draw what a run has measured without knowing its algorithm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from mario_agents.run.decoding import decode_json
from mario_agents.telemetry.schema import (
    COORDINATOR_METRICS,
    EVAL_METRICS,
    EXPERIENCE_METRICS,
    MARIO_METRICS,
    SYSTEM_METRICS,
    TIME_SHARES,
    TIME_SPAN,
    MetricDef,
    rolling,
)
from mario_envkit.errors import RunError, TrainerError
from mario_envkit.files import replace_text

METRICS_NAME = "metrics.json"
ROW_COLUMNS = ("step", "time")
"""Columns of every CSV file before its metrics."""


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """The metrics of a run; the order of the groups is that in which they are drawn.

    Attributes:
        game: of every worker, about the game.
        algorithm: of every worker, about what this run's algorithm learns.
        process: of every worker, about its process.
        coordinator: of the process that owns the weights.
    """

    game: tuple[MetricDef, ...] = MARIO_METRICS
    algorithm: tuple[MetricDef, ...] = ()
    process: tuple[MetricDef, ...] = (*SYSTEM_METRICS, TIME_SPAN, *TIME_SHARES)
    coordinator: tuple[MetricDef, ...] = (*COORDINATOR_METRICS, *EVAL_METRICS)

    @classmethod
    def of(cls, algorithm: Sequence[MetricDef], *, central: bool = False) -> RunMetrics:
        """Those of every run, and an algorithm's own.

        Args:
            algorithm: its metrics.
            central: whether the coordinator learns, from the experience of workers: then it has
                the algorithm's metrics as well.

        Raises:
            TrainerError: if the algorithm defines a metric twice, or one that every worker, or the
                coordinator that learns, has.
        """
        metrics = cls(algorithm=tuple(algorithm))
        own = {metric.name for metric in algorithm}
        if central:
            # An algorithm may have its own definition of what a dataset measures.
            experience = tuple(each for each in EXPERIENCE_METRICS if each.name not in own)
            coordinator = (*COORDINATOR_METRICS, *experience, *metrics.algorithm, *EVAL_METRICS)
            metrics = replace(metrics, coordinator=coordinator)
        for process in (metrics.worker, metrics.coordinator):
            names = Counter([*ROW_COLUMNS, *(metric.name for metric in process)])
            twice = [name for name, count in names.items() if count > 1]
            if twice:
                raise TrainerError(
                    f"Defined twice: {', '.join(twice)}. An algorithm's metrics need names of "
                    "their own, which no other metric of a process has; rename them."
                )
        return metrics

    @property
    def worker(self) -> tuple[MetricDef, ...]:
        """All metrics of a worker, in the order of the columns of ``worker_N.csv``."""
        return (*self.process, *self.game, *self.algorithm)

    @property
    def headlines(self) -> tuple[MetricDef, ...]:
        """Metrics of workers to look at first."""
        return tuple(m for m in (*self.game, *self.algorithm) if m.headline)

    def find(self, name: str) -> MetricDef:
        """The definition of a metric; of one that has none a rolling mean with its own panel."""
        return self._by_name.get(name) or rolling(name, name.replace("_", " "))

    def panels(self, measured: Iterable[str]) -> dict[str, list[MetricDef]]:
        """The metrics to draw, by the titles of their panels.

        Args:
            measured: names of the metrics that there are values of; those without a definition
                come last.
        """
        there, known = set(measured).difference(ROW_COLUMNS), self._by_name
        found = [*(name for name in known if name in there), *sorted(there.difference(known))]
        panels: dict[str, list[MetricDef]] = {}
        for metric in map(self.find, found):
            if metric.panel is not None:
                panels.setdefault(metric.panel, []).append(metric)
        return panels

    @property
    def _by_name(self) -> dict[str, MetricDef]:
        known: dict[str, MetricDef] = {}
        for metric in (*self.game, *self.algorithm, *self.process, *self.coordinator):
            known.setdefault(metric.name, metric)
        return known


def write_metrics(run_path: Path, metrics: RunMetrics) -> None:
    """Write ``metrics.json`` of the run in ``run_path``.

    Raises:
        RunError: if the disk refuses.
    """
    file = run_path / METRICS_NAME
    try:
        text = msgspec.json.format(msgspec.json.encode(metrics), indent=2).decode()
        replace_text(file, text + "\n")
    except OSError as error:
        raise RunError(
            f"Cannot write {file}: {error.strerror}; training needs a directory that is writable, "
            "and space in it."
        ) from error


def read_metrics(run_path: Path) -> RunMetrics:
    """The definitions of a run; if it has none, those of every run.

    Raises:
        OSError: if they cannot be read.
        msgspec.DecodeError: if the file is damaged.
    """
    try:
        data = (run_path / METRICS_NAME).read_bytes()
    except FileNotFoundError:
        return RunMetrics()
    return decode_json(data, RunMetrics)
