"""Sending events without blocking (ZMQ PUSH)."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from typing import Protocol

import msgspec
import zmq

from mario_agents.telemetry.events.messages import (
    MAX_MESSAGE_BYTES,
    MAX_TEXT,
    PROTOCOL_VERSION,
    AnyEvent,
    Envelope,
    Log,
)
from mario_agents.telemetry.events.sockets import close_socket, open_socket
from mario_envkit.command_line import showable


class Publisher(Protocol):
    """Takes events; in the main process itself, or on the way there."""

    def publish(self, event: AnyEvent) -> bool:
        """Whether the event was taken; one that was not is lost unless it is given again."""


class Stamp:
    """Puts events into envelopes, as bytes."""

    def __init__(self, run: str, source: str, generation: int) -> None:
        self._run, self._source, self._generation = run, source, generation
        self._sender = secrets.randbits(62)
        self._encoder = msgspec.msgpack.Encoder()
        self.sequence = 0

    def encode(self, envelope: Envelope) -> bytes:
        """The message."""
        return self._encoder.encode(envelope)

    def envelope(self, event: AnyEvent, dropped: int = 0) -> Envelope:
        """The next envelope; count up ``sequence`` when it is on its way."""
        return Envelope(
            version=PROTOCOL_VERSION,
            run=self._run,
            source=self._source,
            generation=self._generation,
            sender=self._sender,
            sequence=self.sequence,
            dropped=dropped,
            time=time.time(),
            event=event,
        )


class EventPublisher:
    """Sends a process's events to the main process (ZMQ PUSH).

    Nothing here waits: where the queue is full, because the main process is slow, stopped or gone,
    an event is dropped, and later messages say how many were. May be used from several threads.
    Make it in the process that uses it.

    Args:
        address: of the run's :class:`~mario_agents.telemetry.events.subscriber.EventSubscriber`.
        run: token of the run.
        source: name of this process, such as ``worker_0``; the same after a restart.
        generation: number of restarts of this process.
        queue: messages that wait at most on this side.
    """

    def __init__(
        self, address: str, *, run: str, source: str, generation: int = 0, queue: int = 1_000
    ) -> None:
        self._socket = open_socket(self, zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, queue)
        self._socket.connect(address)
        self._stamp = Stamp(run, source, generation)
        self._lock = threading.Lock()
        self.dropped = 0
        """Messages that found the queue full, or were too long."""

    def publish(self, event: AnyEvent) -> bool:
        """Send an event. False if it was dropped, or the publisher is closed."""
        with self._lock:
            if self._socket.closed:
                return False
            message = self._stamp.encode(self._stamp.envelope(event, self.dropped))
            if len(message) > MAX_MESSAGE_BYTES:
                self.dropped += 1
                return False
            try:
                self._socket.send(message, zmq.DONTWAIT)
            except zmq.Again:
                self.dropped += 1
                return False
            self._stamp.sequence += 1
            return True

    def close(self, linger: float = 1.0) -> None:
        """Give what is queued ``linger`` seconds to leave, and close; harmless when repeated."""
        with self._lock:
            close_socket(self._socket, linger)


class EventLogHandler(logging.Handler):
    """Sends log records as events, so that one log tells of all processes."""

    def __init__(self, publisher: Publisher, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._publisher = publisher

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, with its traceback; long texts are cut."""
        try:
            text = showable(self.format(record))
        except Exception:
            self.handleError(record)
            return
        self._publisher.publish(Log(level=record.levelno, logger=record.name, text=text[:MAX_TEXT]))
