"""Runs whose workers share experience, of which something dies, stops or breaks."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from mario_agents.runtime.experience import ActorExchange, StepIntake, StepSender
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.heartbeat import HeartbeatRow
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.telemetry.events import COORDINATOR
from tests.agents.disks import with_small_shm
from tests.agents.hammering import running
from tests.agents.living_run import (
    ENDLESS,
    LivingRun,
    Start,
    go_on,
    lose_coordinator,
    processes_with,
    resume,
    stop,
)
from tests.agents.replay_reference import EVENTS, EXTRAS, InventedGames
from tests.agents.test_experience import Recorder, assert_step
from tests.waiting import until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm"),
    pytest.mark.slow,
]
SHARED = ("--share", "experience")
PATIENT = 1000
"""Seconds without a sign of life, which no process of a test needs on any machine."""


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


def test_the_learner_goes_on_without_a_stopped_actor_until_that_goes_on(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, "--heartbeat-timeout", PATIENT, workers=2)
    run.until(lambda: run.running(2))
    pid = run.kill("worker_0", signal.SIGSTOP)

    def learned() -> None:
        """Wait until the learner has learned from the other one's steps for a while."""
        updates, steps = run.updates, run.count("worker_1", "steps")
        run.until(lambda: run.updates > updates + 20 and run.count("worker_1", "steps") > steps)

    learned()  # what it said before it stopped has been heard by now
    stopped = run.count("worker_0", "steps")
    learned()
    assert run.count("worker_0", "steps") == stopped
    os.kill(pid, signal.SIGCONT)
    run.until(lambda: run.count("worker_0", "steps") > stopped + 500)
    assert run.pid("worker_0") == pid
    stop(run)
    assert "gone" not in run.log()


def test_a_stopped_actor_is_missed_and_replaced(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, "--heartbeat-timeout", 15, workers=2)
    run.until(lambda: run.running(2))
    pid = run.kill("worker_0", signal.SIGSTOP)
    run.until(lambda: run.pid("worker_0") != pid and run.statuses["worker_0"].state == "running")
    assert "Worker 0 is gone" in run.log()
    assert "It gave no sign of life for 15 seconds." in run.log()
    go_on(run)
    stop(run)


def test_actors_wait_for_a_stopped_learner_beat_and_go_on_with_it(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, "--heartbeat-timeout", PATIENT, workers=2)
    run.until(lambda: run.running(2))
    pids = [run.pid(source) for source in ("worker_0", "worker_1")]
    heartbeat, pid = run.heartbeat(), run.kill(COORDINATOR, signal.SIGSTOP)
    for worker in range(2):
        row = heartbeat.row(worker)
        steps, beats = row.count("steps"), {row.read().beat}

        def waits(row: HeartbeatRow = row) -> bool:
            """Whether the worker has beaten many times since it last made a step: while it plays it
            beats twice for each round of steps."""
            nonlocal steps, beats
            now, beat = row.count("steps"), row.read().beat
            beats = {*beats, beat} if now == steps else {beat}
            steps = now
            return len(beats) > 12

        run.until(waits)
    standing = heartbeat.total("steps")
    os.kill(pid, signal.SIGCONT)
    taken = inserted(run)
    # What lay in the rings is taken within a moment, so the steps are waited for as well.
    run.until(lambda: inserted(run) > taken + 500 and heartbeat.total("steps") > standing + 100)
    assert [run.pid(source) for source in ("worker_0", "worker_1")] == pids
    stop(run)
    assert "gone" not in run.log()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_dead_learner_ends_the_run_which_goes_on_with_as_many_actors_as_one_likes(
    start: Start, workers: int
) -> None:
    run = start("--total-steps", 10**9, *SHARED, *DDQN, workers=2, trainer="ddqn")
    run.until(lambda: run.running(2) and len(run.checkpoint()) >= 3)
    _, latest = lose_coordinator(run)
    assert latest.state["dataset"]["shards"] == [0, 1]
    assert latest.state["dataset"]["state"]["storage"]  # it was saved
    after = resume(run, latest, "--workers", workers, steps=1000)
    assert after.state["dataset"]["shards"] == list(range(workers))
    assert f"it has the steps of 2 workers, and there are {workers} now" in run.log()


DDQN = ("--num-envs", 2, "--observation", "tiles", "--hidden", 8, "--buffer-size", 2000,
        "--learning-starts", 32, "--batch-size", 8, "--collect-steps", 16, "--save-replay",
        "--sync-every", 32, "--eval-interval", 0, "--prefetch", 2)  # fmt: skip


