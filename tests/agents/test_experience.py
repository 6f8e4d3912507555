"""Steps on their way from workers to the one learner."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.types import Step
from mario_agents.replay.selectors import PrioritizedSelector
from mario_agents.replay.storage import Storage
from mario_agents.replay.transitions import TransitionReplay
from mario_agents.run import CheckpointStore, RunDir
from mario_agents.runtime.experience import ActorExchange, StepIntake, StepSender
from mario_agents.runtime.run import train
from mario_agents.runtime.shm import segments
from mario_agents.runtime.shm.byte_ring import ByteRing
from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.runtime.shm.segments import SharedSegments
from mario_agents.runtime.shm.step_rings import step_rings
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.telemetry import Stopwatch
from mario_agents.testing.toy import ToyAlgorithm, ToyConfig
from tests.agents.replay_reference import EVENTS, EXTRAS, InventedGames


def layout_for(games: InventedGames, *, steps: int) -> StepLayout:
    return StepLayout(games.obs_shape, games.num_envs, EXTRAS, steps=steps)


def assert_step(ours: Step, theirs: Step) -> None:
    for name in set(Step._fields) - {"extras"}:
        x, y = getattr(ours, name), getattr(theirs, name)
        assert (x.dtype, x.shape) == (y.dtype, y.shape), name
        assert np.array_equal(x, y), name
    assert ours.extras.keys() == EXTRAS.keys()
    for name in EXTRAS:
        assert ours.extras[name].dtype == theirs.extras[name].dtype
        assert np.array_equal(ours.extras[name], theirs.extras[name])


@given(
    st.integers(1, 3), st.sampled_from([None, 1, 2, 4]), st.integers(1, 9), st.integers(1, 9),
    st.data(),
)  # fmt: skip
def test_steps_come_out_of_packets_as_they_went_in(num_envs, stack, colours, most, data):
    games = InventedGames(num_envs, stack, data.draw(st.integers(0, 999)), colours)
    layout = layout_for(games, steps=most)
    events = st.lists(st.sampled_from(EVENTS), min_size=num_envs, max_size=num_envs)
    for version in range(3):
        steps = [
            games.step(each) for each in data.draw(st.lists(events, min_size=1, max_size=most))
        ]
        arrived = []
        for size, write in layout.pack(steps, 7, version):
            assert size <= layout.capacity
            packet = np.full(size, 99, dtype=np.uint8)
            write(packet)
            found = layout.unpack(packet)
            assert (found.generation, found.version) == (7, version)
            arrived += found.steps
        assert len(arrived) == len(steps)
        for ours, theirs in zip(arrived, steps, strict=True):
            assert_step(ours, theirs)


def test_a_frame_is_sent_once() -> None:
    """In one packet: a stack at its beginning, and a frame for each step."""
    games = InventedGames(2, 4, seed=0, colours=256)
    layout = layout_for(games, steps=10)
    sizes = []
    for count in (9, 10):
        steps = [games.step(["go", "go"]) for _ in range(count)]
        ((size, _),) = layout.pack(steps, 0, 0)
        sizes.append(size)
    columns = 8 + 4 + 5 + 4 + 2 * 2  # action, reward, flags, and what the policy keeps
    assert sizes[1] - sizes[0] == pytest.approx(2 * (6 + columns), abs=8 * 4)  # aligned


class Recorder(Dataset):
    """Remembers what it is told; full when it is told to be."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Step | None]] = []
        self.is_full = False

    @property
    def full(self) -> bool:
        return self.is_full

    def add(self, step: Step, worker: int) -> None:
        assert not self.is_full
        self.heard.append((worker, step))

    def cut(self, worker: int) -> None:
        self.heard.append((worker, None))

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        raise AssertionError("nobody asks")


