"""Runs of Dreamer with a large replay, of which a worker, the coordinator and the whole die."""

from __future__ import annotations

import sys

import pytest

from mario_agents.algos.dreamer.config import DreamerConfig
from tests.agents.living_run import LivingRun, Start, go_on, lose_coordinator, resume

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm"),
    pytest.mark.slow,
]

SHARED = 30_000
"""Agent steps before the first batch in the replay of all, which is saved."""
ALONE = 3_000
"""The same in the replay of each worker, which is not."""
UNDER_WAY = 3 * DreamerConfig().rounds_ahead * DreamerConfig().collect_steps
"""Agent steps at most that are counted but not in the replay: rounds on their way to the learner,
of two workers when the checkpoint was written and of the one that was killed before."""


def filled(run: LivingRun, after: int) -> float:
    """Agent steps in the replay of all, in the first row after agent step ``after`` that says so:
    steps are counted before the learner has taken them in; 0 as long as there is none."""
    rows = [row for row in run.rows("coordinator") if int(row["step"]) > after]
    return next((float(row["buffer_size"]) for row in rows if row["buffer_size"]), 0.0)


@pytest.mark.parametrize(
    ("share", "starts", "more"),
    [("experience", SHARED, 2_000), ("gradients", ALONE, 2 * ALONE + 4_000)],
)
def test_it_survives_its_processes_one_after_the_other(
    start: Start, share: str, starts: int, more: int
) -> None:
    """A replay that is saved is learned from at once after a resume, the others when they are
    filled again, which takes ``more`` steps."""
    run = start(
        "--total-steps", 10**9, "--share", share, "--learning-starts", starts, "--save-replay",
        "--train-ratio", 0.5, "--eval-interval", 0, "--checkpoint-interval", 4_000,
        workers=2, trainer="dreamer",
    )  # fmt: skip
    run.until(lambda: run.running(2))
    pid = run.kill("worker_0")
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    go_on(run)
    saved = len(run.checkpoint()) and run.checkpoint().load_latest().step
    run.until(lambda: run.checkpoint().load_latest().step > saved)
    _, before = lose_coordinator(run)
    assert before.step > starts
    run.start("--resume", "run", "--total-steps", 10**9)
    run.until(lambda: run.running(2) and run.checkpoint().load_latest().step > before.step)
    if share == "experience":
        run.until(lambda: filled(run, before.step))
        assert filled(run, before.step) >= before.step - UNDER_WAY
    run.process.kill()
    run.assert_nothing_left()

    after = resume(run, run.checkpoint().load_latest(), steps=more)
    assert sum(worker["steps"] for worker in after.state["counters"]) == after.step
