"""A worker in a process of its own."""

from __future__ import annotations

from multiprocessing.connection import Connection
from typing import Any

from mario_agents.core.algorithm import WorkerContext
from mario_agents.nn.device import resolve_device
from mario_agents.runtime.build import build_learner, build_worker
from mario_agents.runtime.curriculum_file import CurriculumFile
from mario_agents.runtime.exchange import SharedExchange
from mario_agents.runtime.processes.child import AttachedRun, ProcessPlan, run_child
from mario_agents.runtime.reporters import WorkerReporter
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
    device = resolve_device(config.device)
    learner = build_learner(attached.algorithm, config, plan.spaces, device)
    first = generation == 0 and plan.checkpoint is None
    step = heartbeat.total("steps")
    reporter = WorkerReporter(
        attached.run,
        number,
        attached.algorithm.metrics,
        attached.publisher,
        resume_step=None if first else plan.step if generation == 0 else step,
    )
    reporter.logger.start_from(row.read().counters)
    exchange = SharedExchange(
        number,
        learner,
        attached.pool,
        attached.weights,
        heartbeat,
        synchronous=config.synchronous,
        stopwatch=reporter.stopwatch,
    )
    context = WorkerContext(
        number, config.workers, config.seed, plan.step, generation, device, reporter.stopwatch
    )
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
        dataset = attached.algorithm.dataset(config, learner, plan.spaces, context)
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


def _position(plan: ProcessPlan, curriculum: CurriculumFile) -> dict[str, Any] | None:
    """Where the games of a worker go on: where a process was that had its place, or where a run in
    one process was, whichever is later."""
    stored = curriculum.read()
    if stored is not None and (plan.games is None or stored[0] > plan.step):
        return stored[1]
    return plan.games
