"""Reporters: write a process's rows to its CSV file, and send its events to the main process."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Literal

from mario_agents.run import RunDir
from mario_agents.runtime.worker_envs import SnapshotUsage
from mario_agents.telemetry import (
    COORDINATOR_SHARES,
    EXPERIENCE_METRICS,
    EXPERIENCE_SHARES,
    TIME_SHARES,
    CsvSink,
    MetricDef,
    MetricLogger,
    MetricSink,
    MetricSnapshot,
    RunMetrics,
    Stopwatch,
)
from mario_agents.telemetry.collectors import (
    CompositeCollector,
    CoordinatorCollector,
    LearnerCollector,
    MarioCollector,
    SystemCollector,
)
from mario_agents.telemetry.episodes import CollectResult
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import (
    COORDINATOR,
    DeathPositions,
    LearnerStatus,
    LevelOutcomes,
    Metrics,
    Publisher,
    WorkerStatus,
)
from mario_agents.telemetry.sinks.run_tensorboard import TensorBoardRun
from mario_agents.telemetry.sinks.run_wandb import WandbRun

State = Literal["starting", "running", "stopped"]


def run_sinks(
    run: RunDir, metrics: RunMetrics, *, resume_step: int | None, wandb: str | None = None
) -> list[MetricSink]:
    """The sinks of a run's :class:`~mario_agents.telemetry.event_hub.EventHub`: TensorBoard and,
    if a project is named, Weights & Biases.

    Raises:
        OptionError, RunError: see :class:`~mario_agents.telemetry.sinks.wandb.WandbSink`.
    """
    sinks: list[MetricSink] = []
    if wandb is not None:
        sinks.append(WandbRun(wandb, run, resume_step=resume_step))
    sinks.append(TensorBoardRun(run, metrics, resume_step=resume_step))
    return sinks


def headline(hub: EventHub) -> dict[str, float]:
    """Those of all workers' metrics together that a progress line has room for, by label."""
    values = hub.combined()
    return {metric.label: values[metric.name] for metric in hub.metrics.headlines}


class ProcessReporter:
    """A process's logger with its CSV file, ``<source>.csv``, and its line to the main process.

    Args:
        run: the run.
        source: name of the process.
        defs: its metrics.
        shares: those of them that say where its time goes; :attr:`stopwatch` measures them.
        publisher: takes its events.
        resume_step: rows of an existing CSV file are kept up to this agent step; None begins a new
            file.
    """

    def __init__(
        self,
        run: RunDir,
        source: str,
        defs: tuple[MetricDef, ...],
        shares: tuple[MetricDef, ...],
        publisher: Publisher,
        *,
        resume_step: int | None,
    ) -> None:
        self.publisher = publisher
        self.stopwatch = Stopwatch(share.name for share in shares)
        names = [metric.name for metric in defs]
        sink = CsvSink(run.csv_path(source), names, resume_step=resume_step)
        self.logger = MetricLogger(defs, [sink], self._send)
        self._written: int | None = resume_step

    def _send(self, step: int, snapshot: MetricSnapshot) -> None:
        self.publisher.publish(Metrics(step=step, snapshot=snapshot))

    def refresh(self) -> None:
        """Bring values up to date that are about to be read."""

    def write(self, step: int) -> None:
        """Write a row for run-wide agent step ``step``, unless there is one already."""
        if step != self._written:
            self._written = step
            self.refresh()
            self.logger.track_all(self.stopwatch.lap())
            self.logger.write(step)

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self.logger.close()