def test_the_replay_of_as_many_actors_is_taken_over(start: Start) -> None:
    run = start("--total-steps", 2000, *SHARED, *DDQN, workers=2, trainer="ddqn")
    run.until(lambda: bool(run.segments))
    assert run.end()[0] == 0
    before = run.checkpoint().load_latest()
    sizes = [float(row["buffer_size"]) for row in run.rows(COORDINATOR)]
    assert sizes[-1] > 1500
    run.start("--resume", "run", "--total-steps", before.step + 500)
    assert run.end()[0] == 0
    rows = [row for row in run.rows(COORDINATOR) if int(row["step"]) > before.step]
    assert float(rows[0]["buffer_size"]) > 1500  # more than have come since
    assert "begins empty" not in run.log()


def test_actors_do_not_outlive_a_killed_main_process(start: Start) -> None:
    run = start(*ENDLESS, *SHARED, workers=2)
    run.until(lambda: run.running(2))
    run.process.kill()
    run.assert_nothing_left()


def test_a_disk_that_is_full_within_a_checkpoint_in_pieces_costs_that_only(start: Start) -> None:
    pixels = ("--observation", "pixels", "--screen-size", 84, "--buffer-size", 8000,
              "--train-every", 64)  # fmt: skip
    run = start("--total-steps", 10**9, *SHARED, *DDQN, *pixels, trainer="ddqn", workers=2)
    run.until(lambda: run.running(2) and len(run.checkpoint()) >= 2)
    # All files but those of the replay are smaller than this, and its pieces have 16 MB.
    limits = resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE)
    resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE, (4 << 20, limits[1]))
    # Where the rest of a checkpoint was refused before, a piece is the first of two errors.
    refused = ("Cannot write a piece of a checkpoint", "Another error followed while closing")
    run.until(lambda: any(text in run.log() for text in refused))
    kept = run.checkpoint().load_latest()
    updates, taken = run.updates, inserted(run)
    run.until(lambda: inserted(run) > taken + 1500 and run.updates > updates)  # one is due by now
    assert run.checkpoint().load_latest().name == kept.name
    pieces = {f"{chunk.name}.safetensors" for chunk in kept.chunks}

    def only_pieces() -> bool:
        files = {path.name for path in (run.path / "checkpoint").iterdir()}
        return {name for name in files if name.startswith((".", "chunk-"))} == pieces

    run.until(only_pieces)  # but while the next one is being refused
    resource.prlimit(run.pid(COORDINATOR), resource.RLIMIT_FSIZE, limits)
    run.until(lambda: len(run.checkpoint().load_latest().chunks) > len(pieces))
    stop(run)
    assert "A checkpoint can be written again." in run.log()
    before = run.checkpoint().load_latest()
    assert before.chunks
    run.start("--resume", "run", "--total-steps", before.step + 600)
    assert run.end()[0] == 0
    rows = [row for row in run.rows(COORDINATOR) if int(row["step"]) > before.step]
    assert float(rows[0]["buffer_size"]) > 2000  # what was in the pieces, and more


def test_a_full_shm_is_one_sentence_and_nothing_is_left(
    cli_env: dict[str, str], tmp_path: Path
) -> None:
    """A real one: what the rings need is not there, when the heartbeats are."""
    told = """"$@"; status=$?; echo left: $(ls -A /dev/shm); exit $status"""
    words = ("--run-dir", "run", "--workers", 2, *SHARED, "--device", "cpu")
    leases = Path(tempfile.mkdtemp(prefix="run"))
    token = uuid.uuid4().hex
    done = subprocess.run(
        [*with_small_shm("8k"), "sh", "-c", told, "sh",
         sys.executable, "-m", "mario_agents.cli", "train", "walk", *map(str, words)],
        cwd=tmp_path, env={**cli_env, "TMPDIR": str(leases), "MARIO_TEST_RUN": token},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mario-agents: Cannot get ")
    assert "of shared memory (No space left on device); use fewer workers" in line
    assert done.stdout.splitlines()[-1] == "left:"
    until(lambda: not processes_with(token), told=lambda: processes_with(token))
    assert list(leases.glob("*/*.lease")) == []
    shutil.rmtree(leases)


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
        self._ring, self._version = ring, 1

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
                taken = len(dataset.heard)
                until(lambda taken=taken: len(dataset.heard) > taken + 300, intake.take)
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
