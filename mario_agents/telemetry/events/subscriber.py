"""Receiving the events of all processes of a run, in the main process (ZMQ PULL)."""

from __future__ import annotations

import time

import zmq

from mario_agents.telemetry.events.decoding import EventDecoder
from mario_agents.telemetry.events.messages import MAX_MESSAGE_BYTES, Envelope
from mario_agents.telemetry.events.sockets import Socket, close_socket, open_socket
from mario_envkit.errors import RunError


class EventSubscriber:
    """The receiving end of a run's :class:`~mario_agents.telemetry.events.publisher.EventPublisher`
    objects (ZMQ PULL).

    Args:
        address: to bind to, see :class:`~mario_agents.telemetry.events.address.EventDirectory`;
        with
            ``tcp://127.0.0.1:*`` the system chooses a port, see :attr:`address`.
        run: token of the run.
        queue: messages of each sender that wait at most on this side.

    Raises:
        RunError: if the address cannot be bound to.
    """

    def __init__(self, address: str, *, run: str, queue: int = 1_000) -> None:
        self._socket = open_socket(self, zmq.PULL)
        self._socket.setsockopt(zmq.RCVHWM, queue)
        # Whoever sends more is cut off before its message takes memory here.
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        bind(self._socket, address)
        self.address: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        """Where publishers connect to."""
        self.decoder = EventDecoder(run)
        """Counts what was rejected, lost and dropped."""

    def poll(self, timeout: float = 0.0, limit: int = 1_000) -> list[tuple[Envelope, bytes]]:
        """What has arrived, each with the bytes it came in.

        Args:
            timeout: seconds to wait for the first message.
            limit: messages that are looked at, ours or not; the rest is for the next call.
        """
        found: list[tuple[Envelope, bytes]] = []
        for message in receive(self._socket, timeout, limit):
            envelope = self.decoder.decode(message)
            if envelope is not None:
                found.append((envelope, message))
        return found

    def close(self) -> None:
        """Close the socket; harmless when repeated."""
        close_socket(self._socket)


def bind(socket: Socket, address: str) -> None:
    """Bind, or close the socket and say why not.

    Raises:
        RunError: if the address cannot be bound to.
    """
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        close_socket(socket)
        raise RunError(f"The event socket {address} cannot be opened: {error}.") from error


def receive(socket: Socket, timeout: float, limit: int) -> list[bytes]:
    """Up to ``limit`` messages that are there within ``timeout`` seconds; the first of the parts
    of a message that has several (ours have one)."""
    messages: list[bytes] = []
    deadline = time.monotonic() + timeout
    while not messages:
        wait = max(round(1000 * (deadline - time.monotonic())), 0)
        if not socket.poll(wait, zmq.POLLIN):
            break
        while len(messages) < limit:
            try:
                messages.append(socket.recv_multipart(zmq.DONTWAIT)[0])
            except zmq.Again:
                break
    return messages
