"""Sinks: CSV files, TensorBoard and Weights & Biases."""

from mario_agents.telemetry.sinks.csv_file import CsvSink
from mario_agents.telemetry.sinks.protocol import MetricSink
from mario_agents.telemetry.sinks.tensorboard import TensorBoardSink
from mario_agents.telemetry.sinks.wandb import WandbSink

__all__ = ["CsvSink", "MetricSink", "TensorBoardSink", "WandbSink"]
