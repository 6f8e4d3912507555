"""What options that change are now, as metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mario_agents.config import Schedule, TrainConfig
from mario_agents.core.algorithm import Algorithm
from mario_agents.telemetry import MetricDef
from mario_agents.telemetry.schema import gauge


def metrics_of(algorithm: Algorithm[Any, Any], config: TrainConfig) -> tuple[MetricDef, ...]:
    """What a worker measures beside the game: the algorithm's metrics, and options that change."""
    return (
        *algorithm.metrics,
        *(
            gauge(_metric(name), f"{name}, which has a schedule", label=name, panel=name)
            for name in config.schedules
        ),
    )


def gauges_of(schedules: Mapping[str, Schedule], step: int) -> dict[str, float]:
    """The values of :func:`metrics_of` at agent step ``step`` of the run, by metric."""
    return {_metric(name): schedule(step) for name, schedule in schedules.items()}


def _metric(name: str) -> str:
    return f"scheduled_{name.replace('.', '_')}"
