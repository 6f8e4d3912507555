"""What a run measures: definitions, loggers and collectors, and where the numbers go."""

from mario_agents.telemetry.aggregator import MetricAggregator
from mario_agents.telemetry.logger import MetricLogger
from mario_agents.telemetry.run_metrics import RunMetrics, read_metrics, write_metrics
from mario_agents.telemetry.schema import (
    COORDINATOR_METRICS,
    COORDINATOR_SHARES,
    EVAL_METRICS,
    EXPERIENCE_METRICS,
    EXPERIENCE_SHARES,
    TIME_SHARES,
    WORKER_METRICS,
    Across,
    MetricDef,
    MetricKind,
)
from mario_agents.telemetry.sinks import CsvSink, MetricSink, TensorBoardSink, WandbSink
from mario_agents.telemetry.snapshot import MetricSnapshot, RollingMean
from mario_agents.telemetry.stopwatch import Stopwatch

__all__ = [
    "COORDINATOR_METRICS",
    "COORDINATOR_SHARES",
    "EVAL_METRICS",
    "EXPERIENCE_METRICS",
    "EXPERIENCE_SHARES",
    "TIME_SHARES",
    "WORKER_METRICS",
    "Across",
    "CsvSink",
    "MetricAggregator",
    "MetricDef",
    "MetricKind",
    "MetricLogger",
    "MetricSink",
    "MetricSnapshot",
    "RollingMean",
    "RunMetrics",
    "Stopwatch",
    "TensorBoardSink",
    "WandbSink",
    "read_metrics",
    "write_metrics",
]
