"""Workers that share experience: steps go to one learner, and weights come back.

A worker is an actor only. What makes it one is its dataset, which has no batches and sends the
steps, and its exchange, which fetches weights now and then. The learner, beside the coordinator,
takes the steps of all workers into one dataset (Horgan et al., "Distributed Prioritized Experience
Replay", ICLR 2018; Espeholt et al., "IMPALA", ICML 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from mario_agents.config import TrainConfig
from mario_agents.core.algorithm import Algorithm, Spaces, WorkerContext
from mario_agents.core.dataset import Dataset, NumpyBatch
from mario_agents.core.gradients import Gradients
from mario_agents.core.types import Learner, Step
from mario_agents.runtime.exchange import WAIT_SECONDS
from mario_agents.runtime.step_layout import StepLayout
from mario_agents.runtime.transport import Board, Bytes, Channel, WeightsReader
from mario_agents.telemetry import Stopwatch

MOST_PACKETS = 8
"""Packets that are taken in of each worker between two batches."""


def step_layout(
    algorithm: Algorithm[Any, Any], config: TrainConfig, learner: Learner, spaces: Spaces
) -> StepLayout:
    """How the steps of a worker are sent. What its policy keeps of them is found by asking it once.

    Args:
        algorithm, config: of the run.
        learner: on the CPU; nothing of it is changed.
        spaces: of the environments.
    """
    context = WorkerContext(0, 1, config.seed, 0, 0, torch.device("cpu"))
    policy = algorithm.policy(config, learner, context)
    count = config.num_envs
    with torch.no_grad():
        _, kept, _ = policy.act(
            torch.zeros((count, *spaces.obs_shape), dtype=torch.uint8),
            policy.initial(count),
            torch.ones(count, dtype=torch.bool),
            mode="explore",
            step=0,
        )
    extras = {name: (tuple(value.shape[1:]), value.numpy().dtype) for name, value in kept.items()}
    steps = -(-algorithm.collect_steps(config) // count)
    return StepLayout(spaces.obs_shape, count, extras, steps=steps)


@dataclass(frozen=True)
class StepChannels:
    """The ways from the workers to the learner, which one packet of any of them wakes.

    Attributes:
        layout: of the packets.
        rings: of the workers, by number; a worker may know its own only.
    """

    layout: StepLayout
    rings: Mapping[int, Channel]


class ActorExchange:
    """Implements :class:`~mario_agents.runtime.exchange.GradientExchange` for a worker that has no
    gradients: it only fetches weights.

    Args:
        worker: number of this worker.
        weights: of the run, at the end where the model is that plays.
        board: of the run.
        channel: the worker's; it is on it that the worker sleeps.
        sync_every: agent steps of this worker between two looks for newer weights.
        stopwatch: measures how long this worker waits, as ``time_waiting``.
    """

    def __init__(
        self,
        worker: int,
        weights: WeightsReader,
        board: Board,
        channel: Channel,
        *,
        sync_every: int,
        stopwatch: Stopwatch,
    ) -> None:
        self._weights, self._board, self._row = weights, board, board.row(worker)
        self._channel, self._sync_every, self._stopwatch = channel, sync_every, stopwatch
        self._due = self._version = 0

    @property
    def version(self) -> int:
        """Of the weights in the model."""
        return self._version

    def begin_round(self) -> bool:
        """:meth:`sync`, if that is due; False if the run is stopping."""
        if self._version == 0 or self._row.count("steps") >= self._due:
            self.sync()
            self._due = self._row.count("steps") + self._sync_every
        return not self._board.stopping

    def sync(self) -> None:
        """Bring the model to newer weights; the first time, wait until there are some."""
        while self._weights.version == 0:
            if not self.wait():
                return
        self._version = self._weights.read(newer_than=self._version) or self._version

    def submit(self, gradients: Gradients, version: int) -> NoReturn:
        """There are none."""
        raise AssertionError("a worker that shares experience has no batches")

    def wait(self) -> bool:
        """Wait until the learner has taken a packet; False if the run is stopping."""
        self._row.beat()
        with self._stopwatch.measure("time_waiting"):
            self._channel.wait_for_release(WAIT_SECONDS)
        return not self._board.stopping


class StepSender(Dataset):
    """The dataset of a worker that shares experience: it sends the steps of each round, and offers
    no batches.

    A full channel makes it wait: the learner is to keep up with its workers. Whoever waits here
    beats, and leaves when the run stops; the steps are lost then.

    Args:
        channel: to the learner.
        layout: of the packets.
        generation: how many processes were this worker before.
        exchange: knows the version of the weights that play.
    """

    def __init__(
        self, channel: Channel, layout: StepLayout, generation: int, exchange: ActorExchange
    ) -> None:
        self._channel, self._layout = channel, layout
        self._generation, self._exchange = generation, exchange
        self._steps: list[Step] = []

    def add(self, step: Step, worker: int) -> None:
        """Keep the step until there are enough for a packet."""
        self._steps.append(step)
        if len(self._steps) == self._layout.most:
            self._send()

    def batches(self, at: int) -> Iterator[NumpyBatch]:
        """Send what is left of a round; the learner makes the batches."""
        if self._steps:
            self._send()
        return iter(())

    def _send(self) -> None:
        steps, self._steps = self._steps, []
        packets = self._layout.pack(steps, self._generation, self._exchange.version)
        for size, write in packets:
            while not self._channel.has_room():
                if not self._exchange.wait():
                    return
            self._channel.send(size, write)


class StepIntake:
    """Takes the steps of all workers into a dataset, in turns: none of them comes before another
    that has sent as much, however fast it is.

    Args:
        channels: of the workers, by number.
        layout: of their packets.
        dataset: takes the steps; while it is full they wait in the channels.
    """

    def __init__(self, channels: Sequence[Channel], layout: StepLayout, dataset: Dataset) -> None:
        self._channels, self._layout, self._dataset = channels, layout, dataset
        self._generations: list[int | None] = [None] * len(channels)
        self._next = 0
        self.versions: list[int] = []
        """Of the weights that played, one for each packet of the last :meth:`take`."""

    def take(self) -> int:
        """Take in packets that are there, a few of each worker at most; returns the number of
        agent steps in them."""
        steps, empty = 0, 0
        self.versions = []
        for _ in range(MOST_PACKETS * len(self._channels)):
            if self._dataset.full or empty == len(self._channels):
                break
            worker = self._next
            self._next = (worker + 1) % len(self._channels)
            packet = self._channels[worker].receive()
            if packet is None:
                empty += 1
                continue
            empty = 0
            data = packet.data.copy()  # the dataset may keep what it is given
            packet.release()
            steps += self._keep(worker, data)
        return steps

    def _keep(self, worker: int, data: Bytes) -> int:
        packet = self._layout.unpack(data)
        if packet.generation != self._generations[worker]:
            self._generations[worker] = packet.generation
            self._dataset.cut(worker)
        for step in packet.steps:
            self._dataset.add(step, worker)
        self.versions.append(packet.version)
        return len(packet.steps) * self._layout.num_envs
