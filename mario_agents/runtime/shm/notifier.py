"""Waking a process, or a thread, that waits for a change in memory that it shares.

A notification is a hint, the truth is in that memory: whoever waits looks there before and after.
So one notification too many does no harm, a process that is killed takes nothing along, and its
replacement goes on with the same pipe. There is no name in the file system that could stay behind.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from multiprocessing import Pipe
from threading import Event
from typing import Protocol

_ALL = 4096
"""Bytes read at once; a notification is one, and whoever has looked has seen the cause of all."""


class Notifier(Protocol):
    """Wakes the one who waits on it; anybody may notify."""

    def notify(self) -> None:
        """Wake who waits; if nobody does, the next :meth:`wait` returns at once."""

    def wait(self, seconds: float) -> bool:
        """Sleep until notified, but no longer than ``seconds``; returns whether it was."""


class ThreadNotifier:
    """A :class:`Notifier` between threads of one process."""

    def __init__(self) -> None:
        self._event = Event()

    def notify(self) -> None:
        """Wake the thread that waits, or is going to."""
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Sleep until notified, at most ``seconds``; returns whether it was."""
        notified = self._event.wait(seconds)
        self._event.clear()
        return notified


class ProcessNotifier:
    """A :class:`Notifier` between processes.

    It travels to other processes as an argument of their start only, as a pipe does.
    """

    def __init__(self) -> None:
        self._reader, self._writer = Pipe(duplex=False)
        if sys.platform == "win32":
            raise NotImplementedError
        for end in (self._reader, self._writer):
            os.set_blocking(end.fileno(), False)  # of the pipe: it holds in every process

    def notify(self) -> None:
        """Wake the process that waits, or is going to."""
        # If it is full of notifications that nobody has looked at, one more would say nothing new.
        with suppress(BlockingIOError):
            os.write(self._writer.fileno(), b"\0")

    def wait(self, seconds: float) -> bool:
        """Sleep until notified, at most ``seconds``; returns whether it was."""
        if sys.platform == "win32":
            raise NotImplementedError
        reader = self._reader.fileno()
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        if not poll.poll(1000 * seconds):
            return False
        with suppress(BlockingIOError):
            os.read(reader, _ALL)
        return True
