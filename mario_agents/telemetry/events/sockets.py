"""ZMQ sockets that nobody has to wait for."""

from __future__ import annotations

import weakref

import zmq

Socket = zmq.Socket[bytes]


def open_socket(owner: object, kind: int) -> Socket:
    """A socket with a context of its own, that sends nothing more once it is closed, unless
    :func:`close_socket` says otherwise.

    It is closed when ``owner`` is gone without having closed it. Python's collector of garbage may
    end a context before the sockets in it, and would then wait for ever.
    """
    context: zmq.Context[Socket] = zmq.Context()
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    weakref.finalize(owner, socket.close, 0).atexit = False
    return socket


def close_socket(socket: Socket, linger: float = 0.0) -> None:
    """Give what is queued ``linger`` seconds to leave, and close; harmless when repeated."""
    if not socket.closed:
        context = socket.context
        socket.close(linger=round(1000 * linger))
        context.term()
