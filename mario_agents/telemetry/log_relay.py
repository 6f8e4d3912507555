"""A log handler that queues the main process's records for rebroadcast as events."""

from __future__ import annotations

import logging
from collections import deque

from mario_agents.telemetry.events import Log
from mario_agents.telemetry.events.messages import MAX_TEXT
from mario_envkit.command_line import showable


class LogRelay(logging.Handler):
    """Keeps the main process's own log records until somebody passes them on.

    Records come from any thread, and the socket belongs to one.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._waiting: deque[Log] = deque(maxlen=100)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, unless it is another process's, which observers have seen already."""
        if not getattr(record, "relayed", False):
            text = showable(record.getMessage())[:MAX_TEXT]
            self._waiting.append(Log(level=record.levelno, logger=record.name, text=text))

    def take(self) -> Log | None:
        """The oldest record that is left."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None
