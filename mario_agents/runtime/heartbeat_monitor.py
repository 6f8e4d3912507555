"""What the main process sees of the others, for whoever watches it."""

from __future__ import annotations

import time

from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.telemetry.events import COORDINATOR, MemberPulse, Pulses

HEARTBEAT_SECONDS = 1.0
"""Seconds between two looks at the heartbeats."""


class HeartbeatMonitor:
    """Looks at the heartbeats of a run, once a second."""

    def __init__(self, heartbeat: SharedHeartbeat) -> None:
        self._heartbeat = heartbeat
        self._due = 0.0

    def take(self) -> Pulses | None:
        """The pulses, None if it is not time yet; call it often."""
        if time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + HEARTBEAT_SECONDS
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
