"""impala under load: an actor, the learner or the main process dies or stops."""

from __future__ import annotations

import signal
import sys

import pytest

from mario_agents.telemetry.events import COORDINATOR
from tests.agents.living_run import LivingRun, Start, go_on, lose_coordinator, resume, stop

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm"),
    pytest.mark.slow,
]
IMPALA = ("--total-steps", 10**9, "--num-envs", 8, "--hidden", 32, "--recurrent-type", "gru",
          "--replay-share", 0.5, "--noisy", "--eval-interval", 0,
          "--heartbeat-timeout", 8)  # fmt: skip


@pytest.fixture
def busy(start: Start) -> LivingRun:
    """Two actors play the game as fast as they can, and the learner follows."""
    run = start(*IMPALA, workers=2, trainer="impala")
    run.until(lambda: run.running(2))
    return run


def learn_and_end(run: LivingRun) -> None:
    """The learner learns, and nothing that its actors sent was lost on the way."""
    go_on(run)
    stop(run)
    last = run.rows(COORDINATOR)[-1]
    assert float(last["dropped"]) == 0
    assert 0 < float(last["rho"]) <= 1


def test_a_killed_actor_is_replaced(busy: LivingRun) -> None:
    before = busy.count("worker_0", "steps")
    pid = busy.kill("worker_0")
    busy.until(lambda: busy.pid("worker_0") != pid and busy.count("worker_0", "steps") > before)
    learn_and_end(busy)
    assert "Worker 0 is gone and will be replaced in 0.5 seconds: It was killed" in busy.log()


def test_a_stopped_actor_does_not_stall_the_learner_and_is_replaced(busy: LivingRun) -> None:
    pid = busy.kill("worker_0", signal.SIGSTOP)
    updates, other = busy.updates, busy.count("worker_1", "steps")
    busy.until(lambda: busy.updates > updates + 20 and busy.count("worker_1", "steps") > other)
    busy.until(lambda: busy.pid("worker_0") != pid and busy.statuses["worker_0"].state == "running")
    learn_and_end(busy)


def test_a_killed_learner_ends_the_run_which_goes_on(busy: LivingRun) -> None:
    busy.until(lambda: len(busy.checkpoint()) >= 2)
    _, before = lose_coordinator(busy)
    resume(busy, before, steps=1000)


def test_nobody_outlives_a_killed_main_process(busy: LivingRun) -> None:
    busy.process.kill()
    busy.assert_nothing_left()
