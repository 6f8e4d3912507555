"""What the parts of a run measure, and where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mario_agents.api import Metrics
from mario_agents.metrics import (
    COORDINATOR_METRICS,
    WORKER_METRICS,
    CsvSink,
    MetricDef,
    MetricLogger,
    TensorBoardSink,
)
from mario_agents.metrics.collectors import (
    CompositeCollector,
    CoordinatorCollector,
    LearnerCollector,
    MarioCollector,
    SystemCollector,
)
from mario_agents.metrics.episodes import Collected
from mario_agents.metrics.schema import EVAL_METRICS
from mario_agents.run import RunDir


def _logger(
    run: RunDir, name: str, metrics: tuple[MetricDef, ...], resume_step: int | None
) -> MetricLogger:
    names = [metric.name for metric in metrics]
    return MetricLogger(
        metrics,
        [
            CsvSink(run.csv_path(name), names, resume_step=resume_step),
            TensorBoardSink(run.tensorboard_path, name, resume_step=resume_step),
        ],
    )


class WorkerReport:
    """A worker's metrics: ``worker_N.csv`` and TensorBoard scalars."""

    def __init__(
        self,
        run: RunDir,
        worker: int,
        learner: type[LearnerCollector],
        *,
        resume_step: int | None,
    ) -> None:
        metrics = (*WORKER_METRICS, *learner.METRICS)
        self.logger = _logger(run, f"worker_{worker}", metrics, resume_step)
        self._collector = CompositeCollector(
            [SystemCollector(self.logger), MarioCollector(self.logger), learner(self.logger)]
        )
        self._written: int | None = None

    def collected(self, collected: Collected) -> None:
        """Take in what the experience brought."""
        self._collector.on_step(collected)
        for episode in collected.episodes:
            self._collector.on_episode_end(episode)

    def learned(self, metrics: Metrics) -> None:
        """Take in what the learner measured on a batch."""
        self._collector.on_train_step(metrics)

    def write(self, step: int) -> None:
        """Write a row, unless there is one for this step already."""
        if step != self._written:
            self._written = step
            self._collector.flush()
            self.logger.write(step)

    def state(self) -> dict[str, Any]:
        """For a checkpoint, JSON-able."""
        return self.logger.state()

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Take over a :meth:`state` made at agent step ``step``."""
        self.logger.restore(state)
        self._written = step

    def close(self) -> None:
        """Close the files."""
        self.logger.close()


class CoordinatorReport:
    """The coordinator's metrics: ``coordinator.csv`` and TensorBoard scalars."""

    def __init__(self, run: RunDir, *, resume_step: int | None) -> None:
        metrics = (*COORDINATOR_METRICS, *EVAL_METRICS)
        self.logger = _logger(run, "coordinator", metrics, resume_step)
        self._collector = CoordinatorCollector(self.logger)
        self._written: int | None = None

    def updated(self, metrics: Metrics, packets: int) -> None:
        """Take in an update from so many packets."""
        self._collector.on_update(metrics)

    def evaluated(self, metrics: Metrics) -> None:
        """Take in an evaluation."""
        self.logger.track_all(metrics)

    def write(self, step: int) -> None:
        """Write a row, unless there is one for this step already."""
        if step != self._written:
            self._written = step
            self._collector.flush()
            self.logger.write(step)

    def state(self) -> dict[str, Any]:
        """For a checkpoint, JSON-able."""
        return self.logger.state()

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Take over a :meth:`state` made at agent step ``step``."""
        self.logger.restore(state)
        self._written = step

    def close(self) -> None:
        """Close the files."""
        self.logger.close()
