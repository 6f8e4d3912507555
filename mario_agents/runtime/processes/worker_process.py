"""A worker in a process of its own."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.dataset import Dataset
from mario_agents.core.types import Learner
from mario_agents.nn.device import resolve_device
from mario_agents.runtime.build import build_learner, build_worker
from mario_agents.runtime.cores import keep_to_own_cores
from mario_agents.runtime.curriculum_file import CurriculumFile
from mario_agents.runtime.exchange import GradientExchange, SharedExchange
from mario_agents.runtime.experience import ActorExchange, StepSender
from mario_agents.runtime.processes.child import AttachedRun, ProcessPlan, run_child
from mario_agents.runtime.reporters import WorkerReporter
from mario_agents.runtime.scheduled import metrics_of
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_envkit.closing import close_at_end


def worker_main(plan: ProcessPlan, number: int, generation: int, failure: Connection) -> None:
    """Entry point of the process of worker ``number``; ``generation`` counts replacements."""
    run_child(
        plan,
        f"worker_{number}",
        generation,
        failure,
        lambda attached: _work(attached, number, generation),
    )


def _work(attached: AttachedRun, number: int, generation: int) -> None:
    plan, config, heartbeat = attached.plan, attached.config, attached.heartbeat
    row = heartbeat.row(number)
    keep_to_own_cores(config, number)
    actor_only = plan.steps is not None
    device = resolve_device(config.actor_device or "cpu" if actor_only else config.device)
    learner = build_learner(attached.algorithm, config, plan.spaces, device)
    first = generation == 0 and plan.checkpoint is None
    step = heartbeat.total("steps")
    reporter = WorkerReporter(
        attached.run,
        number,
        metrics_of(attached.algorithm, config),
        attached.publisher,
        resume_step=None if first else plan.step if generation == 0 else step,
    )
    reporter.logger.start_from(row.read().counters)
    context = WorkerContext(
        number, config.workers, config.seed, plan.step, generation, device, reporter.stopwatch
    )
    share = _share_experience if actor_only else _share_gradients
    dataset, exchange = share(attached, context, learner)
    with (
        close_at_end(reporter),
        close_at_end(WorkerEnvs(attached.algorithm, config, attached.run)) as games,
    ):
        reporter.flush(step, "starting")
        curriculum = CurriculumFile(
            attached.run, number, interval=config.checkpoint_interval, step=step
        )
        if position := _position(plan, curriculum):
            games.restore(position)
            # The next checkpoint does not have it, even if it was in the last one.
            curriculum.write(games, step)
        # The games begin while the coordinator still gets ready; nothing is played before the
        # first weights are there.
        worker = build_worker(
            attached.algorithm,
            config,
            learner,
            games,
            context,
            dataset,
            exchange,
            heartbeat,
            reporter,
        )
        row.join()  # not before: with synchronous sharing the others wait for it from here on
        while heartbeat.total("steps") < config.total_steps and not heartbeat.stopping:
            worker.advance()
            curriculum.tick(games, heartbeat.total("steps"))
        worker.end()
        curriculum.end(games, heartbeat.total("steps"))
        worker.flush("stopped")


def _share_gradients(
    attached: AttachedRun, context: WorkerContext, learner: Learner
) -> tuple[Dataset, GradientExchange]:
    plan, config = attached.plan, attached.config
    assert plan.pool is not None
    exchange = SharedExchange(
        context.worker,
        learner,
        plan.pool,
        plan.weights,
        plan.heartbeat,
        synchronous=config.synchronous,
        stopwatch=context.stopwatch,
    )
    return attached.algorithm.dataset(config, learner, plan.spaces, context), exchange


def _share_experience(
    attached: AttachedRun, context: WorkerContext, learner: Learner
) -> tuple[Dataset, GradientExchange]:
    plan = attached.plan
    assert plan.steps is not None
    channel = plan.steps.rings[context.worker]
    exchange = ActorExchange(
        context.worker,
        plan.weights.reader(learner.model),
        plan.heartbeat,
        channel,
        sync_every=attached.config.sync_every,
        stopwatch=context.stopwatch,
    )
    return StepSender(channel, plan.steps.layout, context.generation, exchange), exchange


def _position(plan: ProcessPlan, curriculum: CurriculumFile) -> dict[str, Any] | None:
    """Where the games of a worker go on: where a process was that had its place, or where a run in
    one process was, whichever is later."""
    stored = curriculum.read()
    if stored is not None and (plan.games is None or stored[0] > plan.step):
        return stored[1]
    return plan.games
