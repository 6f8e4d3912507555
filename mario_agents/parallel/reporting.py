"""What a run in one process measures, and where it is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mario_agents.api import Metrics
from mario_agents.metrics import (
    COORDINATOR_METRICS,
    WORKER_METRICS,
    CsvSink,
    MetricDef,
    MetricKind,
    MetricLogger,
    TensorBoardSink,
)
from mario_agents.parallel.collector import Collected
from mario_agents.run import RunDir

EVAL_METRICS = (
    MetricDef("eval_success", MetricKind.GAUGE, "share of greedy episodes that reached the flag"),
    MetricDef("eval_x", MetricKind.GAUGE, "mean farthest x of greedy episodes, in pixels"),
    MetricDef("eval_reward", MetricKind.GAUGE, "mean return of greedy episodes"),
)


class RunReport:
    """The loggers of the collecting half (``worker_0``) and of the updating half
    (``coordinator``), each with a CSV file and TensorBoard scalars."""

    def __init__(self, run: RunDir, *, resume_step: int | None) -> None:
        self.worker = self._logger(run, "worker_0", WORKER_METRICS, resume_step)
        coordinator = (*COORDINATOR_METRICS, *EVAL_METRICS)
        self.coordinator = self._logger(run, "coordinator", coordinator, resume_step)
        self._best_x = 0
        self._since = (time.monotonic(), 0, 0)

    @staticmethod
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

    def collected(self, collected: Collected, *, epsilon: float, buffer_size: int) -> None:
        """Take in what the collector brought."""
        track = self.worker.track
        track("steps", collected.steps)
        track("deaths", len(collected.deaths))
        track("epsilon", epsilon)
        track("buffer_size", buffer_size)
        for episode in collected.episodes:
            self._best_x = max(self._best_x, episode.best_x)
            track("episodes")
            track("flags", episode.flags)
            track("best_x", self._best_x)
            track("x_pos", episode.x_pos)
            track("reward", episode.reward)
            track("episode_length", episode.length)
            track("episode_x", episode.best_x)
            track("speed", episode.best_x / episode.length)
            track("success", float(episode.flags > 0))

    def updated(self, metrics: Metrics) -> None:
        """Take in one update."""
        self.coordinator.track("updates")
        self.coordinator.track_all(metrics)

    def write(self, step: int) -> None:
        """Write a row of everything, unless there is one for this step already."""
        then, old_step, old_updates = self._since
        if step == old_step:
            return
        now = time.monotonic()
        updates = int(self.coordinator.snapshot()["updates"])
        seconds = max(now - then, 1e-9)
        self.worker.track("steps_per_second", (step - old_step) / seconds)
        self.coordinator.track("updates_per_second", (updates - old_updates) / seconds)
        self._since = (now, step, updates)
        self.worker.write(step)
        self.coordinator.write(step)

    def headline(self) -> dict[str, float]:
        """The few numbers that a progress bar has room for."""
        worker, coordinator = self.worker.snapshot(), self.coordinator.snapshot()
        shown = {name: worker[name] for name in ("best_x", "deaths", "flags", "epsilon")}
        return shown | {"loss": coordinator["loss"]}

    def state(self) -> dict[str, Any]:
        """For a checkpoint, JSON-able."""
        return {
            "worker": self.worker.state(),
            "coordinator": self.coordinator.state(),
            "best_x": self._best_x,
        }

    def restore(self, state: Mapping[str, Any], step: int) -> None:
        """Take over a :meth:`state` made at agent step ``step``."""
        self.worker.restore(state["worker"])
        self.coordinator.restore(state["coordinator"])
        self._best_x = int(state["best_x"])
        updates = int(self.coordinator.snapshot()["updates"])
        self._since = (time.monotonic(), step, updates)

    def close(self) -> None:
        """Close the files."""
        self.worker.close()
        self.coordinator.close()