class Renumbered(Recorder):
    """Workers by the numbers that a storage knows them by."""

    def __init__(self, storage: Storage, workers: list[int]) -> None:
        super().__init__()
        self._storage, self._workers = storage, workers

    def add(self, step: Step, worker: int) -> None:
        self._storage.add(step, self._workers[worker])

    def cut(self, worker: int) -> None:
        self._storage.cut(self._workers[worker])


class Learning(ActorExchange):
    """Who has to wait for room is waiting for this learner."""

    def __init__(self, intake: StepIntake, dataset: Any) -> None:
        self._intake, self._dataset, self._version = intake, dataset, 1

    def wait(self) -> bool:
        self._dataset.is_full = False
        self._intake.take()
        return True


both = st.lists(st.sampled_from(EVENTS), min_size=2, max_size=2)
actions = st.lists(
    st.one_of(
        st.tuples(st.just("step"), st.integers(0, 2), both),
        st.tuples(st.sampled_from(["round", "replaced"]), st.integers(0, 2)),
        st.tuples(st.sampled_from(["take", "full"])),
    ),
    max_size=80,
)  # fmt: skip


@settings(max_examples=150)
@given(actions, st.integers(1, 5), st.integers(2, 4))
def test_steps_arrive_in_order_each_once_and_a_gap_is_told_of(actions, most, slots):
    """Whatever the order of turns; a worker that dies takes along what it has not sent."""
    games = [InventedGames(2, 2, seed=worker, colours=5) for worker in range(3)]
    layout = layout_for(games[0], steps=most)
    rings = [ByteRing.private(slots=slots, capacity=layout.capacity) for _ in games]
    dataset = Recorder()
    intake = StepIntake(rings, layout, dataset)
    exchange = Learning(intake, dataset)
    senders = [StepSender(ring, layout, 0, exchange) for ring in rings]
    generations = [0, 0, 0]
    made: list[list[tuple[int, Step]]] = [[], [], []]
    for name, *rest in actions:
        if name == "take":
            intake.take()
        elif name == "full":
            dataset.is_full = not dataset.is_full
        elif name == "step":
            worker, events = rest
            step = games[worker].step(events)
            made[worker].append((generations[worker], step))
            senders[worker].add(step, worker)
        elif name == "round":
            assert list(senders[rest[0]].batches(0)) == []
        else:
            (worker,) = rest
            lost = len(senders[worker]._steps)  # not yet in a packet
            del made[worker][len(made[worker]) - lost :]
            generations[worker] += 1
            games[worker].reset()
            senders[worker] = StepSender(rings[worker], layout, generations[worker], exchange)
    for sender in senders:
        list(sender.batches(0))
    dataset.is_full = False
    while intake.take():
        pass
    for worker, expected in enumerate(made):
        heard = [what for source, what in dataset.heard if source == worker]
        steps = [what for what in heard if what is not None]
        assert len(steps) == len(expected)
        for ours, (_, theirs) in zip(steps, expected, strict=True):
            assert_step(ours, theirs)
        gaps = [
            number
            for number, (generation, _) in enumerate(expected)
            if number == 0 or generation != expected[number - 1][0]
        ]
        places = np.cumsum([what is not None for what in heard])
        assert [int(places[i]) for i, what in enumerate(heard) if what is None] == gaps


def test_workers_are_taken_in_by_turns() -> None:
    games = InventedGames(1, None, seed=0, colours=5)
    layout = layout_for(games, steps=1)
    rings = [ByteRing.private(slots=4, capacity=layout.capacity) for _ in range(3)]
    dataset = Recorder()
    intake = StepIntake(rings, layout, dataset)
    senders = [StepSender(ring, layout, 0, Learning(intake, dataset)) for ring in rings]
    for worker, count in ((0, 4), (1, 2), (2, 3)):
        for _ in range(count):
            senders[worker].add(games.step(["go"]), worker)
    assert intake.take() == 9
    order = [worker for worker, step in dataset.heard if step is not None]
    assert order == [0, 1, 2, 0, 1, 2, 0, 2, 0]


