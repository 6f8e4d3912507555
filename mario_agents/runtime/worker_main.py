"""A worker in a process of its own, wherever that is."""

from __future__ import annotations

from typing import Any

from mario_agents.core.algorithm import WorkerContext
from mario_agents.core.dataset import Dataset
from mario_agents.core.types import Learner
from mario_agents.nn.device import resolve_device
from mario_agents.runtime.attached import AttachedRun, RunPlan
from mario_agents.runtime.build import build_learner, build_worker
from mario_agents.runtime.cores import keep_to_own_cores
from mario_agents.runtime.curriculum_file import CurriculumFile
from mario_agents.runtime.exchange import GradientExchange, SharedExchange
from mario_agents.runtime.experience import ActorExchange, StepSender
from mario_agents.runtime.reporters import WorkerReporter
from mario_agents.runtime.saved import counters_of_row
from mario_agents.runtime.scheduled import metrics_of
from mario_agents.runtime.worker_envs import WorkerEnvs
from mario_envkit.closing import close_at_end


def work(attached: AttachedRun, number: int, generation: int) -> None:
    """Play, and hand over what is to be shared, until the run ends.

    Args:
        attached: the run.
        number: of this worker.
        generation: how many processes were this worker before.
    """
    plan, config, board = attached.plan, attached.config, attached.ways.board
    row = board.row(number)
    keep_to_own_cores(config, number)
    actor_only = attached.ways.steps is not None
    device = resolve_device(config.actor_device or "cpu" if actor_only else config.device)
    learner = build_learner(attached.algorithm, config, plan.spaces, device)
    first = generation == 0 and plan.checkpoint is None
    step = board.total("steps")
    reporter = WorkerReporter(
        attached.run,
        number,
        metrics_of(attached.algorithm, config),
        attached.publisher,
        resume_step=None if first else plan.step if generation == 0 else step,
    )
    reporter.logger.start_from(counters_of_row(row))
    context = WorkerContext(
        number,
        config.workers,
        config.seed,
        plan.step,
        generation,
        device,
        reporter.stopwatch,
        demonstrations=plan.demonstrated(),
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
            board,
            reporter,
        )
        row.join()  # not before: with synchronous sharing the others wait for it from here on
        while board.total("steps") < config.total_steps and not board.stopping:
            worker.advance()
            curriculum.tick(games, board.total("steps"))
        worker.end()
        curriculum.end(games, board.total("steps"))
        worker.flush("stopped")


def _share_gradients(
    attached: AttachedRun, context: WorkerContext, learner: Learner
) -> tuple[Dataset, GradientExchange]:
    ways, config = attached.ways, attached.config
    assert ways.pool is not None
    exchange = SharedExchange(
        context.worker,
        learner,
        ways.pool,
        ways.weights,
        ways.board,
        synchronous=config.synchronous,
        stopwatch=context.stopwatch,
    )
    return attached.algorithm.dataset(config, learner, attached.plan.spaces, context), exchange


def _share_experience(
    attached: AttachedRun, context: WorkerContext, learner: Learner
) -> tuple[Dataset, GradientExchange]:
    ways = attached.ways
    assert ways.steps is not None
    channel = ways.steps.rings[context.worker]
    exchange = ActorExchange(
        context.worker,
        ways.weights.reader(learner.model),
        ways.board,
        channel,
        sync_every=attached.config.sync_every,
        stopwatch=context.stopwatch,
    )
    return StepSender(channel, ways.steps.layout, context.generation, exchange), exchange


def _position(plan: RunPlan, curriculum: CurriculumFile) -> dict[str, Any] | None:
    """Where the games of a worker go on: where a process was that had its place, or where a run in
    one process was, whichever is later."""
    stored = curriculum.read()
    if stored is not None and (plan.games is None or stored[0] > plan.step):
        return stored[1]
    return plan.games
