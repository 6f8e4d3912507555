"""What a run and its background processes say to one another: msgspec structs, as msgpack."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import msgspec

from mario_agents.evaluation.results import Evaluation
from mario_agents.runtime.processes.background_entry import Link

T = TypeVar("T")


class Message(msgspec.Struct, frozen=True, tag_field="type"):
    """Base of all messages."""

    def encode(self) -> bytes:
        """As bytes."""
        return msgspec.msgpack.encode(self)


# -- to the process -------------------------------------------------------------------------------


class RecordFlag(Message, frozen=True, tag="record_flag"):
    """Record how the first flag was reached.

    Attributes:
        saved: where it began, see :func:`mario_envkit.snapshots.entry.saved_to_bytes`.
        actions, origin, chances: see :class:`~mario_agents.playback.first_success.ActionTrace`.
        env_kwargs: of the game, as ``MarioTrain-v0`` takes them.
        directory: of the run's videos.
        step: run-wide agent steps.
    """

    saved: bytes
    actions: tuple[int, ...]
    origin: str
    env_kwargs: dict[str, Any]
    directory: str
    step: int
    chances: tuple[tuple[int, float], ...] = ()


class Prepare(Message, frozen=True, tag="prepare"):
    """Whose weights are going to be evaluated.

    Attributes:
        algorithm: by its name, see :func:`~mario_agents.core.algorithm.name_of`.
        options: the configuration as plain values.
        obs_shape, actions: :class:`~mario_agents.core.algorithm.Spaces` of the environments.
        device: where networks compute.
        videos: directory of the run's videos.
    """

    algorithm: str
    options: dict[str, Any]
    obs_shape: tuple[int, ...]
    actions: int
    device: str
    videos: str


class Evaluate(Message, frozen=True, tag="evaluate"):
    """Evaluate ``weights`` of the part that plays, as the bytes of a safetensors file.

    Attributes:
        step: when they were taken.
        best: the highest score before, if there was any.
    """

    weights: bytes
    step: int
    best: tuple[float, ...] | None


class Record(Message, frozen=True, tag="record"):
    """Record the best episode of an evaluation, if it is one to remember.

    Attributes:
        weights: as those of :class:`Evaluate`.
        step: when they were taken.
        evaluations: what they played.
        score: of it.
        best: the highest score before, if there was any.
    """

    weights: bytes
    step: int
    evaluations: tuple[Evaluation, ...]
    score: tuple[float, ...]
    best: tuple[float, ...] | None


# -- from the process -----------------------------------------------------------------------------


class Ready(Message, frozen=True, tag="ready"):
    """All is imported."""


class Beat(Message, frozen=True, tag="beat"):
    """A sign of life, about once a second while something is played."""


class Logged(Message, frozen=True, tag="logged"):
    """A record for the log."""

    level: int
    logger: str
    text: str

    def tell(self) -> None:
        """Write it to this process's log."""
        logging.getLogger(self.logger).log(self.level, "%s", self.text)


class Evaluated(Message, frozen=True, tag="evaluated"):
    """What was asked for by :class:`Evaluate`, on a console that obeys and with sticky actions."""

    plain: Evaluation
    sticky: Evaluation
    confirmed: tuple[Evaluation, ...] = ()
    """The same of a second stage and sampled episodes, if there was one."""


class Failed(Message, frozen=True, tag="failed"):
    """It could not be evaluated; ``text`` is the traceback."""

    text: str


class Recorded(Message, frozen=True, tag="recorded"):
    """A video has been made, or cannot be."""


Request = Prepare | Evaluate | Record
Reply = Ready | Beat | Logged | Evaluated | Failed | Recorded


def decode(message: bytes, kind: Any) -> Any:
    """A message of type ``kind``.

    Raises:
        msgspec.DecodeError: if it is of no such type.
    """
    return msgspec.msgpack.decode(message, type=kind)


class LinkLogHandler(logging.Handler):
    """Sends the records of a background process's log to the process that started it."""

    def __init__(self, link: Link) -> None:
        super().__init__(logging.INFO)
        self._link = link

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback."""
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self._link.send(Logged(record.levelno, record.name, text).encode())


def log_to(link: Link) -> None:
    """Send this process's log to the process that started it."""
    handler = LinkLogHandler(link)
    for package in ("mario_agents", "mario_envkit"):
        root = logging.getLogger(package)
        root.setLevel(logging.INFO)
        root.propagate = False
        root.addHandler(handler)
