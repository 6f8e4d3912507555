"""Where rows of metrics go."""

from mario_agents.metrics.sinks.csv_file import CsvSink
from mario_agents.metrics.sinks.protocol import MetricSink
from mario_agents.metrics.sinks.tensorboard import TensorBoardSink
from mario_agents.metrics.sinks.wandb import WandbSink

__all__ = ["CsvSink", "MetricSink", "TensorBoardSink", "WandbSink"]
