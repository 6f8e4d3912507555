"""What the main process sees of the others, for whoever watches it."""

from __future__ import annotations

import logging
import time
from collections import deque

from mario_agents.parallel.events import COORDINATOR, Log, MemberPulse, Pulses
from mario_agents.parallel.events.messages import MAX_TEXT
from mario_agents.parallel.heartbeat import SharedHeartbeat
from mario_envkit.command_line import showable

PULSE_SECONDS = 1.0
"""Seconds between two looks at the heartbeats."""


class PulseTaker:
    """Looks at the heartbeats of a run, once a second."""

    def __init__(self, heartbeat: SharedHeartbeat) -> None:
        self._heartbeat = heartbeat
        self._due = 0.0

    def take(self) -> Pulses | None:
        """The pulses, None if it is not time yet; call it often."""
        if time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + PULSE_SECONDS
        return pulses(self._heartbeat)


def pulses(heartbeat: SharedHeartbeat) -> Pulses:
    """The pulses of all processes that have ever given a sign of life."""
    members = []
    for number in range(heartbeat.workers + 1):
        pulse = heartbeat.row(number).read()
        if pulse.generation:
            source = COORDINATOR if number == heartbeat.coordinator else f"worker_{number}"
            members.append(
                MemberPulse(
                    source=source, pid=pulse.pid, age=pulse.age, restarts=pulse.generation - 1
                )
            )
    return Pulses(step=heartbeat.total("steps"), members=members)


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
