"""Heartbeats in shared memory as events: the main process tells dashboards which processes live."""

from __future__ import annotations

import time

from mario_agents.runtime.shm.heartbeat import SharedHeartbeat
from mario_agents.telemetry.events import COORDINATOR, Heartbeats, ProcessHeartbeat

HEARTBEAT_SECONDS = 1.0
"""Seconds between two readings."""


class HeartbeatMonitor:
    """Reads the heartbeats of all processes of a run, once a second."""

    def __init__(self, heartbeat: SharedHeartbeat) -> None:
        self._heartbeat = heartbeat
        self._due = 0.0

    def take(self) -> Heartbeats | None:
        """The heartbeats as an event, None if it is not time yet; call it often."""
        if time.monotonic() < self._due:
            return None
        self._due = time.monotonic() + HEARTBEAT_SECONDS
        return read_heartbeats(self._heartbeat)


def read_heartbeats(shared: SharedHeartbeat) -> Heartbeats:
    """The latest heartbeat of every process that has ever given one."""
    processes = []
    for number in range(shared.workers + 1):
        latest = shared.row(number).read()
        if latest.generation:
            source = COORDINATOR if number == shared.coordinator else f"worker_{number}"
            processes.append(
                ProcessHeartbeat(
                    source=source, pid=latest.pid, age=latest.age, restarts=latest.generation - 1
                )
            )
    return Heartbeats(step=shared.total("steps"), processes=processes)