class WorkerReporter(ProcessReporter):
    """What a worker reports.

    Args:
        number: of the worker, from 0.
        metrics: those of its algorithm.
        The others are those of :class:`ProcessReporter`.
    """

    def __init__(
        self,
        run: RunDir,
        number: int,
        metrics: Sequence[MetricDef],
        publisher: Publisher,
        *,
        resume_step: int | None,
    ) -> None:
        defs = RunMetrics.of(metrics).worker
        super().__init__(
            run, f"worker_{number}", defs, TIME_SHARES, publisher, resume_step=resume_step
        )
        self._max_stuck = 0
        self.collectors = CompositeCollector(
            [
                SystemCollector(self.logger),
                MarioCollector(self.logger, self._send_deaths, self._send_outcomes),
                LearnerCollector(self.logger, metrics),
            ]
        )

    def _send_deaths(self, level: str, positions: list[int], areas: list[int]) -> bool:
        return self.publisher.publish(DeathPositions(level=level, positions=positions, areas=areas))

    def _send_outcomes(self, level: str, episodes: int, successes: int) -> bool:
        return self.publisher.publish(
            LevelOutcomes(level=level, episodes=episodes, successes=successes)
        )

    def collected(self, collected: CollectResult) -> None:
        """Take in a round of steps."""
        self.collectors.on_step(collected)
        for episode in collected.episodes:
            self.collectors.on_episode_end(episode)

    def trained(self, metrics: Mapping[str, float]) -> None:
        """Take in what the learner measured on a batch."""
        self.collectors.on_train_step(metrics)

    def submitted(self) -> None:
        """A packet of gradients was handed over."""
        self.logger.track("packets")

    def record_snapshot_usage(self, now: SnapshotUsage, before: SnapshotUsage) -> None:
        """Take in how snapshots were used since ``before``."""
        self.logger.track("saves", now.saves - before.saves)
        self.logger.track("restores", now.restores - before.restores)
        self.logger.track("stuck", now.stuck)
        if now.backward is not None:
            self.logger.track("backward", now.backward)
        self._max_stuck = now.max_stuck

    def refresh(self) -> None:
        """Bring values up to date, and send deaths and outcomes that wait."""
        self.collectors.flush()

    def flush(self, step: int, state: State = "running") -> None:
        """Send metrics, deaths and the worker's status; never blocks."""
        self.refresh()
        self.logger.publish(step)
        self.publisher.publish(
            WorkerStatus(state=state, pid=os.getpid(), step=step, max_stuck=self._max_stuck)
        )


class CoordinatorReporter(ProcessReporter):
    """What the owner of the weights reports.

    Args:
        metrics: of the run: what is not defined there is left out.
        The others are those of :class:`ProcessReporter`.
    """

    def __init__(
        self,
        run: RunDir,
        metrics: RunMetrics,
        publisher: Publisher,
        *,
        resume_step: int | None,
    ) -> None:
        defs = metrics.coordinator
        shares = [each for each in (*COORDINATOR_SHARES, *EXPERIENCE_SHARES) if each in defs]
        super().__init__(run, COORDINATOR, defs, tuple(shares), publisher, resume_step=resume_step)
        self.collector = CoordinatorCollector(self.logger)
        learned = {*EXPERIENCE_METRICS, *metrics.algorithm}
        self._learner = LearnerCollector(self.logger, learned.intersection(defs))

    def trained(self, metrics: Mapping[str, float]) -> None:
        """Take in what the learner measured on a batch."""
        self._learner.on_train_step({**metrics, "train_steps": 1})

    def inserted(self, metrics: Mapping[str, float]) -> None:
        """Take in what was measured on steps that came in, and of the dataset."""
        self._learner.on_train_step(metrics)

    def updated(self, metrics: Mapping[str, float]) -> None:
        """Take in one update."""
        self.collector.on_update(metrics)

    def evaluated(self, metrics: Mapping[str, float]) -> None:
        """Take in an evaluation. A row that there is already lacks it: the last evaluation of a run
        may end when no step follows, and then the last step has two rows."""
        self.logger.track_all(metrics)
        self._written = None

    def refresh(self) -> None:
        """Bring values up to date."""
        self.collector.flush()

    def flush(self, step: int, version: int = 0, state: State = "running") -> None:
        """Send metrics and the coordinator's status; never blocks.

        Args:
            step: run-wide agent steps.
            version: number of the present weights.
            state: of the process.
        """
        self.refresh()
        self.logger.publish(step)
        self.publisher.publish(
            LearnerStatus(state=state, pid=os.getpid(), step=step, version=version)
        )
