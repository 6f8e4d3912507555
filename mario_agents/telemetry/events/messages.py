"""The types of events and their envelope; encoded as msgpack, validated on arrival."""

from __future__ import annotations

import secrets
from typing import Literal, Union

import msgspec

from mario_agents.telemetry import MetricSnapshot

PROTOCOL_VERSION = 3
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


class LevelOutcomes(Event, frozen=True, kw_only=True, tag="level_outcomes"):
    """``episodes``, one at least, that ended in ``level`` ("1-1") and tell how good the policy is;
    ``successes`` of them reached their goal."""

    level: str
    episodes: int
    successes: int


class WorkerStatus(Event, frozen=True, kw_only=True, tag="worker_status"):
    """What a worker is doing; its numbers are in its :class:`Metrics`.

    Attributes:
        state: "starting" before its first step, "stopped" is its last message.
        pid: of its process.
        step: run-wide agent steps, as far as it knows.
        max_stuck: restores in a row without progress that make a game give up, 0 without
            snapshots.
    """

    state: Literal["starting", "running", "stopped"]
    pid: int
    step: int
    max_stuck: int = 0


class LearnerStatus(Event, frozen=True, kw_only=True, tag="learner_status"):
    """What the owner of the weights is doing; its numbers are in its :class:`Metrics`.

    Attributes:
        state: as in :class:`WorkerStatus`.
        pid: of its process.
        step: run-wide agent steps.
        version: number of the present weights.
    """

    state: Literal["starting", "running", "stopped"]
    pid: int
    step: int
    version: int = 0


class ProcessHeartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life, or of the lack of it.

    Attributes:
        source: name of the process.
        pid: of the process, 0 if there is none at the moment.
        age: seconds since it last beat.
        restarts: how often it has been replaced.
        node: name of the machine that it is on, in a run on several.
    """

    source: str
    pid: int
    age: float
    restarts: int
    node: str = ""


class Heartbeats(Event, frozen=True, kw_only=True, tag="heartbeats"):
    """What the main process sees of all others, at run-wide agent step ``step``."""

    step: int
    processes: list[ProcessHeartbeat]


AnyEvent = Union[  # noqa: UP007
    Metrics, Log, DeathPositions, LevelOutcomes, WorkerStatus, LearnerStatus, Heartbeats
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
