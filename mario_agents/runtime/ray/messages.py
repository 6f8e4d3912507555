"""What a worker and the coordinator's actor say to one another: plain values."""

from __future__ import annotations

from typing import NamedTuple

from mario_agents.runtime.shm.heartbeat import Heartbeat


class Report(NamedTuple):
    """What a worker tells of itself with everything that it sends.

    Attributes:
        generation: how many processes were this worker before.
        number: of the report, from 1: calls may come in another order.
        row: of the worker.
    """

    generation: int
    number: int
    row: Heartbeat


class State(NamedTuple):
    """What a worker is told of the run.

    Attributes:
        number: of the state, from 1.
        arrived: packets of the worker, and its predecessors, that are with the coordinator.
        released: those of them that it has let go of.
        version: of the newest weights.
        stage: see :attr:`~mario_agents.runtime.shm.heartbeat.SharedHeartbeat.stage`.
        others: counters of all other workers together.
    """

    number: int
    arrived: int
    released: int
    version: int
    stage: int
    others: dict[str, int]


class Attachment(NamedTuple):
    """What a new worker is told.

    Attributes:
        row: as its predecessors left it.
        state: of the run.
    """

    row: Heartbeat
    state: State


class Sizes(NamedTuple):
    """How much room the numbers of a run need.

    Attributes:
        weights: floats.
        gradients: floats of a packet.
    """

    weights: int
    gradients: int
