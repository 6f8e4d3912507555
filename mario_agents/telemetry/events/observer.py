"""Observing the events of a run from another process, without any effect on the run."""

from __future__ import annotations

from pathlib import Path

import zmq

from mario_agents.telemetry.events.address import read_server, remove_server, write_server
from mario_agents.telemetry.events.decoding import EventDecoder
from mario_agents.telemetry.events.messages import MAX_MESSAGE_BYTES, Envelope
from mario_agents.telemetry.events.sockets import close_socket, open_socket
from mario_agents.telemetry.events.subscriber import bind, receive


class EventBroadcast:
    """Repeats events to any number of observers (ZMQ PUB), from the main process.

    An observer that is slow, stopped or gone misses events; it never holds up the sender. The
    address is written to ``events.json`` in the run directory.

    Args:
        address: to bind to, see :class:`~mario_agents.telemetry.events.address.EventDirectory`.
        run: token of the run.
        run_path: the run directory.
        queue: messages that wait for each observer at most.

    Raises:
        RunError: if the address cannot be bound to.
    """

    def __init__(self, address: str, *, run: str, run_path: Path, queue: int = 1_000) -> None:
        self._run_path = run_path
        self._socket = open_socket(self, zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, queue)
        # Observers say what they subscribe to: a few bytes.
        self._socket.setsockopt(zmq.MAXMSGSIZE, 1_024)
        bind(self._socket, address)
        self.address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where observers connect to."""
        write_server(run_path, run, self.address)

    def send(self, message: bytes) -> None:
        """Pass on a message as it came."""
        self._socket.send(message, zmq.DONTWAIT)

    def close(self) -> None:
        """Close, and remove ``events.json``; harmless when repeated."""
        if not self._socket.closed:
            remove_server(self._run_path)
            close_socket(self._socket, 0.1)


class EventObserver:
    """Reads the events of a run that is being trained by another process.

    It sees what happens from now on; processes repeat their status and metrics every few seconds.

    Args:
        run_path: the run directory.
        queue: messages that wait at most on this side.

    Raises:
        RunError: if the run is not being trained, or by a version with another protocol.
    """

    def __init__(self, run_path: Path, *, queue: int = 10_000) -> None:
        server = read_server(run_path)
        self._socket = open_socket(self, zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, queue)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        self._socket.setsockopt(zmq.SUBSCRIBE, b"")
        self._socket.connect(server.address)
        self.decoder = EventDecoder(server.run)
        """Counts what was rejected and lost."""

    def poll(self, timeout: float = 0.0, limit: int = 1_000) -> list[Envelope]:
        """What has arrived; arguments as in
        :meth:`~mario_agents.telemetry.events.subscriber.EventSubscriber.poll`."""
        decoded = map(self.decoder.decode, receive(self._socket, timeout, limit))
        return [envelope for envelope in decoded if envelope is not None]

    def close(self) -> None:
        """Close the socket; harmless when repeated."""
        close_socket(self._socket)
