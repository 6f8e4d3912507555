"""The events of a run, and how they travel: msgpack, checked against these types on arrival."""

from __future__ import annotations

import math
import secrets
from typing import Literal, Union

import msgspec

from mario_agents.telemetry import MetricSnapshot

PROTOCOL_VERSION = 1
MAIN = "main"
"""Source of the events of the main process, which only observers get."""
COORDINATOR = "coordinator"
"""Source of the events of the process that owns the weights; workers are ``worker_0``..."""
MAX_MESSAGE_BYTES = 1 << 20
"""Longer messages are neither sent nor received."""
MAX_TEXT = 4_000
"""Characters of a log message that are sent."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all events."""


class Metrics(Event, frozen=True, kw_only=True, tag="metrics"):
    """A process's metrics at run-wide agent step ``step``."""

    step: int
    snapshot: MetricSnapshot


class Log(Event, frozen=True, kw_only=True, tag="log"):
    """A log record: ``level`` as in :mod:`logging` (30 is a warning), name of the logger, text."""

    level: int
    logger: str
    text: str


class DeathPositions(Event, frozen=True, kw_only=True, tag="death_positions"):
    """Lives lost in ``level`` ("1-1") at ``positions``, in pixels as in ``info["x_pos"]``.

    ``areas`` says of each in which area of the level, -1 if unknown; of those that it is too short
    for nothing is known.
    """

    level: str
    positions: list[int]
    areas: list[int] = []


class WorkerStatus(Event, frozen=True, kw_only=True, tag="worker_status"):
    """How a worker is doing; numbers as in its metrics, NaN where it has none.

    Attributes:
        state: "starting" before its first step, "stopped" is its last message.
        pid: of its process.
        step: run-wide agent steps, as far as it knows.
        steps, episodes, deaths, flags, train_steps: its own counts.
        epsilon, best_x, reward, steps_per_second: see the definitions of the metrics.
        packets: packets of gradients handed over.
        saves, restores: snapshots of the games that were saved and gone back to.
        stuck, max_stuck: restores in a row without progress, in the game with the most of them,
            and how many of them make it give up.
    """

    state: Literal["starting", "running", "stopped"]
    pid: int
    step: int
    steps: int
    episodes: int
    deaths: int
    flags: int
    train_steps: int
    epsilon: float = math.nan
    best_x: float = math.nan
    reward: float = math.nan
    steps_per_second: float = math.nan
    packets: int = 0
    saves: int = 0
    restores: int = 0
    stuck: int = 0
    max_stuck: int = 0


class LearnerStatus(Event, frozen=True, kw_only=True, tag="learner_status"):
    """How the owner of the weights is doing.

    Attributes:
        state: as in :class:`WorkerStatus`.
        pid: of its process.
        step: run-wide agent steps.
        updates: optimizer steps.
        lr, grad_norm, updates_per_second, staleness: see the definitions of the metrics.
        version: number of the present weights.
        stale: packets dropped because their weights were too old.

    What the loss measures (``loss``, ``q_mean``...) is known to the workers, and in their metrics.
    """

    state: Literal["starting", "running", "stopped"]
    pid: int
    step: int
    updates: int
    lr: float = math.nan
    grad_norm: float = math.nan
    updates_per_second: float = math.nan
    version: int = 0
    stale: int = 0
    staleness: float = math.nan


class ProcessHeartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life, or of the lack of it.

    Attributes:
        source: name of the process.
        pid: of the process, 0 if there is none at the moment.
        age: seconds since it last beat.
        restarts: how often it has been replaced.
    """

    source: str
    pid: int
    age: float
    restarts: int


class Heartbeats(Event, frozen=True, kw_only=True, tag="heartbeats"):
    """What the main process sees of all others, at run-wide agent step ``step``."""

    step: int
    processes: list[ProcessHeartbeat]


AnyEvent = Union[  # noqa: UP007
    Metrics, Log, DeathPositions, WorkerStatus, LearnerStatus, Heartbeats
]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """An event and where it comes from.

    Attributes:
        version: of the protocol.
        run: token of the run; messages of another run are ignored. It tells runs apart and is no
            secret: who may connect is decided by the permissions of the socket's directory.
        source: name of the process: ``worker_0``, ``coordinator``, ``main``.
        generation: number of restarts of that process.
        sender: drawn by each publisher.
        sequence: of the sender's messages that were handed to the queue, from 0.
        dropped: messages that the sender could not hand to the queue until now.
        time: Unix seconds.
        event: what happened.
    """

    version: int
    run: str
    source: str
    generation: int
    sender: int
    sequence: int
    dropped: int
    time: float
    event: AnyEvent


def new_token() -> str:
    """A token for a run."""
    return secrets.token_hex(8)
