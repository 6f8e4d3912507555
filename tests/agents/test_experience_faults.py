"""Runs whose workers share experience, of which something dies, stops or breaks."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

from mario_agents.runtime.experience import ActorExchange, StepIntake, StepSender
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.telemetry.events import COORDINATOR
from tests.agents.hammering import running
from tests.agents.living_run import LivingRun
from tests.agents.replay_reference import EVENTS, EXTRAS, InventedGames
from tests.agents.test_experience import Recorder, assert_step
from tests.agents.test_faults import ENDLESS, Start, go_on, start, stop

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm"),
    pytest.mark.slow,
]
__all__ = ["start"]
SHARED = ("--share", "experience")


def inserted(run: LivingRun) -> int:
    return run.count(COORDINATOR, "inserted")


def test_a_dead_actor_is_replaced(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, workers=2)
    run.until(lambda: run.running(2))
    before = dict(run.measured["worker_0"].counters)
    pid = run.kill("worker_0")
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    assert run.measured["worker_0"].counters["steps"] >= before["steps"]
    go_on(run)
    stop(run)
    assert "Worker 0 is gone and will be replaced in 0.5 seconds: It was killed" in run.log()


def test_the_learner_goes_on_without_a_stopped_actor(start: Start) -> None:
    """Until it is missed, and replaced."""
    run = start(*ENDLESS, *SHARED, "--heartbeat-timeout", 6, workers=2)
    run.until(lambda: run.running(2))
    pid = run.kill("worker_0", signal.SIGSTOP)
    stopped, other = run.count("worker_0", "steps"), run.count("worker_1", "steps")
    updates = run.updates
    run.until(lambda: run.updates > updates + 20 and run.count("worker_1", "steps") > other + 500)
    if run.pid("worker_0") == pid:  # on a machine that is not too busy
        assert run.count("worker_0", "steps") <= stopped + 2000
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    go_on(run)
    stop(run)


def test_actors_wait_for_a_stopped_learner_and_go_on_with_it(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, "--heartbeat-timeout", 6, workers=2)
    run.until(lambda: run.running(2))
    pids = [run.pid(source) for source in ("worker_0", "worker_1")]
    pid = run.kill(COORDINATOR, signal.SIGSTOP)
    told = dict.fromkeys(("worker_0", "worker_1"), -1)

    def standing() -> bool:
        """Whether both workers have made no step between two looks; nothing they say comes any
        more, as they wait within a round."""
        now = {source: run.count(source, "steps") for source in told}
        same, told_before = now == told, dict(told)
        told.update(now)
        return same and -1 not in told_before.values()

    run.until(standing)
    os.kill(pid, signal.SIGCONT)
    steps, taken = sum(told.values()), inserted(run)
    run.until(lambda: sum(run.count(s, "steps") for s in told) > steps + 500)
    run.until(lambda: inserted(run) > taken + 500)
    # They gave signs of life while they waited, so that nobody replaced them.
    assert [run.pid(source) for source in ("worker_0", "worker_1")] == pids
    go_on(run)
    stop(run)
    assert "gone" not in run.log()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_dead_learner_ends_the_run_which_goes_on_with_as_many_actors_as_one_likes(
    start: Start, workers: int
) -> None:
    run = start("--total-steps", 10**9, *SHARED, *DDQN, workers=2, trainer="ddqn")
    run.until(lambda: run.running(2) and len(run.checkpoint()) >= 3)
    run.kill(COORDINATOR)
    status, errors = run.end()
    assert status == 2
    assert "The coordinator of the run is gone." in errors
    assert "mario-agents train --resume" in errors
    run.assert_nothing_left()
    latest = run.checkpoint().load_latest()
    assert latest.state["dataset"]["shards"] == [0, 1]
    assert latest.state["dataset"]["state"]["storage"]  # it was saved
    run.start("--resume", "run", "--total-steps", latest.step + 1000, "--workers", workers)
    status, errors = run.end()
    assert status == 0, errors
    run.assert_nothing_left()
    after = run.checkpoint().load_latest()
    assert after.step >= latest.step + 1000
    assert after.state["dataset"]["shards"] == list(range(workers))
    assert after.state["updater"]["updates"] > latest.state["updater"]["updates"]
    assert f"steps of 2 workers, and there are {workers} now" in run.log()


DDQN = ("--num-envs", 2, "--observation", "tiles", "--hidden", 8, "--buffer-size", 2000,
        "--learning-starts", 32, "--batch-size", 8, "--collect-steps", 16, "--save-replay",
        "--sync-every", 32, "--eval-interval", 0, "--prefetch", 2)  # fmt: skip


def test_the_replay_of_as_many_actors_is_taken_over(start: Start) -> None:
    run = start("--total-steps", 2000, *SHARED, *DDQN, workers=2, trainer="ddqn")
    run.until(lambda: bool(run.segments))
    assert run.end()[0] == 0
    before = run.checkpoint().load_latest()
    sizes = [float(row["buffer_size"]) for row in run.rows(COORDINATOR)]
    assert max(sizes) > 900
    run.start("--resume", "run", "--total-steps", before.step + 500)
    assert run.end()[0] == 0
    rows = [row for row in run.rows(COORDINATOR) if int(row["step"]) > before.step]
    assert float(rows[0]["buffer_size"]) > sizes[-1] - 500
    assert "begins empty" not in run.log()


def test_actors_do_not_outlive_a_killed_main_process(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, workers=2)
    run.until(lambda: run.running(2))
    run.process.kill()
    run.assert_nothing_left()


def test_a_disk_that_is_full_within_a_checkpoint_in_pieces_costs_that_only(start: Start) -> None:
    run = start("--total-steps", 10**9, *SHARED, *DDQN, trainer="ddqn", workers=2)
    run.until(lambda: run.running(2) and len(run.checkpoint()) >= 2)
    limits = resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE)
    resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE, (2000, limits[1]))
    run.until(lambda: "Cannot write a checkpoint" in run.log())
    kept = run.checkpoint().load_latest()
    taken = inserted(run)
    run.until(lambda: inserted(run) > taken + 200)
    resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE, limits)
    run.until(lambda: run.checkpoint().load_latest().step > kept.step)
    stop(run)


def test_two_runs_at_once_do_not_touch_each_other(start: Start) -> None:
    first = start(*ENDLESS, *SHARED)
    first.until(lambda: first.running(1))
    second = start(*ENDLESS, *SHARED)
    second.until(lambda: second.running(1))
    assert not first.segments & second.segments
    first.process.kill()
    first.assert_nothing_left()
    go_on(second)
    stop(second)


class Patient(ActorExchange):
    """Waits for room for ever."""

    def __init__(self, ring: ByteRing) -> None:
        self._ring, self.version = ring, 1

    def wait(self) -> bool:
        self._ring.wait_for_release(0.05)
        return True


def play_for_ever(ring: ByteRing, layout: StepLayout, generation: int) -> None:
    """What a worker sends, which its generation decides on."""
    sender = StepSender(ring, layout, generation, Patient(ring))
    games, chance = InventedGames(2, 2, generation, colours=9), random.Random(generation)
    while True:
        for _ in range(chance.randint(1, 5)):
            sender.add(games.step(chance.choices(EVENTS, k=2)), 0)
        list(sender.batches(0))


def test_what_a_killed_actor_has_sent_is_whole(tmp_path: Path) -> None:
    """One after another is killed while it sends: a beginning of what each would have sent arrives,
    in order, each step once, and the gap between two of them is told of."""
    layout = StepLayout((2, 2, 3), 2, EXTRAS, steps=3)
    dataset = Recorder()
    with SharedSegments(tmp_path / "leases") as segments:
        ring = ByteRing.create(segments, slots=2, capacity=layout.capacity)
        intake = StepIntake([ring], layout, dataset)
        for generation in range(3):
            with running(play_for_ever, ring, layout, generation):
                taken = 0
                while taken < 600:
                    taken += intake.take()
                for _ in range(random.randint(0, 500)):
                    intake.take()
                time.sleep(random.uniform(0, 0.002))
            while intake.take():  # what it left behind
                pass
    parts: list[list] = []
    for _, step in dataset.heard:
        if step is None:
            parts.append([])
        else:
            parts[-1].append(step)
    assert len(parts) == 3
    for generation, steps in enumerate(parts):
        games, chance = InventedGames(2, 2, generation, colours=9), random.Random(generation)
        due = 0
        for step in steps:
            if due == 0:
                due = chance.randint(1, 5)
            assert_step(step, games.step(chance.choices(EVENTS, k=2)))
            due -= 1
