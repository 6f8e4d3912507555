"""Builds the parts of a run, the same way in every process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from mario_agents.acting.actor import Actor
from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext, share_of
from mario_agents.core.dataset import Dataset
from mario_agents.core.types import Learner
from mario_agents.nn.device import resolve_device
from mario_agents.run import Checkpoint, RunDir
from mario_agents.runtime.exchange import GradientExchange
from mario_agents.runtime.reporters import (
    WorkerReporter,
    run_sinks,
)
from mario_agents.runtime.scheduled import metrics_of
from mario_agents.runtime.transport import Board
from mario_agents.runtime.worker import TrainingWorker, begun_at
from mario_agents.runtime.worker_envs import TimedEnvs, WorkerEnvs
from mario_agents.telemetry import MetricSnapshot, RunMetrics
from mario_agents.telemetry.event_hub import EventHub
from mario_agents.telemetry.events import Metrics


def open_hub(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    run: RunDir,
    checkpoint: Checkpoint | None,
    *,
    host: str | None = None,
) -> EventHub:
    """Where the events of a run come together; it knows what workers counted that are no more.

    ``host`` is an address of this machine that events come to from others, if there are any.

    Raises:
        TrainerError: if the algorithm's metrics have names that are taken.
    """
    metrics = run_metrics(algorithm, config)
    resume_step = checkpoint.step if checkpoint else None
    sinks = run_sinks(run, metrics, resume_step=resume_step, wandb=config.wandb)
    hub = EventHub(run, metrics, sinks, host=host)
    current = max(config.workers, 1)
    for number, counters in enumerate(_saved_counters(checkpoint)[current:], start=current):
        former = f"worker_{number}"
        told = Metrics(step=resume_step or 0, snapshot=MetricSnapshot(counters, {}, {}, {}))
        hub.publisher(former).publish(told)
        hub.retire(former)
    return hub


def run_metrics(algorithm: Algorithm[Any, Any], config: TrainConfig) -> RunMetrics:
    """What the processes of a run measure.

    Raises:
        TrainerError: if the algorithm's metrics have names that are taken.
    """
    central = config.workers > 0 and share_of(algorithm, config) == "experience"
    return RunMetrics.of(metrics_of(algorithm, config), central=central)


def workers_ever(config: TrainConfig, checkpoint: Checkpoint | None) -> int:
    """Workers that a run has, or had before it was resumed with fewer: what these counted stays in
    their rows of the heartbeat."""
    return max(config.workers, 1, len(_saved_counters(checkpoint)))


def _saved_counters(checkpoint: Checkpoint | None) -> list[dict[str, float]]:
    return checkpoint.state.get("counters", []) if checkpoint else []


def build_worker(
    algorithm: Algorithm[Any, Any],
    config: TrainConfig,
    learner: Learner,
    games: WorkerEnvs,
    context: WorkerContext,
    dataset: Dataset,
    exchange: GradientExchange,
    heartbeat: Board,
    reporter: WorkerReporter,
) -> TrainingWorker:
    """A worker of a run that plays ``games``.

    Raises:
        ConfigError: if there is no such device as ``config.actor_device``.
    """
    player, acting = learner, context
    if config.actor_device is not None:
        acting = replace(context, device=resolve_device(config.actor_device))
    if acting.device != context.device:
        player = build_learner(algorithm, config, Spaces.of(games.envs), acting.device)
    games.follow_schedules(begun_at(context, heartbeat))  # before they begin
    actor = Actor(
        TimedEnvs(games.envs, context.stopwatch),
        algorithm.policy(config, player, acting),
        seed=context.seed_for("games"),
        stopwatch=context.stopwatch,
    )
    return TrainingWorker(
        context,
        learner,
        player,
        games,
        actor,
        dataset,
        exchange,
        heartbeat,
        reporter,
        collect_steps=algorithm.collect_steps(config),
        accumulate_grads=config.accumulate_grads,
        cuda_graphs=config.cuda_graphs,
        log_interval=config.log_interval,
        schedules=config.schedules,
        synchronous=config.synchronous,
    )


def build_learner(
    algorithm: Algorithm[Any, Any], config: TrainConfig, spaces: Spaces, device: torch.device
) -> Learner:
    """A learner with the run's initial weights, on ``device``."""
    learner: Learner = algorithm.learner(config, spaces)
    learner.model.to(device)
    return learner
