"""What a run measures: definitions, per-process loggers, and where the numbers go."""

from mario_agents.metrics.logger import MetricLogger
from mario_agents.metrics.schema import COORDINATOR_METRICS, WORKER_METRICS, MetricDef, MetricKind
from mario_agents.metrics.sinks import CsvSink, MetricSink, TensorBoardSink

__all__ = [
    "COORDINATOR_METRICS",
    "WORKER_METRICS",
    "CsvSink",
    "MetricDef",
    "MetricKind",
    "MetricLogger",
    "MetricSink",
    "TensorBoardSink",
]