def test_a_full_dataset_makes_workers_wait_and_batches_let_them_go_on() -> None:
    games = InventedGames(2, 2, seed=0, colours=5)
    layout = layout_for(games, steps=1)
    ring = ByteRing.private(slots=2, capacity=layout.capacity)
    storage = Storage(40, 2, games.obs_shape)
    replay = TransitionReplay(
        storage,
        PrioritizedSelector(storage, np.random.default_rng(0), alpha=0.6, beta=lambda at: 0.4),
        n_step=1, gamma=0.9, batch_size=4, learning_starts=4, train_every=4, save=False,
        error_buffer=4,
    )  # fmt: skip
    intake = StepIntake([ring], layout, replay)
    heartbeat = SharedHeartbeat.private(workers=1)
    exchange = ActorExchange(
        0, None, heartbeat, ring, sync_every=1, stopwatch=Stopwatch(["time_waiting"])
    )  # type: ignore[arg-type]
    sender = StepSender(ring, layout, 0, exchange)
    for _ in range(4):  # 4 steps until it begins, and 4 more: one batch is due, one is owed
        sender.add(games.step(["go", "go"]), 0)
        intake.take()
    assert replay.full
    for _ in range(2):
        sender.add(games.step(["go", "go"]), 0)
        assert intake.take() == 0
    assert not ring.has_room()
    heartbeat.stop()  # or it would wait for the learner
    sender.add(games.step(["go", "go"]), 0)
    assert ring.waiting == 2
    assert ring.stats().dropped == 0
    next(replay.batches(0))  # asked again after each
    assert not replay.full
    assert intake.take() == 4
    assert replay.full
    assert sum(1 for _ in replay.batches(0)) == 2
    assert replay.gauges()["samples_per_insert"] == 4 * 3 / 12


@pytest.mark.parametrize(("steps", "ahead", "room"), [(1, 2, 2), (1, 8, 8), (100_000, 8, 4)])
def test_a_worker_may_be_so_many_rounds_ahead(tmp_path: Path, steps, ahead, room) -> None:
    layout = layout_for(InventedGames(2, 2, seed=0, colours=5), steps=steps)
    with SharedSegments(tmp_path / "leases") as made:
        channels = step_rings(made, layout, workers=3, rounds_ahead=ahead)
        assert [ring.slots for ring in channels.rings.values()] == [room] * 3


def test_too_little_shared_memory_is_an_error_before_anything_starts(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, sizes = segments._make, []

    def full(name: str, size: int) -> Any:
        sizes.append(size)
        if len(sizes) == 3:  # the second ring; the heartbeats come first
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return make(name, size)

    monkeypatch.setattr(segments, "_make", full)
    done = cli("train", "walk", "--run-dir", "run", "--workers", 2, "--share", "experience",
               "--device", "cpu")  # fmt: skip
    assert done.returncode == 2
    assert "Cannot get" in done.stderr
    assert "of shared memory (No space left on device); use fewer workers" in done.stderr


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("ppo", "--share", "experience"), "This trainer cannot share experience"),
        (("walk", "--share", "experience", "--synchronous"), "do not wait for one another"),
    ],
)
def test_what_cannot_be_shared_is_refused(cli: Any, words: Any, reason: str) -> None:
    done = cli("train", *words, "--run-dir", "run", "--workers", 2)
    assert done.returncode == 2
    assert reason in done.stderr
    assert not Path("run").exists()


def test_in_one_process_it_makes_no_difference_what_is_shared(tmp_path: Path) -> None:
    found = []
    for share in ("gradients", "experience"):
        config = ToyConfig(share=share, total_steps=640, device="cpu", ui=False)
        run = RunDir.create(tmp_path / share, trainer="walk", config=config)
        train(ToyAlgorithm(), config, run, resume=False)
        found.append(CheckpointStore(run.checkpoint_path).load_latest())
    assert found[0].state["updater"]["updates"] == 10
    for name, tensor in found[0].tensors.items():
        assert torch.equal(tensor, found[1].tensors[name]), name
