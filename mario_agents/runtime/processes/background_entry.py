"""What a :class:`~mario_agents.runtime.processes.background.BackgroundProcess` runs:
``python -m mario_agents.runtime.processes.background_entry MODULE DESCRIPTOR CORE...``.

The main thread takes in messages, and ends the process as soon as nobody is at the other end of the
pipe, whatever else is going on. Another thread does the work.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue

from mario_agents.runtime.signals import ignore_stop_signals

NICENESS = 5
"""How much lower the priority is than that of the process that started this one: on a full machine
it has a third of the time that it would have, for evaluations must not take for ever."""


class Link:
    """The way to the process that started this one."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._messages: SimpleQueue[bytes] = SimpleQueue()
        self._sending = threading.Lock()

    def listen(self) -> None:
        """Take in messages until nobody is at the other end."""
        while True:
            try:
                self._messages.put(self._connection.recv_bytes())
            except (EOFError, OSError):
                return

    def receive(self, *, wait: bool = True) -> bytes | None:
        """The next message; None if there is none and ``wait`` is False."""
        try:
            return self._messages.get(block=wait)
        except Empty:
            return None

    def send(self, message: bytes) -> None:
        """Send a message; may be called by any thread."""
        with self._sending:
            try:
                self._connection.send_bytes(message)
            except OSError:  # nobody is at the other end any more
                os._exit(1)


def main() -> None:
    """Run ``main`` of the module that the command line names."""
    if sys.platform == "win32":
        raise NotImplementedError
    ignore_stop_signals()
    os.nice(NICENESS)
    module, descriptor, *cores = sys.argv[1:]
    if sys.platform == "linux" and cores:  # whoever started it may keep to fewer
        with suppress(OSError):
            os.sched_setaffinity(0, map(int, cores))
    link = Link(Connection(int(descriptor)))
    threading.Thread(target=_work, args=(module, link), daemon=True).start()
    link.listen()
    os._exit(1)  # not the orderly way, which would wait for what the other thread imports


def _work(module: str, link: Link) -> None:
    status = 1
    try:
        import_module(module).main(link)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
